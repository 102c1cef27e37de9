"""What both kinds of sessions, in a store and in a cookie, do with data."""

import logging
import pickle
import time
from collections.abc import Callable
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from beaker.cookie import SimpleCookie
from beaker.util import PickleSerializer

from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.session.merge import Changes
from collective.beaker.session.merge import difference
from collective.beaker.session.merge import may_change_inside
from collective.beaker.stores.base import KeptText


logger = logging.getLogger("collective.beaker")

RESERVED_KEYS = frozenset(
    ["_accessed_time", "_creation_time", "_domain", "_id", "_path"]
)
"""Keys of a session that are Beaker's own."""

PRESENTED = "presented"
"""The key of a session's request for the value that the visitor presents."""

_LEFT_BY_DELETE = frozenset(["_accessed_time", "_domain", "_path"])
"""The keys in what Beaker's middleware stores in place of a session."""

_NEVER = float("inf")


class Content:
    """A mixin for Beaker's sessions: their data, and how they change."""

    # Beaker's classes set them.
    accessed_dict: dict[Any, Any]
    key: str
    request: dict[str, Any]
    is_new: bool
    save_atime: bool
    timeout: int | None
    validate_key: str | None

    bad_signature = False
    """Whether the visitor's cookie bears a signature that is none of ours."""

    last_accessed: float | None = None

    def _prepare_content(
        self,
        invalidate_corrupt: bool,
        resolution_seconds: int,
        absolute_timeout: int | None,
        validate_keys: Iterable[str | None],
    ) -> None:
        self._tolerant = invalidate_corrupt
        self._resolution = resolution_seconds
        self._absolute_timeout = absolute_timeout
        self._validate_keys = list(validate_keys)
        self._payload: str | None = None
        self._deleted = False
        self._vanished = False
        self._started_anew = False

    def alike(
        self, request: dict[str, Any], id: str | None = None
    ) -> "Content":
        """Return a session with the same options, opened for a request.

        A session in a cookie takes no ``id``.

        Nobody must have used this one.
        """
        session = self.__class__.__new__(self.__class__)
        attributes = vars(session)
        attributes.update(vars(self))
        attributes.pop("cookie", None)
        session.update(self._config)
        session._open(request, id)
        return session

    def _take_request(self, request: dict[str, Any]) -> None:
        """Take what Beaker calls the request; nothing is sent so far."""
        self.request = request
        request.setdefault("cookie_out", None)
        request["set_cookie"] = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @property
    def domain(self) -> str | None:
        return self.get("_domain")

    @domain.setter
    def domain(self, domain: str | None) -> None:
        self["_domain"] = domain

    @property
    def path(self) -> str:
        return self.get("_path", "/")

    @path.setter
    def path(self, path: str) -> None:
        self["_path"] = path

    def clear(self) -> None:
        """Remove all but Beaker's own keys."""
        own = {key: self[key] for key in RESERVED_KEYS & self.keys()}
        super().clear()
        self.update(own)

    def delete(self) -> None:
        """End the session; ``save`` removes what is stored and the cookie."""
        self._empty()
        self.accessed_dict = dict(self)
        self._deleted = True

    def changed(self) -> bool:
        """Tell whether there is something that was not stored yet."""
        if self._deleted or self._started_anew:
            return True
        if self._payload is None:
            return bool(self.keys() - RESERVED_KEYS)
        return bool(self._difference(self))

    def revert(self) -> None:
        """Take back all changes, also those inside of values."""
        self.accessed_dict = self._stored_data()
        self._fill(self.accessed_dict)

    def snapshot(self) -> dict[str, Any]:
        """Return all that ``restore`` needs to bring back this state."""
        # Together, for a value may be in both.
        data = deepcopy((dict(self), self.accessed_dict))
        return {"data": data, "state": dict(vars(self))}

    def restore(self, snapshot: dict[str, Any]) -> None:
        vars(self).update(snapshot["state"])
        data, self.accessed_dict = deepcopy(snapshot["data"])
        self._fill(data)

    def _presented_value(self) -> str:
        """Return the value of the session's cookie, "" if there is none.

        Our own requests hold it; those of Beaker's middleware a header.
        """
        if PRESENTED in self.request:
            return self.request[PRESENTED]
        cookie = SimpleCookie(self.request.get("cookie") or "")
        return cookie[self.key].value if self.key in cookie else ""

    # Data and the text that is stored

    def _encode(self, data: dict[Any, Any]) -> str:
        """Return the text to be stored.

        Raises TypeError, without any data in it, for what the serializer
        does not take.
        """
        try:
            return self._encrypt_data(data)
        except RecordTooLarge:
            raise
        except Exception as error:
            reason = type(error).__name__
        raise TypeError(
            f"A session holds {self._unstorable(data)}, which cannot be "
            f"stored with session.data_serializer "
            f"{_name(self.data_serializer)} ({reason}). "
            "Store text, numbers, lists and dictionaries."
        )

    def _unstorable(self, data: dict[Any, Any]) -> str:
        for key, value in data.items():
            try:
                self.serializer.dumps({key: value})
            except Exception:
                return f"a value of the type {type(value).__name__}"
        return "values"

    def _decode(self, payload: str) -> dict[Any, Any]:
        """Return the data in a text; raise any exception if it has none.

        Data that are encrypted may have been so with a former key.
        """
        if not self.encrypt_key:
            return self._decode_plain(payload)
        failure: Exception | None = None
        for key in self._validate_keys:
            try:
                return self._checked(self._decrypt_with(key, payload))
            except Exception as error:
                failure = failure or error
        raise failure or ValueError("There is no key.")

    def _decode_plain(self, payload: str) -> dict[Any, Any]:
        kept = isinstance(payload, KeptText)
        if kept and payload.data is not None:
            return payload.data.copy()
        data = self._checked(self._decrypt_data(payload))
        if kept and not may_change_inside([*data, *data.values()]):
            payload.data = data.copy()
        return data

    def _decrypt_with(self, key: str | None, payload: str) -> Any:
        current, self.validate_key = self.validate_key, key
        try:
            return self._decrypt_data(payload)
        finally:
            self.validate_key = current

    def _checked(self, data: Any) -> dict[Any, Any]:
        if type(data) is not dict:
            raise ValueError("A session is a dictionary.")
        return data

    def _set_serializer(self, data_serializer: Any) -> None:
        super()._set_serializer(data_serializer)
        if data_serializer == "pickle":
            self.serializer = _Pickle()

    def _read(
        self, load_payload: Callable[[], str | None]
    ) -> tuple[dict[Any, Any], str] | None:
        """Return the data of a session that has not ended, and its text."""
        try:
            payload = load_payload()
            data = {} if payload is None else self._decode(payload)
            ended = is_empty(data) or has_expired(
                data, self.timeout, self._absolute_timeout
            )
        except Exception as error:
            if not self._tolerant:
                raise
            warn_of_unreadable_session(error)
            return None
        return None if ended else (data, payload)

    # Beginning, and what changed since

    def _begin(self) -> None:
        """Hold a new session, whose cookie replaces that of the former."""
        now = time.time()
        self._empty()
        self.update(_creation_time=now, _accessed_time=now)
        self.accessed_dict = dict(self)
        self.last_accessed = None
        self.is_new = True
        self._payload = None
        self._deleted = self._vanished = False

    def _empty(self) -> None:
        domain, path = self.domain, self.path
        super().clear()
        self.update(_domain=domain, _path=path)

    def _hold(self, data: dict[Any, Any], payload: str) -> None:
        """Hold a session that was stored."""
        now = time.time()
        self.last_accessed = data.get("_accessed_time")
        data.setdefault("_creation_time", self.last_accessed or now)
        self._fill(data)
        self["_accessed_time"] = now
        self.accessed_dict = dict(self)
        self.is_new = False
        self._payload = payload

    def _fill(self, data: dict[Any, Any]) -> None:
        super().clear()
        self.update(data)

    def _stored_data(self) -> dict[Any, Any]:
        """Return what is stored, untouched by what was done to it since."""
        return {} if self._payload is None else self._decode(self._payload)

    def _difference(self, mine: dict[Any, Any]) -> Changes:
        """Return what somebody did to the session as it was loaded.

        Times are no changes: they are written anyway.
        """
        return difference(
            _without_times(self._stored_data()),
            _without_times(mine),
            self.serializer.dumps,
        )

    def _has_changed_inside(self) -> bool:
        """Tell whether a value was changed without being set anew."""
        return may_change_inside(self.accessed_dict.values()) and bool(
            self._difference(self.accessed_dict)
        )

    def _access_is_due(self) -> bool:
        """Tell whether it is time to store the time of access."""
        if not self.save_atime:
            return False
        if self.last_accessed is None:
            return True
        resolution = self._resolution
        if self.timeout:
            resolution = min(resolution, self.timeout / 10)
        # Either way, for a clock may have been wrong.
        return abs(time.time() - self.last_accessed) >= resolution


