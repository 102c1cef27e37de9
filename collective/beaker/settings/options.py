"""The options of sessions and caches: Beaker's, and those of this package.

Which there are, how their text is read, what holds where they are not set,
and which of them must never be shown.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from http.cookies import Morsel
from inspect import signature
from typing import Any

from beaker.converters import asbool
from beaker.session import Session
from beaker.util import parse_cache_config_options


Reader = Callable[[str], Any]
"""Turns text into a value; a ValueError's message says what is allowed."""

AUTO = "auto"
"""The value of ``secure`` that asks whether the visitor's URL is https."""

KEY_OPTIONS = ("secret", "validate_key", "encrypt_key")
"""Options that sign or encrypt."""

FALLBACK_OPTIONS = {
    "secret_fallbacks": "secret",
    "validate_key_fallbacks": "validate_key",
}
"""Options that hold former keys, and those that hold the current one."""

FOLDER_OPTIONS = ("data_dir", "lock_dir", "file_dir", "dbm_dir")
"""Options that name a folder."""

# Greedy, since a password may hold any character.
_CREDENTIALS = re.compile(
    r"(?<=//).*(?=@)|^[^/?]*(?=@)"
    r"|((?:passw(?:or)?d|passcode|pwd|token)(?:%3D|%3A|\W)).*",
    re.IGNORECASE | re.DOTALL,
)

_SENSITIVE = re.compile(
    "secret|passw|passcode|pwd|token|auth|credential|(?<!^)key(?!_length)",
    re.IGNORECASE,
)
"""In the names of options that hold a key or a password, also misspelt."""
_DIGITS = re.compile("[0-9]+")

# RFC 6265, section 4.1.1, and the underscores that host names have in fact.
_COOKIE_NAME = re.compile(r"(?!\$)[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_COOKIE_ATTRIBUTES = frozenset(Morsel())
_LABEL = "[0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?"
_COOKIE_DOMAIN = re.compile(rf"\.?{_LABEL}(\.{_LABEL})*")
_COOKIE_PATH = re.compile("/[ -:<-~]*")


def text(value: str) -> str:
    return value


def boolean(value: str) -> bool:
    try:
        return asbool(value)
    except ValueError:
        raise ValueError("on or off") from None


def boolean_or_auto(value: str) -> bool | str:
    if value.lower() == AUTO:
        return AUTO
    try:
        return asbool(value)
    except ValueError:
        raise ValueError("on, off or auto") from None


def whole_number(
    allowed: str, valid: Callable[[int], bool] = lambda number: True
) -> Reader:
    """Return a reader of digits that make a valid number."""

    def read(value: str) -> int:
        if not _DIGITS.fullmatch(value) or not valid(int(value)):
            raise ValueError(allowed)
        return int(value)

    return read


def seconds(remark: str = "") -> Reader:
    """Return a reader of a time that is not over at once."""
    return whole_number(
        f"a whole number of seconds, 1 or more{remark}",
        lambda number: number > 0,
    )


def cookie_expires(value: str) -> bool | timedelta:
    """Read what Beaker reads: first a boolean, then seconds."""
    try:
        return asbool(value)
    except ValueError:
        pass
    read_seconds = whole_number(
        "on (until the browser closes), off (year 2038) "
        "or a whole number of seconds",
        lambda number: number < 2**31,
    )
    return timedelta(seconds=read_seconds(value))


def cookie_name(value: str) -> str:
    """Read a name that Python can send, too."""
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
            "a host name such as example.org, also with a dot before it, in "
            "ASCII (other letters as xn--)"
        )
    return value


def cookie_path(value: str) -> str:
    if not _COOKIE_PATH.fullmatch(value):
        raise ValueError(
            "a path that begins with /, in ASCII, without semicolons"
        )
    return value


def names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def former_keys(value: Any) -> list[str]:
    """Read keys with blanks between them; code may list them as well."""
    keys = value.split() if isinstance(value, str) else value or ()
    return list(filter(None, keys))


def choice(*allowed: str) -> Reader:
    """Return a reader of one of the given words, in any case."""

    def read(value: str) -> str:
        for word in allowed:
            if word.lower() == value.lower():
                return word
        raise ValueError(" or ".join([", ".join(allowed[:-1]), allowed[-1]]))

    return read


