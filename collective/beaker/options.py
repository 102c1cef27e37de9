"""The options that Beaker understands, and how their text is read.

Facts, no behaviour: which options there are for sessions and for caches,
what type each has, and which of them must never be shown.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from http.cookies import Morsel
from typing import Any

from beaker.converters import asbool


Reader = Callable[[str], Any]
"""Turns text into a value; a ValueError's message says what is allowed."""

SESSION_DEFAULTS: dict[str, Any] = {
    "invalidate_corrupt": True,
    "type": None,
    "data_dir": None,
    "key": "beaker.session.id",
    "timeout": None,
    "secret": None,
    "log_file": None,
    "httponly": True,
}
"""What holds for a session option that is not set."""

CACHE_DEFAULTS: dict[str, Any] = {
    "type": "memory",
    "data_dir": None,
    "lock_dir": None,
    "expire": None,
    "enabled": True,
    "log_file": None,
}
"""What holds for a cache option that is not set."""

KEY_OPTIONS = ("secret", "validate_key", "encrypt_key")
"""Options whose values sign or encrypt, and must not be seen."""

FOLDER_OPTIONS = ("data_dir", "lock_dir", "file_dir", "dbm_dir")
"""Options that name a folder."""

# Greedy, since a password may hold any character.
_CREDENTIALS = re.compile("(?<=//).*@|(?<=password=)[^&]*", re.IGNORECASE)
_DIGITS = re.compile("[0-9]+")
_COOKIE_NAME = re.compile(r"(?!\$)[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def text(value: str) -> str:
    return value


def boolean(value: str) -> bool:
    try:
        return asbool(value)
    except ValueError:
        raise ValueError("on or off") from None


def whole_number(
    allowed: str, valid: Callable[[int], bool] = lambda number: True
) -> Reader:
    """Return a reader of digits that make a valid number."""

    def read(value: str) -> int:
        if not _DIGITS.fullmatch(value) or not valid(int(value)):
            raise ValueError(allowed)
        return int(value)

    return read


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
    """Read a token of RFC 6265, section 4.1.1, that Python can send."""
    if not _COOKIE_NAME.fullmatch(value) or value.lower() in Morsel():
        raise ValueError(
            "a cookie name: letters, digits and !#$%&'*+-.^_`|~, no blanks, "
            "no $ at the beginning, and no attribute of cookies such as path"
        )
    return value


def names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def choice(*allowed: str) -> Reader:
    """Return a reader of one of the given words, in any case."""

    def read(value: str) -> str:
        for word in allowed:
            if word.lower() == value.lower():
                return word
        raise ValueError(" or ".join([", ".join(allowed[:-1]), allowed[-1]]))

    return read


SESSION_OPTIONS: dict[str, Reader] = {
    "auto": boolean,
    "cookie_domain": text,
    "cookie_expires": cookie_expires,
    "cookie_path": text,
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
    "samesite": choice("Lax", "Strict", "None"),
    "save_accessed_time": boolean,
    "secret": text,
    "secure": boolean,
    "timeout": whole_number(
        "a whole number of seconds, 1 or more "
        "(without the line, sessions do not time out)",
        lambda number: number > 0,
    ),
    "type": text,
    "use_cookies": boolean,
    "validate_key": text,
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

    Keys are hidden whole; user and password are taken out of URLs.
    """
    if option in KEY_OPTIONS:
        return "(hidden)"
    return _CREDENTIALS.sub("***", str(value))
