"""The session cookie: from a request, and onto its response."""

import hmac
import re
import threading
from collections.abc import Mapping
from collections.abc import MutableMapping
from collections.abc import Sequence
from functools import lru_cache
from http.cookies import Morsel
from http.cookies import SimpleCookie
from itertools import filterfalse

from zExceptions import HTTPException
from ZPublisher.cookie import getCookieValuePolicy
from ZPublisher.HTTPResponse import HTTPBaseResponse
from ZPublisher.HTTPResponse import HTTPResponse

from collective.beaker.hidden import HiddenText
from collective.beaker.settings.checks import cookie_errors


MAX_COOKIE_SIZE = 4096
"""Bytes of a cookie that any browser keeps (RFC 6265, section 6.1)."""

SIGNATURE_LENGTH = 40
"""Hexadecimal digits of an HMAC-SHA1, which Beaker puts before a value."""

_VISIBLE_ASCII = re.compile("[!-~]+")
_ID = re.compile("[0-9A-Fa-f]{32,}")

# A quote that is not closed is a character like any other.
_DIRECTIVE = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"|")+')
_SHARING = frozenset(["public", "s-maxage"])


# From the request


def hide_cookie(cookies: MutableMapping[str, str], name: str) -> None:
    """Keep a cookie out of dumps of the request.

    Zope's error log keeps one of each request that fails.
    """
    if name in cookies:
        cookies[name] = HiddenText(cookies[name])


def presented_value(cookies: Mapping[str, str], header: str, name: str) -> str:
    """Return the value of the session cookie that a visitor presents.

    ``cookies`` are those that Zope found in ``header``.  The value is
    without Zope's percent-encoding.  It is empty if there is no such cookie,
    or one that cannot be ours.
    """
    value = cookies.get(name) or _buried_cookie(header, name)
    return value if _VISIBLE_ASCII.fullmatch(value) else ""


def cookie_header(name: str, value: str) -> str:
    """Return a Cookie header that holds one cookie, for Beaker to read."""
    cookie: SimpleCookie = SimpleCookie()
    if value:
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


def signing_key(value: str, keys: Sequence[str]) -> int | None:
    """Return the position of the first key whose signature a value bears.

    The signature is Beaker's, see ``beaker.session.SignedCookie``.
    """
    if not value.isascii():
        return None
    signature = value[:SIGNATURE_LENGTH]
    content = unsigned(value).encode()
    for position, key in enumerate(keys):
        signer = _signer(key).copy()
        signer.update(content)
        if hmac.compare_digest(signature, signer.hexdigest()):
            return position
    return None


@lru_cache(maxsize=16)
def _signer(key: str) -> hmac.HMAC:
    """Return what has hashed a key, which takes as long as a signature."""
    return hmac.new(key.encode(), digestmod="sha1")


def unsigned(value: str) -> str:
    """Return what stands behind the signature of a value."""
    return value[SIGNATURE_LENGTH:]


# Onto the response


def cookie_size(name: str, value: str) -> int:
    """Return the bytes of a cookie's name and value as Zope sends them."""
    sent = getCookieValuePolicy().dump(name, value)
    return len(f"{name}={sent}".encode())


def send_cookie(
    response: HTTPBaseResponse, cookie: Morsel, secure: bool
) -> None:
    """Set the session cookie, in place of an earlier one of its name.

    Raises ValueError if it would break out of its header, or if browsers
    would reject it; then the response stays as it is.
    """
    options = {
        "key": cookie.key,
        "cookie_domain": cookie["domain"],
        "cookie_path": cookie["path"],
        "samesite": cookie["samesite"],
        "secure": secure,
    }
    for error in cookie_errors(options):
        # Code may have made a path of an id.
        raise ValueError(_ID.sub("***", error))
    attributes = {name: value for name, value in cookie.items() if value}
    attributes["secure"] = secure
    _drop_cookie(response, cookie.key)
    response.setCookie(cookie.key, cookie.coded_value, **attributes)


