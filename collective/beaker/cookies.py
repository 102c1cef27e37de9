"""The session cookie: from a request, and onto its response."""

import re
import threading
from collections.abc import Mapping
from http.cookies import Morsel
from http.cookies import SimpleCookie

from zExceptions import HTTPException
from ZPublisher.cookie import getCookieValuePolicy
from ZPublisher.HTTPResponse import HTTPBaseResponse
from ZPublisher.HTTPResponse import HTTPResponse


_VISIBLE_ASCII = re.compile("[!-~]+")

# The cookie that an exception may answer with, for each thread.
_answer = threading.local()


def cookie_header(cookies: Mapping[str, str], header: str, name: str) -> str:
    """Return a Cookie header that holds the session cookie and no other.

    ``cookies`` are those that Zope found in ``header``.  Beaker reads its
    cookie from a header.  In this one, nothing that another application sent
    can hide it, and the value is without Zope's percent-encoding.  It is
    empty if there is no such cookie, or one that cannot be ours.
    """
    value = cookies.get(name) or _buried_cookie(header, name)
    if not _VISIBLE_ASCII.fullmatch(value):
        return ""
    cookie: SimpleCookie = SimpleCookie()
    cookie[name] = value
    return cookie.output(header="", sep=";").strip()


def _buried_cookie(header: str, name: str) -> str:
    """Return a cookie that Zope's parser missed.

    It gives up at the first malformed cookie.  Browsers and RFC 6265,
    section 5.4, separate cookies by semicolons, whatever they hold.
    """
    for pair in header.split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return getCookieValuePolicy().load(name, value.strip('"'))
    return ""


def set_cookie(response: HTTPBaseResponse, cookie: Morsel) -> None:
    """Set a cookie on a response, in place of an earlier one of its name."""
    response.cookies.pop(cookie.key, None)
    attributes = {name: value for name, value in cookie.items() if value}
    response.setCookie(cookie.key, cookie.coded_value, **attributes)


def copy_cookie(
    response: HTTPBaseResponse, name: str, error: BaseException | None
) -> None:
    """Put a response's cookie on the exception that may answer in its place.

    ``Redirect`` and its kin reach the client with headers of their own.
    """
    if name not in response.cookies or not isinstance(error, HTTPException):
        return
    rendered = HTTPResponse()
    rendered.cookies[name] = response.cookies[name]
    _answer.cookie = dict(rendered.listHeaders())["Set-Cookie"]
    error.headers = _Headers(getattr(error, "headers", {}))


def forget_copied_cookie() -> None:
    """Forget the cookie of the request that this thread answered before."""
    _answer.cookie = None


class _Headers(dict):
    """The headers of an exception, and the cookie of this thread's answer.

    One exception may be raised to many visitors, also at the same time: as
    an object at module level, or with headers that belong to its class.  So
    the cookie is not kept with it.
    """

    def items(self) -> list[tuple[str, str]]:
        headers = list(super().items())
        if cookie := getattr(_answer, "cookie", None):
            headers.append(("Set-Cookie", cookie))
        return headers
