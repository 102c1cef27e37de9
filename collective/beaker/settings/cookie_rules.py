"""What browsers accept as a cookie."""

import re
from collections.abc import Iterator
from collections.abc import Mapping
from http.cookies import Morsel
from typing import Any

from collective.beaker.settings.readers import Reader
from collective.beaker.settings.readers import choice


_COOKIE_NAME = re.compile(r"(?!\$)[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""Names as in RFC 6265, section 4.1.1, without a dollar sign at the start."""

_COOKIE_ATTRIBUTES = frozenset(Morsel())

_LABEL = "[0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?"
"""A part of a host name.  In practice, there are names with underscores."""

_COOKIE_DOMAIN = re.compile(rf"\.?{_LABEL}(\.{_LABEL})*")

_COOKIE_PATH = re.compile("/[ -:<-~]*")


def cookie_name(value: str) -> str:
    """Read a name that browsers accept and Python can send."""
    if (
        not _COOKIE_NAME.fullmatch(value)
        or value.lower() in _COOKIE_ATTRIBUTES
    ):
        raise ValueError(
            "a cookie name: letters, digits and !#$%&'*+-.^_`|~, no blanks, "
            "no $ at the beginning, and no attribute of cookies such as path"
        )
    return value


def cookie_domain(value: str) -> str:
    if not _COOKIE_DOMAIN.fullmatch(value):
        raise ValueError(
            "a host name such as example.org, optionally with a dot before "
            "it, in ASCII (other letters as xn--)"
        )
    return value


def cookie_path(value: str) -> str:
    if not _COOKIE_PATH.fullmatch(value):
        raise ValueError(
            "a path that begins with /, in ASCII, without semicolons"
        )
    return value


samesite = choice("Lax", "Strict", "None")
"""The reader of the option ``samesite``."""

_READERS: dict[str, Reader] = {
    "key": cookie_name,
    "cookie_domain": cookie_domain,
    "cookie_path": cookie_path,
    "samesite": samesite,
}


def cookie_errors(options: Mapping[str, Any]) -> Iterator[str]:
    """Check that browsers will accept the session cookie.

    Code may have set the options to values that no reader has seen.  Only
    these options are needed: key, cookie_domain, cookie_path, samesite and
    secure.
    """
    for option, reader in _READERS.items():
        value = options[option]
        if not value and option in ("cookie_domain", "samesite"):
            continue
        try:
            reader(value if isinstance(value, str) else "")
        except ValueError as error:
            yield f"session.{option} is {value!r}; allowed is {error}."
    yield from _secure_errors(options)


def _secure_errors(options: Mapping[str, Any]) -> Iterator[str]:
    """Check what browsers accept only together with Secure."""
    secure = options["secure"] is True
    if str(options["samesite"] or "").lower() == "none" and not secure:
        yield (
            "session.samesite is 'None', which browsers accept only together "
            "with session.secure on. Set that, or choose Lax or Strict."
        )
    name = str(options["key"])
    if name.lower().startswith("__secure-") and not secure:
        yield (
            f"session.key is {name!r}, which browsers accept only together "
            "with session.secure on. Set that, or choose another name."
        )
    own_host = options["cookie_path"] == "/" and not options["cookie_domain"]
    if name.lower().startswith("__host-") and not (secure and own_host):
        yield (
            f"session.key is {name!r}, which browsers accept only together "
            "with session.secure on, with session.cookie_path / and without "
            "session.cookie_domain. Set these, or choose another name."
        )
