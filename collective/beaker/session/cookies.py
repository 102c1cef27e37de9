"""The session cookie: its values in a request, its signature, its form."""

import hmac
import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from datetime import timezone
from functools import lru_cache
from http.cookies import Morsel
from http.cookies import SimpleCookie
from typing import Any

from beaker.session import Session
from ZPublisher.cookie import defaultCookieValuePolicy
from ZPublisher.cookie import getCookieValuePolicy

from collective.beaker.ids import LONGEST_ID
from collective.beaker.settings.cookie_rules import cookie_domain
from collective.beaker.settings.cookie_rules import cookie_path


Scope = tuple[str | None, str | None]
"""The domain and the path of a cookie."""

MAX_COOKIE_SIZE = 4096
"""Bytes of a cookie that any browser keeps (RFC 6265, section 6.1)."""

SIGNATURE_LENGTH = 40
"""Hexadecimal digits of an HMAC-SHA1, which Beaker puts before a value."""


_MOST_VALUES = 5
"""How many cookies of one name are considered."""


def presented_values(
    cookies: Mapping[str, str], header: str, name: str
) -> list[str]:
    """Return the values of the session cookies that a visitor presents.

    A browser has several of one name if their domains or paths differ, and
    sends all of them.  ``cookies`` are those that Zope found in ``header``,
    one of each name.  The values are without Zope's percent-encoding.  Those
    that cannot be ours are left out.
    """
    value = cookies.get(name, "")
    if value and header.count(f"{name}=") <= 1:
        return [value] if _VISIBLE.fullmatch(value) else []
    values = dict.fromkeys([value, *_cookies_in(header, name)])
    return list(filter(_VISIBLE.fullmatch, values))[:_MOST_VALUES]


_VISIBLE = re.compile("[!-~]+")
"""What the value of a session cookie consists of: ASCII, without blanks."""

_FORM = re.compile('(?:^|=)"?[0-9a-f]{32}')
"""How the value of a session cookie begins: with an id, or a signature.

Zope's parser takes some cookies for a part of the one before: those between
quotes, or in a second header.
"""


def has_form_of_session(value: Any) -> bool:
    """Tell whether a cookie may be, or hold, that of a session.

    Its name may be any.
    """
    return isinstance(value, str) and _FORM.search(value) is not None


def cookie_header(name: str, value: str) -> str:
    """Return a Cookie header that holds one cookie, for Beaker to read."""
    cookie: SimpleCookie = SimpleCookie()
    if value:
        cookie[name] = value
    return cookie.output(header="", sep=";").strip()


def _cookies_in(header: str, name: str) -> Iterator[str]:
    """Yield the values of all cookies of a name, as Zope's parser may not.

    It takes the first of a name, and gives up at a malformed cookie.
    Browsers and RFC 6265, section 5.4, separate cookies by semicolons,
    whatever they hold.
    """
    load = getCookieValuePolicy().load
    for pair in header.split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            yield load(name, value.strip('"'))


@lru_cache(maxsize=16)
def _signer(key: str) -> hmac.HMAC:
    """Return an HMAC that has hashed a key: that takes as long as signing."""
    return hmac.new(key.encode(), digestmod="sha1")


@lru_cache(maxsize=1024)
def sign_id(id: str, key: str) -> str:
    """Return the signature of an id.

    A visitor often comes back soon, and a signature takes as long as loading
    a small session from memory.
    """
    return sign(id, key)


def sign(content: str, key: str) -> str:
    """Return the signature that Beaker puts before a value."""
    signer = _signer(key).copy()
    signer.update(content.encode())
    return signer.hexdigest()


@dataclass(frozen=True, repr=False)
class CookieMaker:
    """Verifies session cookies, and makes them as the options say."""

    name: str
    secrets: Sequence[str] = ()
    """The first signs; a cookie may be signed with any.  Without a secret
    cookies are not signed."""

    expires: bool | timedelta | datetime = True
    """True is when the browser closes, False is the year 2038."""

    httponly: bool = False
    samesite: str | None = None

    def verify(self, value: str) -> tuple[str, int] | None:
        """Return what a cookie holds, and the position of its secret.

        Returns None if the cookie was signed with none of the secrets.  The
        signature is Beaker's: see ``beaker.session.SignedCookie``.
        """
        if not self.secrets:
            return value, 0
        if not value.isascii():
            return None
        signature = value[:SIGNATURE_LENGTH]
        content = value[SIGNATURE_LENGTH:]
        # Not the data of a session in a cookie, which are long.
        sign_content = sign_id if len(content) <= LONGEST_ID else sign
        for position, key in enumerate(self.secrets):
            if hmac.compare_digest(signature, sign_content(content, key)):
                return content, position
        return None

    def make(
        self, content: str, domain: str | None, path: str | None
    ) -> "Morsel[str]":
        """Return a cookie that holds some content.

        Raises ValueError if ``expires`` has none of its three types.
        """
        return self._morsel(content, domain, path, _expiry(self.expires))

    def expire(
        self, content: str, domain: str | None, path: str | None
    ) -> "Morsel[str]":
        """Return a cookie that removes the one with this domain and path."""
        return self._morsel(content, domain, path, _expiry(-_YEAR))

    def _morsel(
        self, content: str, domain: str | None, path: str | None, expires: str
    ) -> "Morsel[str]":
        signature = sign(content, self.secrets[0]) if self.secrets else ""
        cookie: Morsel[str] = Morsel()
        cookie.set(self.name, content, signature + content)
        attributes: dict[str, Any] = {
            "path": path,
            "domain": domain,
            "expires": expires,
            "samesite": self.samesite,
            "httponly": self.httponly,
        }
        cookie.update(
            {name: value for name, value in attributes.items() if value}
        )
        return cookie


@lru_cache(maxsize=64)
def check_scope(domain: Any, path: Any) -> None:
    """Raise an exception for what is no scope, but was stored as one.

    No cookie could be sent with it, not even one that ends the session.
    """
    if domain:
        cookie_domain(domain)
    cookie_path(path)


def as_compared(scope: Scope) -> Scope:
    """Return a scope in the form in which browsers compare it."""
    domain, path = scope
    return domain and domain.lstrip(".").lower(), path


_YEAR = timedelta(365)


def _expiry(expires: Any) -> str:
    if expires is True:
        return ""
    if expires is False:
        # The last second of a signed 32-bit clock, as Beaker has it.
        expires = datetime.fromtimestamp(0x7FFFFFFF)
    elif isinstance(expires, timedelta):
        expires = datetime.now(timezone.utc) + expires
    elif not isinstance(expires, datetime):
        raise ValueError(
            f"session.cookie_expires is {expires!r}; it must be True, "
            "False, a timedelta or a datetime."
        )
    date: str = Session.serialize_cookie_date(expires)
    return date


def is_small(name: str, value: str) -> bool:
    """Tell whether a cookie is certainly no larger than browsers accept.

    Zope sends at most three characters for each ASCII character.  Measuring
    takes longer.  It is needed if Zope's own policy has been replaced.
    """
    fits = len(name) + 1 + 3 * len(value) <= MAX_COOKIE_SIZE
    return fits and getCookieValuePolicy() is defaultCookieValuePolicy


def cookie_size(name: str, value: str) -> int:
    """Return the bytes of a cookie's name and value as Zope sends them."""
    sent = getCookieValuePolicy().dump(name, value)
    return len(f"{name}={sent}".encode())
