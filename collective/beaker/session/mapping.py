"""A session as a mutable mapping, as code gets it."""

from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import MutableMapping
from functools import cached_property
from functools import partial
from secrets import token_hex
from typing import Any
from typing import TypeVar

from collective.beaker.ids import without_ids
from collective.beaker.session.opened import OpenedSession
from collective.beaker.session.times import ACCESSED
from collective.beaker.session.times import CREATED
from collective.beaker.session.working_copy import CLIENT
from collective.beaker.session.working_copy import DOMAIN
from collective.beaker.session.working_copy import ID
from collective.beaker.session.working_copy import OWN_KEYS
from collective.beaker.session.working_copy import PATH
from collective.beaker.session.working_copy import USER
from collective.beaker.settings.cookie_rules import cookie_domain
from collective.beaker.settings.cookie_rules import cookie_path
from collective.beaker.settings.readers import Reader


_USING_STORE = ("load", "lock")
"""Methods of Beaker's sessions that need the store."""

_Self = TypeVar("_Self", bound="DictionaryMethods")


class DictionaryMethods(MutableMapping[Any, Any]):
    """What a dictionary, such as Beaker's own session, has besides."""

    @abstractmethod
    def save(self) -> None:
        """Keep the changes."""

    def has_key(self, key: Any) -> bool:
        return key in self

    def set(self, key: Any, value: Any) -> None:
        self[key] = value
        self.save()

    def copy(self) -> dict[Any, Any]:
        """Return a dictionary with the same keys and values."""
        return dict(self)

    def __or__(self, other: Any) -> dict[Any, Any]:
        if not isinstance(other, Mapping):
            return NotImplemented
        return {**self, **other}

    def __ror__(self, other: Any) -> dict[Any, Any]:
        if not isinstance(other, Mapping):
            return NotImplemented
        return {**other, **self}

    def __ior__(self: _Self, other: Any) -> _Self:
        self.update(other)
        return self


class SessionMapping(DictionaryMethods):
    """The data of a session, and what ISession offers besides.

    A subclass says how the session is opened, and when it is saved.
    """

    @abstractmethod
    def _open(self) -> OpenedSession:
        """Return the session; open it at the first call."""

    def __repr__(self) -> str:
        """Name this object, and nothing of what is in it.

        No other has the name: where code makes the key of a cache of it,
        visitors share no results.
        """
        return f"<{type(self).__name__} {self._name}>"

    @cached_property
    def _name(self) -> str:
        return token_hex(8)

    # A session is the same as no other session, as Beaker's own lazy session
    # is, so it has a hash.  Compared with what is no session, it is a mapping.

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SessionMapping):
            return self is other
        if isinstance(other, Mapping):
            return self.copy() == dict(other)
        return NotImplemented

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        """Return True: also a session without keys is a session."""
        return True

    def __getitem__(self, key: Any) -> Any:
        return self._open().data[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        if key in OWN_KEYS:
            raise _own_key_error(key)
        self._open().data[key] = value

    # What is removed is gone from view.  Beaker's own keys are stored all the
    # same.

    def __delitem__(self, key: Any) -> None:
        del self._open().data[key]

    def __contains__(self, key: object) -> bool:
        return key in self._open().data

    def __iter__(self) -> Iterator[Any]:
        return iter(self._open().data)

    def __len__(self) -> int:
        return len(self._open().data)

    # MutableMapping's own take any KeyError for a missing key, also one that
    # was raised while the session was opened.

    def get(self, key: Any, default: Any = None) -> Any:
        return self._open().data.get(key, default)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        data = self._open().data
        if key in OWN_KEYS and key not in data:
            raise _own_key_error(key)
        return data.setdefault(key, default)

    def pop(self, key: Any, *default: Any) -> Any:
        return self._open().data.pop(key, *default)

    def popitem(self) -> tuple[Any, Any]:
        return self._open().data.popitem()

    def clear(self) -> None:
        data = self._open().data
        # A class of Beaker's puts some keys back when it is cleared.
        for key in list(data):
            del data[key]

    def update(self, /, *args: Any, **kwargs: Any) -> None:
        """Set many keys, but none of Beaker's own.

        So code can put back all that it copied from a session, and no form
        of a visitor chooses how long the session lasts.
        """
        values = dict(*args, **kwargs)
        for key in values.keys() & OWN_KEYS:
            del values[key]
        self._open().data.update(values)

    @property
    def id(self) -> str:
        session = self._open()
        session.settle_id()
        return session.id

    @property
    def is_new(self) -> bool:
        return self._open().is_new

    @property
    def is_deleted(self) -> bool:
        """Whether ``delete`` has ended the session, and none has begun."""
        return self._open().is_deleted

    @property
    def created(self) -> float:
        return self._open().created

    @property
    def last_accessed(self) -> float | None:
        return self._open().last_accessed

    @property
    def domain(self) -> str | None:
        return self._open().domain

    @domain.setter
    def domain(self, domain: str | None) -> None:
        self._open().domain = domain and _checked(
            "domain", cookie_domain, domain
        )

    @property
    def path(self) -> str:
        return self._open().path

    @path.setter
    def path(self, path: str) -> None:
        self._open().path = _checked("path", cookie_path, path)

    def __getattr__(self, name: str) -> Any:
        """Return what else Beaker's sessions offer, such as ``lock``."""
        if name.startswith("_") or not self._may_have(name):
            raise AttributeError(f"A session has no attribute {name!r}.")
        found = getattr(self._open(), name)
        return partial(self._guard, found) if name in _USING_STORE else found

    def _guard(self, operation: Callable[..., Any], *arguments: Any) -> Any:
        """Call what needs the store.  A subclass says what an outage is."""
        return operation(*arguments)

    def _may_have(self, name: str) -> bool:
        """Tell whether it is worth opening the session for an attribute."""
        return True


_INSTEAD = {
    ACCESSED: "It is set whenever the session is used.",
    CLIENT: "It is set when a user stores the session.",
    CREATED: "Call invalidate() to begin a new session.",
    DOMAIN: "Set the attribute domain of the session.",
    ID: "Call regenerate_id() for a new id.",
    PATH: "Set the attribute path of the session.",
    USER: "It is set when a user stores the session.",
}
"""What to do instead of assigning to one of Beaker's own keys."""


def _own_key_error(key: str) -> ValueError:
    return ValueError(
        f"The key {key!r} of a session is Beaker's own. {_INSTEAD[key]}"
    )


def _checked(name: str, reader: Reader, value: str) -> str:
    """Return a value that may stand in a header, or raise ValueError."""
    try:
        allowed: str = reader(value)
        return allowed
    except ValueError as error:
        reason = error
    # Code may have made a path of an id.
    shown = without_ids(repr(value))
    raise ValueError(f"The session's {name} is {shown}; it must be {reason}.")
