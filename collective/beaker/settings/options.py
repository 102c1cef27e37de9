"""The options of sessions and caches: Beaker's, and those of this package.

This module says which options exist, how their text is read, what their
defaults are, and which of them must never be shown.
"""

import math
import os
import re
from collections import UserList
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Set
from datetime import datetime
from datetime import timedelta
from inspect import signature
from typing import Any

from beaker.session import Session
from beaker.util import parse_cache_config_options

from collective.beaker.settings.cookie_rules import cookie_domain
from collective.beaker.settings.cookie_rules import cookie_name
from collective.beaker.settings.cookie_rules import cookie_path
from collective.beaker.settings.cookie_rules import samesite
from collective.beaker.settings.readers import AUTO
from collective.beaker.settings.readers import Reader
from collective.beaker.settings.readers import boolean
from collective.beaker.settings.readers import boolean_or_auto
from collective.beaker.settings.readers import choice
from collective.beaker.settings.readers import cookie_expires
from collective.beaker.settings.readers import folder_name
from collective.beaker.settings.readers import read_former_keys
from collective.beaker.settings.readers import seconds
from collective.beaker.settings.readers import text
from collective.beaker.settings.readers import whole_number


KEY_OPTIONS = ("secret", "validate_key", "encrypt_key")
"""Options that hold a key to sign or encrypt with."""

FALLBACK_OPTIONS = {
    "secret_fallbacks": "secret",
    "validate_key_fallbacks": "validate_key",
}
"""Options that hold former keys, each with the option of the current key."""

_USER = re.compile(r"\A[^/?]*(?=@)", re.DOTALL)
"""User and password at the beginning of an address."""

_PASSWORD = re.compile(
    r"((?:passw(?:or)?d|passcode|pwd|token)(?:%3D|%3A|\W)"
    r"|(?:pass|passphrase|auth|credentials?|secret|key)(?:%3D|=)).*",
    re.IGNORECASE | re.DOTALL,
)
"""A password among the parameters of an address.

Nothing behind it is shown, since a password may contain any character.
"""

_SENSITIVE = re.compile(
    "secret|pass|pwd|token|auth|credential|(?<!^)key(?!_length)",
    re.IGNORECASE,
)
"""What names of options with a key or a password contain, even misspelt."""

_LONGEST_WAIT = 3600
"""The largest ``socket_timeout``, in seconds: far longer than any visitor
waits, and as long as each client library can."""


SESSION_OPTIONS: dict[str, Reader] = {
    "absolute_timeout": seconds(),
    "auto": boolean,
    "cookie_domain": cookie_domain,
    "cookie_expires": cookie_expires,
    "cookie_path": cookie_path,
    "crypto_type": choice(
        "default", "cryptography", "pycryptodome", "pycrypto"
    ),
    "data_dir": folder_name,
    "data_serializer": choice("pickle", "json"),
    "encrypt_key": text,
    "encrypt_nonce_bits": whole_number(
        "a multiple of 8", lambda number: number > 0 and number % 8 == 0
    ),
    "httponly": boolean,
    "invalidate_corrupt": boolean,
    "key": cookie_name,
    "lock_dir": folder_name,
    "log_file": text,
    "login_policy": choice("bind", "rotate", "off"),
    "resolution_seconds": whole_number("a whole number of seconds"),
    "samesite": samesite,
    "save_accessed_time": boolean,
    "secret": text,
    "secret_fallbacks": read_former_keys,
    "secure": boolean_or_auto,
    "socket_timeout": seconds(largest=_LONGEST_WAIT),
    "sweep_interval": seconds(" (without the line, Zope does not sweep)"),
    "timeout": seconds(" (without the line, sessions do not time out)"),
    "transactional": boolean,
    "type": text,
    "use_cookies": boolean,
    "validate_key": text,
    "validate_key_fallbacks": read_former_keys,
    "webtest_varname": text,
    "zope_session": boolean,
}

CACHE_OPTIONS: dict[str, Reader] = {
    "data_dir": folder_name,
    "enabled": boolean,
    "expire": whole_number("a whole number of seconds"),
    "key_length": whole_number("a whole number"),
    "lock_dir": folder_name,
    "lock_timeout": seconds(),
    "log_file": text,
    "max_entries": whole_number(
        "a whole number, 1 or more", lambda number: number > 0
    ),
    "secret": text,
    "secret_fallbacks": read_former_keys,
    "socket_timeout": seconds(largest=_LONGEST_WAIT),
    "stale": whole_number("a whole number of seconds"),
    "type": text,
}
"""The options of caches, which a cache region may set, too."""

WHOLE_CACHE_OPTIONS: dict[str, Reader] = {"memoize": text}
"""The options of caches that no region has, apart from ``regions``."""

METRICS_OPTIONS: dict[str, Reader] = {"token": text}
"""The options of the figures for Prometheus.

They are neither of sessions nor of caches: an option of sessions would begin
sessions where there are only caches, and one of caches belongs to regions,
too.
"""

