"""The decorator ``cached``: a function whose results are kept."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from functools import partial
from functools import update_wrapper
from functools import wraps
from inspect import isasyncgenfunction
from inspect import iscoroutinefunction
from inspect import isfunction
from inspect import isgeneratorfunction
from inspect import signature
from os.path import basename
from typing import Any
from typing import ParamSpec
from typing import Protocol
from typing import TypeVar
from typing import cast
from weakref import WeakKeyDictionary

from Acquisition import aq_base
from zope.component.hooks import getSite

from collective.beaker.caching.factory import find_region
from collective.beaker.caching.keys import LONGEST
from collective.beaker.caching.keys import OBJECTS
from collective.beaker.caching.keys import Arguments
from collective.beaker.caching.keys import digest_of
from collective.beaker.caching.keys import encode
from collective.beaker.caching.snapshots import Others
from collective.beaker.caching.snapshots import Snapshot
from collective.beaker.caching.snapshots import connection_in_use
from collective.beaker.caching.snapshots import name_of_database
from collective.beaker.caching.snapshots import other_snapshots
from collective.beaker.caching.snapshots import snapshot_in_use
from collective.beaker.caching.tags import is_pending
from collective.beaker.caching.tags import names_of_tags
from collective.beaker.caching.tags import ours
from collective.beaker.caching.tags import pending
from collective.beaker.caching.vary import FIND_BY_NAME
from collective.beaker.caching.vary import by_site
from collective.beaker.caching.vary import key_of_site


P = ParamSpec("P")
R = TypeVar("R")
OfCall = Callable[..., Any]
"""A function of the arguments of a call."""


class Cached(Protocol[P, R]):
    """What ``cached`` returns: the function, and what its cache can do.

    It is a plain function.  Give a method its object in all of these:
    ``NewsView.teaser.invalidate(view)``.
    """

    __wrapped__: Callable[P, R]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Have the result for these arguments computed anew.

        It is the result that a call would get now: of this site, and for the
        user or the language that ``vary`` names.  It takes effect if the
        transaction commits; without a ZODB, at once.
        """

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compute the result for these arguments anew, and return it."""


def cached(
    region: str,
    *,
    vary: OfCall | Iterable[OfCall] | None = None,
    tags: OfCall | Iterable[OfCall] | None = None,
    name: str | None = None,
    across_sites: bool = False,
) -> Callable[[Callable[P, R]], Cached[P, R]]:
    """Return a decorator that keeps the results of a function.

    They are kept in a cache region of ``zope.conf``, which is looked up when
    the function is called.  Calls share a result if their arguments are equal
    in value and type.  Arguments are plain values: numbers, texts, dates, and
    tuples, lists, sets and dictionaries of these.

    ``vary`` says what else the result depends on: a function of the arguments
    or several, such as ``by_user``.  Each returns a text, or a tuple of plain
    values.  ``()`` says that nothing else matters.  A method must have it, as
    ``self`` is no part of the key; nor are objects that are passed as
    ``context``, ``request`` or ``view``.

    ``tags`` says what the result is made from: a function of the arguments or
    several, each of which returns a text or several.  See ``drop``.

    ``name`` is the name of the cache, if it is not to be that of the module
    and the function.  A function within a function needs one.

    Sites share no results, except with ``across_sites=True``.

    The decorator raises TypeError for what it cannot keep the results of.  A
    call raises TypeError for an argument that has no safe key, and
    BeakerException if there is no such region.
    """
    varying = None if vary is None else _functions("vary", vary)
    tagging = () if tags is None else _functions("tags", tags)

    def decorate(function: Callable[P, R]) -> Cached[P, R]:
        _check_function(function)
        arguments = Arguments(function, () if varying is None else OBJECTS)
        if arguments.is_method and varying is None:
            raise TypeError(
                f"{function.__qualname__}() is a method, and nothing of its "
                "object is a part of the key. Say in vary= what the result "
                "depends on, such as vary=(by_context, by_user, by_language), "
                "or vary=() if on nothing else."
            )
        named = arguments.positions_of("context", "request")
        key = _Key(
            function, arguments, _naming(named, varying or ()), across_sites
        )
        cache = _name_of_cache(function, name, key)
        _claim_name(region, cache, function)
        return _wrap(function, region, cache, key, _naming(named, tagging))

    return decorate


def _functions(
    argument: str, given: OfCall | Iterable[OfCall]
) -> tuple[OfCall, ...]:
    functions = (given,) if callable(given) else tuple(given)
    for function in functions:
        if not callable(function):
            raise TypeError(
                f"{argument}= takes functions of the arguments, and not "
                f"{function!r}."
            )
    return functions


def _naming(
    positions: Mapping[str, int], functions: Iterable[OfCall]
) -> tuple[OfCall, ...]:
    """Return functions that are called with all arguments of a call.

    Those which look for an argument by its name find it although it was not
    given by name.
    """
    return tuple(
        _with_names(positions, function)
        if positions and function in FIND_BY_NAME
        else function
        for function in functions
    )


def _with_names(positions: Mapping[str, int], function: OfCall) -> OfCall:
    @wraps(function)
    def with_names(*args: Any, **kwargs: Any) -> Any:
        given = len(args)
        named = {
            name: args[position]
            for name, position in positions.items()
            if position < given
        }
        return function(*args, **{**kwargs, **named})

    return with_names


def _check_function(function: Any) -> None:
    if not isfunction(function):
        raise TypeError(
            f"cached() takes a function, and not a {type(function).__name__}. "
            "Put it below other decorators, such as @property and "
            "@classmethod."
        )
    if (
        isgeneratorfunction(function)
        or iscoroutinefunction(function)
        or isasyncgenfunction(function)
    ):
        raise TypeError(
            f"{function.__qualname__}() returns something that can be used "
            "only once. Cache a function that returns a list, or the result."
        )


class _Key:
    """What the key of a call consists of."""

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Arguments,
        circumstances: tuple[OfCall, ...],
        across_sites: bool,
    ):
        self._function = function
        self._arguments = arguments
        self._circumstances = circumstances
        self._across_sites = across_sites
        self._has_more = arguments.is_method or bool(circumstances)

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        key = self._arguments.key(args, kwargs)
        if self._has_more:
            key += self._more(args, kwargs)
        # Last, as it may be missing: most keys are made without a site.
        site = None if self._across_sites else getSite()
        if site is not None:
            key += key_of_site(site)
        return key if len(key) <= LONGEST else digest_of(key)

    def _more(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        parts = [
            self._encoded(vary, vary(*args, **kwargs))
            for vary in self._circumstances
        ]
        if self._arguments.is_method:
            owner = args[0] if args else kwargs[self._arguments.owner]
            parts.append(_kind_of(owner))
        return b"".join(parts)

    def __str__(self) -> str:
        """Return what a key consists of."""
        names = [vary.__qualname__ for vary in self._circumstances]
        if not self._across_sites:
            names.append(by_site.__qualname__)
        return f"{', '.join(self._arguments.names)}; {', '.join(names)}"

    def _encoded(self, vary: OfCall, value: Any) -> bytes:
        try:
            return encode(value)
        except TypeError as error:
            raise TypeError(
                f"What {vary.__qualname__}() returned for "
                f"{self._function.__qualname__}() {error}. A function in "
                "vary= returns a text, or a tuple of plain values."
            ) from None


_kinds: WeakKeyDictionary[type, bytes] = WeakKeyDictionary()


def _kind_of(owner: Any) -> bytes:
    """Return what tells the class of a method's object from others.

    Subclasses may have the method do other things, and so may the template
    of a view, which has a name.
    """
    if isinstance(owner, type):
        return _encoded_class(owner)
    name = getattr(aq_base(owner), "__name__", None)
    named = encode(name if isinstance(name, str) else None)
    return _encoded_class(owner.__class__) + named


def _encoded_class(kind: type) -> bytes:
    encoded = _kinds.get(kind)
    if encoded is None:
        # Zope makes a class of each class of views, all in one module.
        encoded = encode(tuple(map(_name_of_class, kind.__mro__)))
        _kinds[kind] = encoded
    return encoded


def _name_of_class(kind: type) -> str:
    name, of, template = kind.__qualname__.partition(" from ")
    # Without the folder of a template, which may be another one elsewhere.
    return f"{kind.__module__}.{name}{of}{basename(template)}"


def _name_of_cache(
    function: Callable[..., Any], name: str | None, key: _Key
) -> str:
    """Return a name that says what makes the keys: other code has others."""
    if name is None and "<" in function.__qualname__:
        raise TypeError(
            f"{function.__qualname__}() is made anew each time, and others "
            "may have its name. Move it to the level of the module, or give "
            "its cache a name that no other has: name=."
        )
    name = name or f"{function.__module__}.{function.__qualname__}"
    return f"{name}({key})"


_names: dict[tuple[str, str], tuple[str, str]] = {}
"""The functions whose caches have these names."""


def _claim_name(region: str, cache: str, function: Callable[..., Any]) -> None:
    owner = (function.__module__, function.__qualname__)
    other = _names.setdefault((region, cache), owner)
    if other != owner:
        raise TypeError(
            f"The cache of {'.'.join(owner)}() in the region {region!r} would "
            f"have the name of that of {'.'.join(other)}(). Give it another "
            "name=."
        )


def _wrap(
    function: Callable[P, R],
    region: str,
    cache: str,
    key: _Key,
    tagging: tuple[OfCall, ...],
) -> Cached[P, R]:
    """Return the function that finds results, or computes them."""

    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        name = key(args, kwargs)
        if ours.drops and is_pending((), (region, cache, name)):
            return function(*args, **kwargs)
        found: R = find_region(region).value(
            cache,
            name,
            lambda: function(*args, **kwargs),
            snapshot=snapshot_in_use,
        )
        return found

    def tagged(*args: P.args, **kwargs: P.kwargs) -> R:
        connection = connection_in_use()
        others = other_snapshots(connection)
        name = key(args, kwargs)
        if others:
            name += _encoded_others(others)
        tags = _tags_of(tagging, args, kwargs)
        if ours.drops and is_pending(tags, (region, cache, name)):
            return function(*args, **kwargs)
        names = names_of_tags(tags, name_of_database(connection))
        found: R = find_region(region).value(
            cache,
            name,
            lambda: function(*args, **kwargs),
            tags=names.by_commit,
            time_tags=names.by_time,
            snapshot=lambda: Snapshot(connection, others),
        )
        return found

    def name_now(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        others = other_snapshots(connection_in_use()) if tagging else ()
        return key(args, kwargs) + _encoded_others(others)

    def drop_value(name: bytes, number: int | None) -> bool:
        return find_region(region).invalidate(cache, name, number)

    def invalidate(*args: P.args, **kwargs: P.kwargs) -> None:
        name = name_now(args, kwargs)
        connection = connection_in_use()
        if connection is None:
            drop_value(name, None)
            return
        undo = partial(drop_value, name)
        pending().values[region, cache, name] = connection, undo

    def refresh(*args: P.args, **kwargs: P.kwargs) -> R:
        snapshot = snapshot_in_use()
        if ours.drops or not snapshot.is_clean:
            invalidate(*args, **kwargs)
            return function(*args, **kwargs)
        found = find_region(region)
        name, commit = name_now(args, kwargs), snapshot.commit
        if found.invalidate_unless_newer(cache, name, commit):
            return result(*args, **kwargs)
        # The store may still have the former one.
        return function(*args, **kwargs)

    plain = update_wrapper(tagged if tagging else wrapper, function)
    # The publisher looks here for the parameters that take values of a form.
    plain.__signature__ = signature(function)  # type: ignore[attr-defined]
    result = cast(Cached[P, R], plain)
    result.invalidate = invalidate  # type: ignore[method-assign]
    result.refresh = refresh  # type: ignore[method-assign]
    return result


def _encoded_others(others: Others) -> bytes:
    """Return what a key says of other databases.

    Their ids cannot be compared with those that tags have of this one.
    """
    return encode(others) if others else b""


def _tags_of(
    tagging: tuple[OfCall, ...],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[str, ...]:
    tags: tuple[str, ...] = ()
    for tag_function in tagging:
        found = tag_function(*args, **kwargs)
        tags += (found,) if isinstance(found, str) else tuple(found)
    return tags
