"""What a response tells of the session: its cookie, and who may store it."""

import re
import threading
from collections.abc import Iterable
from collections.abc import Sequence
from functools import lru_cache
from http.cookies import Morsel
from itertools import filterfalse
from typing import Any

from zExceptions import HTTPException
from zExceptions import HTTPServiceUnavailable
from zope.component import getSiteManager
from zope.interface import Interface
from zope.interface import providedBy
from ZPublisher.HTTPRequest import HTTPRequest
from ZPublisher.HTTPResponse import HTTPBaseResponse
from ZPublisher.HTTPResponse import HTTPResponse

from collective.beaker.ids import without_ids
from collective.beaker.settings.cookie_rules import cookie_errors
from collective.beaker.stores.circuit import PAUSE_SECONDS


_TOKEN = re.compile(
    r'[^",]+|,|(?P<quoted>"(?:[^"\\]|\\.)*(?P<closed>")?)', re.DOTALL
)
"""A part of Cache-Control: text, a comma, or text in quotes.

Quotes that are not closed reach to the end.
"""

_CDN = "cdn-cache-control"
"""The header that takes the place of Cache-Control for shared caches.  Vendors
have one of their own, whose name ends with this (RFC 9213)."""

_SURROGATE = "surrogate-control"
"""The header that does so in the Edge Architecture.  It does not define
``private``, but some caches know it."""

_SHARING = frozenset(["public", "s-maxage"])
"""Directives that let shared caches store a response."""


class ServiceUnavailable(HTTPServiceUnavailable):
    """The same under a name from which error pages get the status.

    Zope looks for it in its table of reasons, and otherwise takes 500.
    """


def unavailable() -> HTTPServiceUnavailable:
    """Return what to raise if sessions cannot be reached."""
    answer = ServiceUnavailable(
        "Sessions cannot be reached. Please try again in a moment."
    )
    answer.setHeader("Retry-After", str(PAUSE_SECONDS))
    # Nobody else's answer, and not the one of a moment later.
    answer.setHeader("Cache-Control", "no-store")
    answer.setHeader("Vary", "Cookie")
    return answer


def send_cookie(
    response: HTTPBaseResponse,
    cookie: "Morsel[str]",
    secure: bool,
    expired: "Iterable[Morsel[str]]" = (),
) -> None:
    """Set the session cookie, in place of an earlier one of its name.

    ``expired`` are cookies of other domains or paths, which remove what the
    browser has there.  Raises ValueError if the cookie would break out of its
    header, or if browsers would reject it; then the response stays as it is.
    """
    error = _error_of(cookie, secure)
    if error:
        raise ValueError(error)
    _drop_cookie(response, cookie.key)
    _set_cookie(response, cookie, secure)
    for other in expired:
        if not _error_of(other, secure):
            rendered = HTTPResponse()
            _set_cookie(rendered, other, secure)
            response.addHeader("Set-Cookie", *_cookies_of(rendered, other.key))


def _error_of(cookie: "Morsel[str]", secure: bool) -> str | None:
    return _cookie_error(
        cookie.key,
        cookie["domain"],
        cookie["path"],
        cookie["samesite"],
        secure,
    )


def _set_cookie(
    response: HTTPBaseResponse, cookie: "Morsel[str]", secure: bool
) -> None:
    attributes = {name: value for name, value in cookie.items() if value}
    attributes["secure"] = secure
    response.setCookie(cookie.key, cookie.coded_value, **attributes)


def _cookies_of(response: HTTPBaseResponse, name: str) -> list[str]:
    """Return the cookies of a name as the response sends them."""
    return [
        value
        for header, value in response.listHeaders()
        if header.lower() == "set-cookie" and value.startswith(f"{name}=")
    ]


@lru_cache(maxsize=64)
def _cookie_error(
    name: str, domain: str, path: str, samesite: str, secure: bool
) -> str | None:
    """Return what is wrong with a cookie; the same ones are sent often."""
    options = {
        "key": name,
        "cookie_domain": domain,
        "cookie_path": path,
        "samesite": samesite,
        "secure": secure,
    }
    for error in cookie_errors(options):
        # Code may have made a path of an id.
        return without_ids(error)
    return None


def depend_on_cookie(response: HTTPBaseResponse) -> None:
    """Tell caches that a response depends on the visitor's cookies."""
    names = [*response.headers, *dict(response.accumulated_headers)]
    if "vary" not in map(str.lower, names):
        response.setHeader("vary", "Cookie")
        return
    vary = ", ".join(_take_headers(response, "vary"))
    fields = {field.strip().lower() for field in vary.split(",")}
    if not fields & {"*", "cookie"}:
        vary = f"{vary}, Cookie" if vary else "Cookie"
    response.setHeader("vary", vary)


def keep_private(response: HTTPBaseResponse) -> None:
    """Tell shared caches that they must not store a response."""
    names = {
        name.lower()
        for name in (*response.headers, *dict(response.accumulated_headers))
    }
    replacing = sorted(filter(_replaces_cache_control, names))
    for name in ("cache-control", *replacing):
        headers = _take_headers(response, name)
        words = ["private", "no-store"] if name == _SURROGATE else ["private"]
        response.setHeader(name, _forbidding(words, ", ".join(headers)))


