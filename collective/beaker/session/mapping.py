"""A session as a mutable mapping, as code gets it."""

from abc import abstractmethod
from collections.abc import Iterator
from collections.abc import MutableMapping
from typing import Any

from collective.beaker.ids import without_ids
from collective.beaker.session.opened import OpenedSession
from collective.beaker.session.working_copy import OWN_KEYS
from collective.beaker.settings.cookie_rules import cookie_domain
from collective.beaker.settings.cookie_rules import cookie_path
from collective.beaker.settings.readers import Reader


class SessionMapping(MutableMapping[Any, Any]):
    """The data of a session, and what ISession offers besides.

    A subclass says how the session is opened, and when it is saved.
    """

    @abstractmethod
    def _open(self) -> OpenedSession:
        """Return the session; open it at the first call."""

    # Identity, as that of Beaker's own lazy session.  Two sessions that hold
    # the same are not the same, and a session without keys is a session.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, key: Any) -> Any:
        return self._open().data[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._open().data[key] = value

    def __delitem__(self, key: Any) -> None:
        data = self._open().data
        # Code that empties a session key by key must not take what Beaker
        # needs to store it.
        if key not in OWN_KEYS:
            del data[key]

    def __contains__(self, key: object) -> bool:
        return key in self._open().data

    def __iter__(self) -> Iterator[Any]:
        return iter(self._open().data)

    def __len__(self) -> int:
        return len(self._open().data)

    def has_key(self, key: Any) -> bool:
        return key in self

    # MutableMapping's own take any KeyError for a missing key, also one that
    # was raised while the session was opened.

    def get(self, key: Any, default: Any = None) -> Any:
        return self._open().data.get(key, default)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        return self._open().data.setdefault(key, default)

    def pop(self, key: Any, *default: Any) -> Any:
        data = self._open().data
        if key in OWN_KEYS:
            return data.get(key, *default)
        return data.pop(key, *default)

    def popitem(self) -> tuple[Any, Any]:
        for key in self.keys() - OWN_KEYS:
            return key, self.pop(key)
        raise KeyError("The session is empty.")

    def clear(self) -> None:
        for key in list(self):
            del self[key]

    @property
    def id(self) -> str:
        return self._open().id

    @property
    def is_new(self) -> bool:
        return self._open().is_new

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
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._open(), name)


def _checked(name: str, reader: Reader, value: str) -> str:
    """Return a value that may stand in a header, or raise ValueError."""
    try:
        allowed: str = reader(value)
        return allowed
    except ValueError as error:
        reason = error
    # Code may have made a path of an id.
    shown = without_ids(repr(value))
    raise ValueError(f"The session's {name} is {shown}; allowed is {reason}.")
