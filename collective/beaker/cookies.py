"""The session cookie: from a request, and onto its response."""

import re
from http.cookies import Morsel
from http.cookies import SimpleCookie

from zExceptions import HTTPException
from ZPublisher.cookie import getCookieValuePolicy
from ZPublisher.HTTPRequest import HTTPRequest
from ZPublisher.HTTPResponse import HTTPBaseResponse
from ZPublisher.HTTPResponse import HTTPResponse


_VISIBLE_ASCII = re.compile("[!-~]+")


def cookie_header(request: HTTPRequest, name: str) -> str:
    """Return a Cookie header that holds the session cookie and no other.

    Beaker reads its cookie from a header.  Here, nothing that another
    application put into the header can hide it, and the value is without
    Zope's percent-encoding.  The result is empty if there is no such cookie,
    or one that cannot be ours.
    """
    value = request.cookies.get(name) or _buried_cookie(request, name)
    if not _VISIBLE_ASCII.fullmatch(value):
        return ""
    cookie: SimpleCookie = SimpleCookie()
    cookie[name] = value
    return cookie.output(header="", sep=";").strip()


def _buried_cookie(request: HTTPRequest, name: str) -> str:
    """Return a cookie that Zope's parser missed.

    It gives up at the first malformed cookie.  Browsers and RFC 6265,
    section 5.4, separate cookies by semicolons, whatever they hold.
    """
    for pair in request.environ.get("HTTP_COOKIE", "").split(";"):
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
    """Put a response's cookie on the exception that answers in its place.

    ``Redirect`` and its kin reach the client with headers of their own.
    """
    if name not in response.cookies or not isinstance(error, HTTPException):
        return
    rendered = HTTPResponse()
    rendered.cookies[name] = response.cookies[name]
    header = dict(rendered.listHeaders())["Set-Cookie"]
    # An exception has one header of a name; names differ by their case.
    taken = getattr(error, "headers", {})
    error.setHeader(
        "set-cookie" if "Set-Cookie" in taken else "Set-Cookie", header
    )
