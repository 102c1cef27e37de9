"""What ``request.SESSION`` is: the session of a request, by other names."""

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from AccessControl.class_init import InitializeClass
from AccessControl.SecurityInfo import ClassSecurityInfo

from collective.beaker.session.mapping import SessionMapping
from collective.beaker.session.working_copy import OWN_KEYS


class SessionData:
    """A session with the names of Products.Transience.

    Each write saves the session.  Beaker's own keys are not shown.  It may be
    used in restricted code, such as a Script (Python).
    """

    security = ClassSecurityInfo()
    security.declareObjectPublic()
    security.setDefaultAccess("allow")

    was_requested = False
    """Whether code has asked for a session to be created."""

    def __init__(self, session: SessionMapping):
        self._session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._session!r}>"

    def __bool__(self) -> bool:
        return True

    # Reading

    def __getitem__(self, key: Any) -> Any:
        if key in OWN_KEYS:
            raise KeyError(key)
        return self._session[key]

    def __contains__(self, key: object) -> bool:
        return key not in OWN_KEYS and key in self._session

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def has_key(self, key: Any) -> bool:
        return key in self

    def get(self, key: Any, default: Any = None) -> Any:
        return self._session[key] if key in self else default

    def keys(self) -> list[Any]:
        return [key for key in self._session if key not in OWN_KEYS]

    def values(self) -> list[Any]:
        return [self._session[key] for key in self.keys()]

    def items(self) -> list[tuple[Any, Any]]:
        return [(key, self._session[key]) for key in self.keys()]

    # Writing

    def __setitem__(self, key: Any, value: Any) -> None:
        self._begin_anew_if_invalid()
        self._session[key] = value
        self._session.save()

    def __delitem__(self, key: Any) -> None:
        if key not in self:
            raise KeyError(key)
        del self._session[key]
        self._session.save()

    def set(self, key: Any, value: Any) -> None:
        self[key] = value

    def delete(self, key: Any) -> None:
        del self[key]

    # What restricted code calls for ``SESSION[key] = value`` and ``del``
    __guarded_setitem__ = __setitem__
    __guarded_delitem__ = __delitem__

    def update(self, other: Mapping[Any, Any]) -> None:
        """Set many keys, but none of Beaker's own, as a session does."""
        for key in other.keys():  # noqa: SIM118  (all that is asked of it)
            if key not in OWN_KEYS:
                self[key] = other[key]

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self._session[key]

    def pop(self, key: Any, *default: Any) -> Any:
        if key not in self and default:
            return default[0]
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        for key in self.keys():
            del self[key]

    @property
    def _p_changed(self) -> bool:
        """False; assign a true value to save a change inside a value."""
        return False

    @_p_changed.setter
    def _p_changed(self, changed: Any) -> None:
        if changed:
            self._session.save()

    # The session itself

    def getId(self) -> str:
        return self._session.id

    def getContainerKey(self) -> str:
        """Return the key for ``getSessionDataByKey``."""
        return self.getId()

    def isValid(self) -> bool:
        return not self._session.is_deleted

    def invalidate(self) -> None:
        """End the session.  What is written after this begins a new one."""
        self._session.delete()

    def _begin_anew_if_invalid(self) -> None:
        if self._session.is_deleted:
            self._session.invalidate()

    def getCreated(self) -> float:
        """Return when the session began: seconds since 1970."""
        return self._session.created

    def getLastAccessed(self) -> float:
        """Return when it was used before this request: seconds since 1970."""
        accessed = self._session.last_accessed
        return self.getCreated() if accessed is None else accessed

    def setLastAccessed(self) -> None:
        """Do nothing: the time of access is stored by itself."""

    @property
    def is_new(self) -> bool:
        """Whether no stored session was found for the visitor."""
        return self._session.is_new

    @property
    def cookie_name(self) -> str:
        """The name of the cookie that holds the id."""
        name: str = self._session.key
        return name

    # It is for the manager, which asks for a permission.
    security.declarePrivate("find_other")

    def find_other(self, key: str) -> "SessionData | None":
        """Return a stored session by its ``getContainerKey()``."""
        other = self._session.get_by_id(key)
        return None if other is None else SessionData(other)

    def exists(self) -> bool:
        """Tell whether the visitor has a session, as far as code can know.

        It may be one that was requested, in which nothing was written yet.
        """
        if self._session.is_deleted:
            return False
        if self.was_requested:
            return True
        return not self._session.is_new or len(self) > 0


InitializeClass(SessionData)
