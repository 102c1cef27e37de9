"""A session that the visitor's browser keeps in a cookie."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import beaker.session
from beaker.session import SignedCookie

from collective.beaker.ids import new_id
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.session.content import Content
from collective.beaker.session.cookies import MAX_COOKIE_SIZE
from collective.beaker.session.cookies import SIGNATURE_LENGTH
from collective.beaker.session.cookies import cookie_size
from collective.beaker.session.cookies import signing_key
from collective.beaker.session.cookies import unsigned
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.settings.options import former_keys


class CookieSession(Content, beaker.session.CookieSession):
    """Beaker's session in a cookie, with what it lacks beside the others.

    Beaker's neither knows when it was used last, nor can it change its id;
    it forgets that it was invalidated unless it is also saved, and sends its
    cookie at every use.
    """

    def __init__(
        self,
        request: dict[str, Any],
        key: str = "beaker.session.id",
        validate_key: str | None = None,
        invalidate_corrupt: bool = False,
        resolution_seconds: int = SESSION_DEFAULTS["resolution_seconds"],
        absolute_timeout: int | None = None,
        validate_key_fallbacks: Iterable[str] = (),
        **options: Any,
    ):
        self._prepare_content(
            invalidate_corrupt,
            resolution_seconds,
            absolute_timeout,
            [validate_key, *former_keys(validate_key_fallbacks)],
        )
        self.was_invalidated = False
        self.accessed_dict = {}
        super().__init__({}, key=key, validate_key=validate_key, **options)
        self._open(request)

    def _open(self, request: dict[str, Any], id: str | None = None) -> None:
        """Take the session of a request's cookie, or begin one."""
        self._take_request(request)
        self._begin()
        value = self._presented_value()
        self._has_cookie = bool(value)
        if value:
            self._load_value(value)

    @cached_property
    def cookie(self) -> SignedCookie:
        """The cookie to be sent, as Beaker makes it."""
        return SignedCookie(self.validate_key)

    def _load_value(self, value: str) -> None:
        position = signing_key(value, self._validate_keys)
        if position is None:
            self.bad_signature = True
            return
        payload = unsigned(value)
        found = self._read(lambda: payload)
        if found is None:
            return
        data, _ = found
        self._sent_id = data.get("_id")
        data.setdefault("_id", self.id)
        self._hold(data, payload)
        self._former_key = position > 0

    _former_key = False
    _sent_id: str | None = None
    """The id in the visitor's cookie."""

    # Beaker's own extension points

    def _begin(self) -> None:
        super()._begin()
        self["_id"] = self.accessed_dict["_id"] = new_id()

    def _encrypt_data(self, session_data: dict[Any, Any] | None = None) -> str:
        """Return the payload; raise RecordTooLarge if browsers refuse it."""
        payload = super()._encrypt_data(session_data)
        size = cookie_size(self.key, "0" * SIGNATURE_LENGTH + payload)
        if size > MAX_COOKIE_SIZE:
            raise RecordTooLarge(
                f"session.type is 'cookie', and the session takes {size} "
                f"bytes of the {MAX_COOKIE_SIZE} that browsers keep. Store "
                "less in it, or choose a session.type that stores on the "
                "server."
            )
        return payload

    def _empty(self) -> None:
        id = self.get("_id")
        super()._empty()
        self["_id"] = id

    def invalidate(self) -> None:
        self.was_invalidated = True
        self._started_anew = self._started_anew or not self.is_new
        self._begin()

    def regenerate_id(self) -> None:
        if self._deleted:
            self.invalidate()
        self["_id"] = self.accessed_dict["_id"] = new_id()

    def save(self, accessed_only: bool = False) -> None:
        """Write the cookie; with ``accessed_only`` where that is needed.

        Raises RecordTooLarge, and TypeError for a value that cannot be
        serialized.
        """
        if self._deleted:
            if self._has_cookie:
                self._delete_cookie()
            return
        if accessed_only:
            if not self._is_due():
                return
            self._fill(self.accessed_dict)
        self._encode(dict(self))
        self._create_cookie()

    def _is_due(self) -> bool:
        if self.is_new:
            return self._started_anew
        return (
            self._former_key
            or self.accessed_dict["_id"] != self._sent_id
            or self._has_changed_inside()
            or self._access_is_due()
        )

    # Storing in two phases.  See transaction.py.

    def prepare(self, accessed_only: bool) -> None:
        """Make sure that ``save`` will succeed.  Raises what it does."""
        if not self._deleted:
            self._encode(self.accessed_dict if accessed_only else dict(self))

    def release(self) -> None:
        """There is nothing to release."""