def depend_on_cookie(response: HTTPBaseResponse) -> None:
    """Tell caches that a response depends on the visitor's cookies."""
    if not _has_header(response, "vary"):
        response.setHeader("Vary", "Cookie")
        return
    vary = ", ".join(_take_headers(response, "vary"))
    fields = {field.strip().lower() for field in vary.split(",")}
    if not fields & {"*", "cookie"}:
        vary = f"{vary}, Cookie" if vary else "Cookie"
    response.setHeader("vary", vary)


def keep_private(response: HTTPBaseResponse) -> None:
    """Tell shared caches that they must not store a response."""
    directives = ", ".join(_take_headers(response, "cache-control"))
    response.setHeader("cache-control", _private(directives))


def _private(cache_control: str) -> str:
    """Return directives that let no shared cache store a response.

    With a value, ``private`` speaks of some header fields only (RFC 9111,
    section 5.2.2.7).
    """
    names = {
        text: text.partition("=")[0].strip().lower()
        for text in map(str.strip, _DIRECTIVE.findall(cache_control))
    }
    words = {text.lower() for text in names}
    private = "private" in words and _SHARING.isdisjoint(names.values())
    if private or "no-store" in words:
        return cache_control
    dropped = _SHARING | {"private", ""}
    kept = [text for text, name in names.items() if name not in dropped]
    return ", ".join(["private", *kept])


def _drop_cookie(response: HTTPBaseResponse, name: str) -> None:
    response.cookies.pop(name, None)
    _take_headers(response, "set-cookie", f"{name}=")


def _has_header(response: HTTPBaseResponse, name: str) -> bool:
    names = [*response.headers, *dict(response.accumulated_headers)]
    return name in map(str.lower, names)


def _take_headers(
    response: HTTPBaseResponse, name: str, start: str = ""
) -> list[str]:
    """Remove headers, and return their values.

    Zope keeps headers in two places, with names in any case.
    """

    def wanted(header: tuple[str, str]) -> bool:
        return header[0].lower() == name and header[1].startswith(start)

    headers = response.headers.items()
    more = response.accumulated_headers
    response.headers = dict(filterfalse(wanted, headers))
    response.accumulated_headers = list(filterfalse(wanted, more))
    return [value for _, value in filter(wanted, [*headers, *more])]


# Onto an exception


class _Answer(threading.local):
    """What an exception that answers in this thread adds to its headers."""

    of_session = False
    cookie = ""


_answer = _Answer()


def copy_answer(
    response: HTTPBaseResponse, name: str, error: BaseException | None
) -> None:
    """Have the exception that may answer in a response's place say the same.

    ``Redirect`` and its kin reach the client with headers of their own.  Call
    this only if the session was used: the answer depends on the cookie.
    """
    if not isinstance(error, HTTPException):
        return
    _answer.of_session = True
    if name in response.cookies:
        rendered = HTTPResponse()
        rendered.cookies[name] = response.cookies[name]
        _answer.cookie = dict(rendered.listHeaders())["Set-Cookie"]
    error.headers = _Headers(getattr(error, "headers", {}))


def forget_answer() -> None:
    """Forget what this thread answered to the request before."""
    vars(_answer).clear()


class _Headers(dict):
    """The headers of an exception, with those of this thread's answer.

    One exception may be raised to many visitors, also at the same time: as
    an object at module level, or with headers that belong to its class.  So
    nothing that belongs to a visitor is kept with it.
    """

    def items(self) -> list[tuple[str, str]]:
        answer = HTTPResponse()
        answer.headers = dict(super().items())
        if _answer.of_session:
            depend_on_cookie(answer)
        if _answer.cookie:
            keep_private(answer)
            _drop_cookie(answer, _answer.cookie.partition("=")[0])
            answer.addHeader("Set-Cookie", _answer.cookie)
        return [*answer.headers.items(), *answer.accumulated_headers]
