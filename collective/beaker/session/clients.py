"""The client of a visitor, in a few words: which browser, on which system."""

import re
from collections.abc import Sequence


LONGEST = 60
"""How many characters a description has at most."""

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
"""What a user agent contains, and the browser that it means.

The first one found counts: most browsers also claim to be others.
"""

_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
"""The same for systems."""

_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9._ -]*")
"""How a user agent begins that is no browser's, such as curl's."""


def describe_client(user_agent: str) -> str:
    """Return a text such as "Firefox on Linux"; "" for an unknown client.

    It has no markup in it, whatever the client calls itself.
    """
    browser = _first(_BROWSERS, user_agent)
    if browser is None:
        product = _PRODUCT.match(user_agent)
        return product[0].strip()[:LONGEST] if product else ""
    system = _first(_SYSTEMS, user_agent)
    return browser if system is None else f"{browser} on {system}"


def stored_client(value: object) -> str:
    """Return a description that was stored; "" for anything else.

    Somebody may have put characters there that control a terminal.
    """
    if not isinstance(value, str) or not value.isprintable():
        return ""
    return value[:LONGEST]


def _first(names: Sequence[tuple[str, str]], user_agent: str) -> str | None:
    found = (name for part, name in names if part in user_agent)
    return next(found, None)
