"""What a button has done, on its way to the page: in a cookie, sealed."""

import json
from typing import NamedTuple

from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.browser.seals import seal
from collective.beaker.browser.seals import unseal


COOKIE = "collective.beaker.message"

_PURPOSE = "message"


class Message(NamedTuple):
    """A text that the page shows once."""

    kind: str
    """done or failed"""

    text: str


def leave(request: HTTPRequest, kind: str, text: str) -> None:
    """Have the next page show a text."""
    request.response.setCookie(
        COOKIE,
        seal(_PURPOSE, json.dumps([kind, text])),
        path="/",
        http_only=True,
        same_site="Strict",
        secure=request["SERVER_URL"].startswith("https:"),
    )


def take(request: HTTPRequest) -> Message | None:
    """Return what was left, once."""
    sealed = request.cookies.get(COOKIE)
    if not sealed:
        return None
    request.response.expireCookie(COOKIE, path="/")
    found = unseal(_PURPOSE, sealed)
    return Message(*json.loads(found)) if found else None