def _replaces_cache_control(name: str) -> bool:
    """Tell whether certain caches look at a header in place of Cache-Control.

    ``name`` is in lower case.
    """
    return name in (_CDN, _SURROGATE) or name.endswith(f"-{_CDN}")


def _forbidding(words: list[str], cache_control: str) -> str:
    """Return directives that let no shared cache store a response.

    ``words`` are those that say so.  With a value, ``private`` speaks of some
    header fields only (RFC 9111, section 5.2.2.7).
    """
    names = {
        text: text.partition("=")[0].strip().lower()
        for text in map(str.strip, _directives(cache_control))
    }
    there = {text.lower() for text in names}
    forbids = there.issuperset(words) and _SHARING.isdisjoint(names.values())
    if forbids or "no-store" in there:
        return cache_control
    dropped = _SHARING | {"private", ""}
    kept = [text for text, name in names.items() if name not in dropped]
    return ", ".join([*words, *kept])


def _directives(cache_control: str) -> list[str]:
    """Return the directives of Cache-Control.

    A comma in quotes separates none.  A quote that is not closed is a
    character like any other.
    """
    directives: list[list[str]] = [[]]
    for found in _TOKEN.finditer(cache_control):
        unclosed = found["quoted"] and not found["closed"]
        parts = found[0].split(",") if unclosed else [found[0]]
        if found[0] == ",":
            parts = ["", ""]
        directives[-1].append(parts[0])
        directives += [[part] for part in parts[1:]]
    return ["".join(parts) for parts in directives]


def _drop_cookie(response: HTTPBaseResponse, name: str) -> None:
    response.cookies.pop(name, None)
    _take_headers(response, "set-cookie", f"{name}=")


def _take_headers(
    response: HTTPBaseResponse, name: str, start: str = ""
) -> list[str]:
    """Remove headers, and return their values.

    Zope keeps headers in two places, with names in any case.
    """

    def is_wanted(header: tuple[str, str]) -> bool:
        return header[0].lower() == name and header[1].startswith(start)

    headers = [*response.headers.items(), *response.accumulated_headers]
    taken = [value for _, value in filter(is_wanted, headers)]
    if taken:
        kept = filterfalse(is_wanted, response.headers.items())
        response.headers = dict(kept)
        more = filterfalse(is_wanted, response.accumulated_headers)
        response.accumulated_headers = list(more)
    return taken


# Onto an exception


class _Answer(threading.local):
    """What an exception that answers in this thread adds to its headers."""

    is_expected = False
    """Whether a request is failing."""

    of_session = False
    cookies: Sequence[str] = ()


_answer = _Answer()


def answer_by(error: BaseException | None) -> None:
    """Expect that an exception may answer in the response's place.

    ``Redirect`` and its kin reach the client with headers of their own.
    """
    if isinstance(error, HTTPException):
        _answer.is_expected = True
        error.headers = _Headers(getattr(error, "headers", {}))


def takes_cookie(error: BaseException | None, request: HTTPRequest) -> bool:
    """Tell whether the visitor of a request that failed gets its cookie.

    That is so if the error itself is an answer, or has a page.
    """
    return isinstance(error, HTTPException) or has_page(error, request)


def has_page(error: BaseException | None, request: HTTPRequest) -> bool:
    """Tell whether a page answers a request that failed.

    Its answer has all headers that code has set before the error.
    """
    response = request.response
    # It is not there yet when a request has malformed input.
    if getattr(response, "debug_exceptions", False):
        return False
    if response.status >= 400:
        # Without a page, code may have set it.  A page that fails leaves it,
        # but no body.
        return bool(response.body)
    # A page has the status of its error, unless code has locked another: so
    # plone.caching answers 304.
    return _finds_page(error, request)


def _finds_page(error: BaseException | None, request: HTTPRequest) -> bool:
    required = providedBy(error), providedBy(request)
    adapters = getSiteManager().adapters
    return adapters.lookup(required, Interface, "index.html") is not None


def copy_answer(response: HTTPBaseResponse, name: str) -> None:
    """Have the exception that is to answer say the same as a response.

    Call this only if the session was used: the answer depends on the cookie.
    """
    if _answer.is_expected:
        _answer.of_session = True
        _answer.cookies = _cookies_of(response, name)


def forget_answer() -> None:
    """Forget what this thread answered to the request before."""
    vars(_answer).clear()


class _Headers(dict[str, str]):
    """The headers of an exception, with those of this thread's answer.

    One exception may be raised to many visitors, also at the same time: as
    an object at module level, or with headers that belong to its class.  So
    nothing that belongs to a visitor is kept with it.

    It is enough to change ``items``: Zope's publisher and zExceptions, which
    make the answer, read the headers of an exception by no other method.
    """

    def items(self) -> Any:
        answer = HTTPResponse()
        answer.headers = dict(super().items())
        if _answer.of_session:
            depend_on_cookie(answer)
        if _answer.cookies:
            keep_private(answer)
            _drop_cookie(answer, _answer.cookies[0].partition("=")[0])
            for cookie in _answer.cookies:
                answer.addHeader("Set-Cookie", cookie)
        return [*answer.headers.items(), *answer.accumulated_headers]
