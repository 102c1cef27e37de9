"""What browsers accept as a cookie."""

import re
from collections.abc import Iterator
from collections.abc import Mapping
from http.cookies import Morsel
from itertools import chain
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
    return chain.from_iterable(cookie_checks(options))


def cookie_checks(options: Mapping[str, Any]) -> Iterator[Iterator[str]]:
    """Yield the checks of ``cookie_errors``, one by one."""
    for option, reader in _READERS.items():
        yield _value_errors(options, option, reader)
    yield _samesite_errors(options)
    yield _secure_prefix_errors(options)
    yield _host_prefix_errors(options)


def _value_errors(
    options: Mapping[str, Any], option: str, reader: Reader
) -> Iterator[str]:
    value = options[option]
    if not value and option in ("cookie_domain", "samesite"):
        return
    try:
        reader(value if isinstance(value, str) else "")
    except ValueError as error:
        yield f"session.{option} is {value!r}; it must be {error}."


def _samesite_errors(options: Mapping[str, Any]) -> Iterator[str]:
    is_none = str(options["samesite"] or "").lower() == "none"
    if is_none and options["secure"] is not True:
        yield (
            "session.samesite is 'None', which browsers accept only together "
            "with session.secure on. Set that, or choose Lax or Strict."
        )


def _secure_prefix_errors(options: Mapping[str, Any]) -> Iterator[str]:
    name = str(options["key"])
    has_prefix = name.lower().startswith("__secure-")
    if has_prefix and options["secure"] is not True:
        yield (
            f"session.key is {name!r}, which browsers accept only together "
            "with session.secure on. Set that, or choose another name."
        )


def _host_prefix_errors(options: Mapping[str, Any]) -> Iterator[str]:
    name = str(options["key"])
    if not name.lower().startswith("__host-"):
        return
    own_host = options["cookie_path"] == "/" and not options["cookie_domain"]
    if options["secure"] is not True or not own_host:
        yield (
            f"session.key is {name!r}, which browsers accept only together "
            "with session.secure on, with session.cookie_path / and without "
            "session.cookie_domain. Set these, or choose another name."
        )