SESSION_OPTIONS: dict[str, Reader] = {
    "absolute_timeout": seconds(),
    "auto": boolean,
    "cookie_domain": cookie_domain,
    "cookie_expires": cookie_expires,
    "cookie_path": cookie_path,
    "crypto_type": choice(
        "default", "cryptography", "pycryptodome", "pycrypto"
    ),
    "data_dir": text,
    "data_serializer": choice("pickle", "json"),
    "encrypt_key": text,
    "encrypt_nonce_bits": whole_number(
        "a multiple of 8", lambda number: number > 0 and number % 8 == 0
    ),
    "httponly": boolean,
    "invalidate_corrupt": boolean,
    "key": cookie_name,
    "lock_dir": text,
    "log_file": text,
    "resolution_seconds": whole_number("a whole number of seconds"),
    "samesite": choice("Lax", "Strict", "None"),
    "save_accessed_time": boolean,
    "secret": text,
    "secret_fallbacks": former_keys,
    "secure": boolean_or_auto,
    "socket_timeout": seconds(),
    "sweep_interval": seconds(" (without the line, Zope does not sweep)"),
    "timeout": seconds(" (without the line, sessions do not time out)"),
    "transactional": boolean,
    "type": text,
    "use_cookies": boolean,
    "validate_key": text,
    "validate_key_fallbacks": former_keys,
    "webtest_varname": text,
}

CACHE_OPTIONS: dict[str, Reader] = {
    "data_dir": text,
    "enabled": boolean,
    "expire": whole_number("a whole number of seconds"),
    "key_length": whole_number("a whole number"),
    "lock_dir": text,
    "log_file": text,
    "type": text,
}
"""The options that a cache region may set, too."""

_OWN_DEFAULTS: dict[str, Any] = {
    "absolute_timeout": None,
    "resolution_seconds": 20,
    "secret_fallbacks": (),
    "socket_timeout": 5,
    "sweep_interval": None,
    "transactional": False,
    "validate_key_fallbacks": (),
}

OWN_OPTIONS = frozenset(_OWN_DEFAULTS)
"""The session options that are this package's own, unknown to Beaker."""

SESSION_DEFAULTS: dict[str, Any] = {
    # Those that Beaker's sessions do not name
    "auto": False,
    "lock_dir": None,
    "log_file": None,
    "webtest_varname": None,
    # Beaker's
    **{
        option: parameter.default
        for option, parameter in signature(Session).parameters.items()
        if option in SESSION_OPTIONS
    },
    # Other than Beaker's
    "httponly": True,
    "invalidate_corrupt": True,
    "secure": AUTO,
    **_OWN_DEFAULTS,
}
"""What holds for a session option that is not set."""

CACHE_DEFAULTS: dict[str, Any] = parse_cache_config_options(
    {"cache.regions": "any"}
)["cache_regions"]["any"]
"""What holds for a cache option that is not set: Beaker's own."""

REFUSED_CACHE_OPTIONS = {
    "dbmmodule": "it takes a Python module",
    "expiretime": "its name is expire",
    "namespace": "Beaker sets it itself",
    "sa_opts": "it takes a Python dictionary",
    "starttime": "it takes a point in time",
}
"""Cache options that zope.conf cannot set, and why."""

REFUSED_SESSION_OPTIONS = {
    "dbmmodule": "it takes a Python module",
    "digest_filenames": "Beaker sets it itself",
    "id": "all visitors would share one session",
    "namespace": "Beaker sets it itself",
    "namespace_class": "it takes a Python class",
    "request": "Beaker sets it itself",
    "sa_opts": "it takes a Python dictionary",
    "session_class": "it takes a Python class",
}
"""Session options that zope.conf cannot set, and why."""


def redacted(option: str, value: Any) -> str:
    """Return an option's value as a log may show it.

    Keys and passwords are hidden whole; user and password are taken out of
    URLs.
    """
    if _SENSITIVE.search(option):
        return "(hidden)"
    return _CREDENTIALS.sub(lambda found: f"{found[1] or ''}***", str(value))