class _Pickle(PickleSerializer):
    """Beaker's serializer, which tells garbage from a pickle beforehand.

    Data that were encrypted with another key are garbage, and what pickle
    does with garbage is anybody's guess.
    """

    def loads(self, data: bytes) -> Any:
        if data[:1] + data[-1:] != b"\x80.":
            raise pickle.UnpicklingError("This is no pickle.")
        return super().loads(data)


def has_expired(
    data: dict[Any, Any], timeout: int | None, absolute_timeout: int | None
) -> bool:
    """Tell whether a session with such data has ended by itself.

    The timeouts are seconds, without use and in all; None is for ever.
    """
    now = time.time()
    idle = now - data.get("_accessed_time", now)
    age = now - data.get("_creation_time", now)
    return idle > (timeout or _NEVER) or age > (absolute_timeout or _NEVER)


def is_empty(data: dict[Any, Any]) -> bool:
    """Tell whether data are what is left in place of a deleted session."""
    return data.keys() <= _LEFT_BY_DELETE


def warn_of_unreadable_session(error: Exception) -> None:
    # No more than the type: messages may hold an id or stored data.
    logger.warning(
        "A stored session cannot be read (%s); its visitor gets a new one.",
        type(error).__name__,
    )


def _without_times(data: dict[Any, Any]) -> dict[Any, Any]:
    return {
        key: value
        for key, value in data.items()
        if key not in ("_accessed_time", "_creation_time")
    }


def _name(serializer: Any) -> str:
    if isinstance(serializer, str):
        return serializer
    return type(serializer).__name__
