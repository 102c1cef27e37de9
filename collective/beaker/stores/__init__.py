"""Stores, which keep one record for each session.

``find_store`` returns the store that options name, and IStore says what it
does.  The stored format is Beaker's own: Beaker reads what this package
writes, and the reverse.
"""

from collections.abc import Callable
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from collective.beaker.interfaces import Record
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.backends import kind_of
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.stores.base import Store


__all__ = ["Record", "Store", "find_store"]


def find_store(
    options: Mapping[str, Any], timeout: int | None = None
) -> Store:
    """Return the store that options name, the same one for equal options.

    ``options`` are all options of sessions, with defaults, or of a cache
    region.  The store receives those that its entry in the table of backends
    names.  It may forget a record that is not used for ``timeout`` seconds.

    Raises LookupError if the options name no store.  No server is needed yet.
    """
    kind = kind_of(options)
    try:
        backend = backend_of(options)
    except LookupError as error:
        raise LookupError(f"The type is {kind!r}: {error}.") from None
    if not backend.store:
        raise LookupError(f"The type is {kind!r}, which has no store.")
    wait = options.get("socket_timeout") or SESSION_DEFAULTS["socket_timeout"]
    arguments = backend.store_arguments(
        {**options, "socket_timeout": wait, "timeout": timeout}
    )
    return _make_store(kind, backend.store, _frozen(arguments))


_Arguments = frozenset[tuple[str, Any]]


class _Value:
    """The value of an option, with a hash."""

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Value) and self.value == other.value


def _frozen(arguments: Mapping[str, Any]) -> _Arguments:
    try:
        return frozenset(arguments.items())
    except TypeError:
        # An option has no hash.
        return frozenset(
            (name, _Value(value)) for name, value in arguments.items()
        )


@cache
def _make_store(kind: str, factory: str, arguments: _Arguments) -> Store:
    keywords = {
        name: value.value if isinstance(value, _Value) else value
        for name, value in arguments
    }
    return _import_factory(factory)(kind, **keywords)


def _import_factory(name: str) -> Callable[..., Store]:
    module, _, attribute = name.partition(":")
    factory: Callable[..., Store] = getattr(import_module(module), attribute)
    return factory
