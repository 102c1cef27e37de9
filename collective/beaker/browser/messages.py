"""Messages of the buttons, passed on to the page in a sealed cookie."""

import json
from typing import Literal
from typing import NamedTuple

from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.browser.seals import seal
from collective.beaker.browser.seals import unseal


COOKIE = "collective.beaker.message"
"""The name of the cookie."""

_PURPOSE = "message"
"""The purpose of the seal."""

_MOST_IN_COOKIE = 3500
"""How long a sealed message may be: browsers keep 4096 bytes, with the rest of
the cookie."""

_SHORT = 150
"""How much of a longer message is shown: it quotes what was typed."""

Kind = Literal["done", "failed"]
"""Whether a button did its work."""


class Message(NamedTuple):
    """A text that the page shows once."""

    kind: Kind
    text: str
    field: str = ""
    """The name of the form field that it is about, if it is about one."""


def set_message(
    request: HTTPRequest, kind: Kind, text: str, field: str = ""
) -> None:
    """Have the next page show a text, or the beginning of a long one."""
    sealed = _sealed(kind, text, field)
    if len(sealed) > _MOST_IN_COOKIE:
        sealed = _sealed(kind, f"{text[:_SHORT]}…", field)
    request.response.setCookie(
        COOKIE,
        sealed,
        path="/",
        http_only=True,
        same_site="Strict",
        secure=request["SERVER_URL"].startswith("https:"),
    )


def _sealed(*message: str) -> str:
    return seal(_PURPOSE, json.dumps(message))


def pop_message(request: HTTPRequest) -> Message | None:
    """Return the message, if there is one, and remove it."""
    sealed = request.cookies.get(COOKIE)
    if not sealed:
        return None
    request.response.expireCookie(COOKIE, path="/")
    content = unseal(_PURPOSE, sealed)
    return Message(*json.loads(content)) if content else None