_OWN_DEFAULTS: dict[str, Any] = {
    "absolute_timeout": None,
    "login_policy": "bind",
    "resolution_seconds": 20,
    "secret_fallbacks": (),
    "socket_timeout": 5,
    "sweep_interval": None,
    "transactional": False,
    "validate_key_fallbacks": (),
    "zope_session": False,
}

OWN_OPTIONS = frozenset(_OWN_DEFAULTS)
"""The session options of this package, which Beaker does not know."""

SESSION_DEFAULTS: dict[str, Any] = {
    # Options that Beaker's sessions do not name
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
    # Defaults that differ from Beaker's
    "httponly": True,
    "invalidate_corrupt": True,
    "secure": AUTO,
    **_OWN_DEFAULTS,
}
"""The defaults of the session options."""

OWN_CACHE_DEFAULTS: dict[str, Any] = {
    "lock_timeout": 10,
    "max_entries": 10_000,
    "secret": None,
    "secret_fallbacks": (),
    "socket_timeout": 1,
    "stale": None,
}
"""The cache options of this package, which Beaker does not know, and their
defaults."""

CACHE_DEFAULTS: dict[str, Any] = {
    **parse_cache_config_options({"cache.regions": "any"})["cache_regions"][
        "any"
    ],
    **OWN_CACHE_DEFAULTS,
}
"""The defaults of the cache options; those of Beaker's options are its own."""

REFUSED_CACHE_OPTIONS = {
    "expiretime": "its name is expire",
    "namespace": "Beaker sets it itself",
    "starttime": "it takes a point in time",
}
"""Cache options that zope.conf cannot set, and why."""

REFUSED_SESSION_OPTIONS = {
    "digest_filenames": "Beaker sets it itself",
    "id": "all visitors would share one session",
    "namespace": "Beaker sets it itself",
    "namespace_class": "it takes a Python class",
    "request": "Beaker sets it itself",
    "session_class": "it takes a Python class",
}
"""Session options that zope.conf cannot set, and why."""

COMMON_OPTIONS = frozenset(
    [
        *SESSION_OPTIONS,
        *CACHE_OPTIONS,
        *REFUSED_SESSION_OPTIONS,
        *REFUSED_CACHE_OPTIONS,
    ]
)
"""The options that sessions or caches have with every kind of store."""


def with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return session options, with defaults for those that are missing."""
    return {**SESSION_DEFAULTS, **options}


def _is_expiry(value: Any) -> bool:
    return isinstance(value, bool | datetime | timedelta)


def _is_path(value: Any) -> bool:
    return isinstance(value, os.PathLike)


def _is_list_of_texts(value: Any) -> bool:
    # A list in the ZODB is a UserList.
    return isinstance(value, list | tuple | UserList | Set) and all(
        isinstance(each, str) for each in value
    )


def _is_serializer(value: Any) -> bool:
    return hasattr(value, "dumps") and hasattr(value, "loads")


_PYTHON_VALUES: dict[str, Callable[[Any], bool]] = {
    "cookie_expires": _is_expiry,
    "data_dir": _is_path,
    "data_serializer": _is_serializer,
    "lock_dir": _is_path,
    "log_file": _is_path,
    "samesite": lambda value: value is None,
    "secret_fallbacks": _is_list_of_texts,
    "validate_key_fallbacks": _is_list_of_texts,
}
"""What session options may be in Python, if that is not what their text is
read as."""


_CLASSES = ("namespace_class", "session_class")
"""Options that are no text in Python either, but what makes an object."""


def check_python_value(option: str, value: Any) -> None:
    """Check what code has set a session option to, unless that is a text.

    Raises ValueError with what is allowed.
    """
    if option in _CLASSES and not (value is None or callable(value)):
        raise ValueError("a Python class")
    if option not in SESSION_OPTIONS:
        return
    is_off = not value and not SESSION_DEFAULTS[option]
    is_allowed = _PYTHON_VALUES.get(option)
    if is_off or (is_allowed and is_allowed(value)):
        return
    if isinstance(value, float) and math.isfinite(value):
        # Times may be parts of a second.
        value = math.ceil(value)
    read = SESSION_OPTIONS[option](str(value))
    if is_allowed or read != value:
        is_text = isinstance(read, str | list)
        raise ValueError("text" if is_text else repr(read))


def redacted(option: str, value: Any) -> str:
    """Return an option's value as it may be shown in a log.

    Keys and passwords are hidden.  In URLs, user and password are replaced.
    """
    if _SENSITIVE.search(option):
        return "(hidden)"
    shown = _USER.sub("***", _without_user(str(value)))
    return _PASSWORD.sub(r"\1***", shown)


def _without_user(address: str) -> str:
    """Hide all that stands between ``//`` and the last ``@`` of an address.

    A pattern would look for that ``@`` from each ``//`` anew.
    """
    before, _, host = address.rpartition("@")
    scheme, slashes, _ = before.partition("//")
    return f"{scheme}//***@{host}" if slashes else address
