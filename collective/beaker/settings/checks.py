"""Checks of options against each other, once each of them has been read.

Each function yields messages that name the setting, the value and the remedy.
"""

import os
import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from importlib.util import find_spec
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from beaker.crypto import get_crypto_module

from collective.beaker.settings.backends import Backend
from collective.beaker.settings.backends import are_stored
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.backends import has_library
from collective.beaker.settings.backends import kind_of
from collective.beaker.settings.backends import places_of
from collective.beaker.settings.cookie_rules import cookie_checks
from collective.beaker.settings.keys import SHORT_KEY
from collective.beaker.settings.keys import former_key_warnings
from collective.beaker.settings.keys import key_warnings
from collective.beaker.settings.keys import might_be_guessed
from collective.beaker.settings.options import FALLBACK_OPTIONS
from collective.beaker.settings.options import KEY_OPTIONS
from collective.beaker.settings.options import redacted
from collective.beaker.settings.readers import former_keys


_BEARER = re.compile("[A-Za-z0-9._~+/-]+=*")
"""What a bearer token consists of (RFC 6750)."""

DIFFER_IN_ONE_PLACE = (
    "are kept in one place, but have different timeouts, and a sweep removes "
    "them by the longer ones. Give one of them a place of its own, such as "
    "another session.data_dir."
)
"""What a warning says of sessions for which ``differ_in_one_place`` holds."""

Options = Mapping[str, Any]


class Misread(Exception):
    """A check asks for an option whose text could not be read."""


class ReadOptions(Options):
    """Options, some of which could not be read.

    Asking for one of these raises Misread: a check that made something of
    the default in its place would mislead.
    """

    def __init__(self, options: Options, misread: AbstractSet[str]):
        self._options = options
        self._misread = misread

    def __getitem__(self, option: str) -> Any:
        if option in self._misread:
            raise Misread(option)
        return self._options[option]

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __len__(self) -> int:
        return len(self._options)


def _findings(checks: Iterable[Iterator[str]]) -> Iterator[str]:
    """Yield what checks find.

    A check ends where it asks for an option that could not be read.  So an
    option that is wrong hides no mistake that has nothing to do with it.
    """
    for check in checks:
        with suppress(Misread):
            yield from check


def backend_errors(
    prefix: str, options: Options, name: str, backend: Backend
) -> Iterator[str]:
    """Check that a backend has the options and libraries that it needs."""
    return _findings(
        [
            _library_errors(prefix, options, name, backend),
            _missing_errors(prefix, options, name, backend),
            _address_errors(prefix, options, backend),
        ]
    )


def _library_errors(
    prefix: str, options: Options, name: str, backend: Backend
) -> Iterator[str]:
    if not has_library(backend):
        yield (
            f"{prefix}.type is {name!r}, but its client library is not "
            f"installed. Install collective.beaker[{backend.extra}]."
        )


def _missing_errors(
    prefix: str, options: Options, name: str, backend: Backend
) -> Iterator[str]:
    if backend.needs and not any(
        all(map(options.get, group)) for group in backend.needs
    ):
        missing = " and ".join(
            f"{prefix}.{option}"
            for option in backend.needs[0]
            if not options.get(option)
        )
        yield f"{prefix}.type is {name!r}, which needs {missing}. Set it."


def _address_errors(
    prefix: str, options: Options, backend: Backend
) -> Iterator[str]:
    address = options.get(backend.address)
    if not address or not isinstance(address, str):
        return
    if not has_library(backend):
        # It may be needed to understand the address.
        return
    if reason := backend.address_error(address):
        shown = redacted(backend.address, address)
        yield f"{prefix}.{backend.address} is {shown!r}: {reason}."


def session_errors(options: Options) -> Iterator[str]:
    """Check the options of sessions against each other.

    Here and below, ``options`` include those with default values.
    """
    return _findings(
        [
            _timeout_errors(options),
            login_errors(options),
            *(
                _fallback_errors(options, option, current)
                for option, current in FALLBACK_OPTIONS.items()
            ),
            *(
                _character_errors(options, option)
                for option in (
                    "validate_key",
                    "encrypt_key",
                    "validate_key_fallbacks",
                )
            ),
            _encryption_errors(options),
            _library_of_encryption_errors(options),
            *cookie_checks(options),
        ]
    )


def _timeout_errors(options: Options) -> Iterator[str]:
    if options["timeout"] and not options["save_accessed_time"]:
        yield (
            f"session.timeout is {options['timeout']}, which needs the access "
            "time. Remove session.save_accessed_time off, or the timeout."
        )


def login_errors(options: Options) -> Iterator[str]:
    """Check that a planted session does not become a login."""
    if options["zope_session"] and options["login_policy"] == "off":
        yield (
            "session.zope_session is on and session.login_policy is 'off': "
            "code that keeps logins in request.SESSION would log in anyone "
            "who has planted a session. Remove session.login_policy."
        )


def _fallback_errors(
    options: Options, option: str, current: str
) -> Iterator[str]:
    if options[option] and not options[current]:
        yield (
            f"session.{option} (hidden) holds former keys, which needs "
            f"session.{current}, the current key. Set it."
        )


def _character_errors(options: Options, option: str) -> Iterator[str]:
    if not "".join(map(str, former_keys(options[option]))).isascii():
        yield (
            f"session.{option} (hidden) has characters outside ASCII, "
            "which Beaker cannot use. Choose another key."
        )


def _encryption_errors(options: Options) -> Iterator[str]:
    if options["encrypt_key"] and not options["validate_key"]:
        yield (
            "session.encrypt_key (hidden) works only together with "
            "session.validate_key. Set both."
        )


def _library_of_encryption_errors(options: Options) -> Iterator[str]:
    encrypted = options["encrypt_key"]
    crypto_type = options["crypto_type"]
    if crypto_type == "default" and not encrypted:
        return
    if not _has_aes(crypto_type):
        setting = "encrypt_key (hidden)"
        if crypto_type != "default":
            setting = f"crypto_type is {crypto_type!r}, but it"
        yield (
            f"session.{setting} needs an AES library, and none is "
            "installed: Beaker would store plain text or fail. "
            "Install collective.beaker[crypto]."
        )
    elif encrypted and are_stored(options) and not authenticates(crypto_type):
        yield unauthenticated_error(crypto_type)


def unauthenticated_error(crypto_type: str) -> str:
    """Return the error of a library that decrypts what others have changed."""
    return (
        f"session.encrypt_key (hidden) and session.crypto_type "
        f"{crypto_type!r} mean an encryption that does not notice changes: "
        "anyone who can write to the store could have Zope run code. Install "
        "collective.beaker[crypto] and set session.crypto_type cryptography; "
        "sessions that are encrypted in the other way end."
    )


def authenticates(crypto_type: str) -> bool:
    """Tell whether an AES library refuses to decrypt what was changed.

    A signed cookie does not need that, as nobody else can change it.
    """
    module: ModuleType = get_crypto_module(crypto_type)
    key = os.urandom(module.getKeyLength())
    changed = bytearray(module.aesEncrypt(b"data", key))
    changed[-1] ^= 1
    try:
        module.aesDecrypt(bytes(changed), key)
    except Exception:
        return True
    return False


def _has_aes(crypto_type: str) -> bool:
    try:
        return bool(get_crypto_module(crypto_type).has_aes)
    except ImportError:
        return False


def session_warnings(options: Options, backend: Backend) -> Iterator[str]:
    """Warn of keys that might be guessed, and of what a backend cannot do."""
    end = "every visitor then begins a new session"
    return _findings(
        [
            *(
                key_warnings(f"session.{option}", options, option, end)
                for option in KEY_OPTIONS
            ),
            *(
                former_key_warnings(f"session.{option}", options, option)
                for option in FALLBACK_OPTIONS
            ),
            _sweep_warnings(options, backend),
            _backend_warnings(options, backend),
            class_warnings(options),
        ]
    )


def class_warnings(options: Options) -> Iterator[str]:
    """Warn of a session class, which code has set and which knows no users."""
    policy = options["login_policy"]
    session_class = options.get("session_class")
    if session_class is None or policy == "off":
        return
    remedy = (
        "Call session.regenerate_id() at each login, and set "
        "session.login_policy off."
    )
    if options["zope_session"]:
        remedy = "Remove session.session_class or session.zope_session."
    name = getattr(session_class, "__name__", type(session_class).__name__)
    yield (
        f"session.login_policy is {policy!r}, but has no effect on a session "
        f"of the class {name} (session.session_class): if somebody planted "
        f"one in a browser, it stays theirs after a login there. {remedy}"
    )


def sharing_warnings(
    session: Options, caches: Mapping[str, Options]
) -> Iterator[str]:
    """Warn of caches that may push sessions out of a server's memory."""
    backend = backend_of(session)
    if not backend.shares_memory:
        return
    places = backend.places(session)
    for prefix, options in caches.items():
        if kind_of(options) != kind_of(session):
            continue
        if not places.isdisjoint(backend.places(options)):
            yield (
                f"session.type and {prefix}.type are {backend.name!r}, and "
                f"both keep what they store in one {backend.place}: "
                "emptying that ends all sessions, and where it is full, "
                "values of caches may push sessions out. "
                f"Give the caches a {backend.place} of their own."
            )
            return


def differ_in_one_place(one: Options, other: Options) -> bool:
    """Tell whether sessions of two sites share a place, but no timeouts."""
    return any(
        one.get(timeout) != other.get(timeout)
        for timeout in ("timeout", "absolute_timeout")
    ) and not places_of(one).isdisjoint(places_of(other))


def _sweep_warnings(options: Options, backend: Backend) -> Iterator[str]:
    """Warn if there would be nothing to sweep."""
    if not options["sweep_interval"]:
        return
    setting = f"session.sweep_interval is {options['sweep_interval']}"
    if not backend.lists:
        yield (
            f"{setting}, but session.type is {options['type']!r}, a store "
            "that cannot list its sessions. Remove session.sweep_interval."
        )
    elif not (options["timeout"] or options["absolute_timeout"]):
        yield (
            f"{setting}, but no session expires. Set session.timeout, or "
            "session.absolute_timeout."
        )


def _backend_warnings(options: Options, backend: Backend) -> Iterator[str]:
    setting = f"session.type is {options['type']!r}"
    if backend.is_foreign:
        yield (
            f"{setting}, a backend of another package: parallel requests of "
            "one visitor in several processes may overwrite each other. "
            "Run one process, or choose another type."
        )
    if not backend.in_browser:
        return
    end = "for ever, since there is no session.timeout"
    if options["timeout"] or options["absolute_timeout"]:
        end = "until it times out"
    yield (
        f"{setting}: a copied cookie works again after logout, {end}; "
        "parallel requests overwrite each other. "
        "Choose another type if that matters."
    )
    if not options["use_cookies"]:
        yield (
            f"{setting}, so that session.use_cookies off has no effect. "
            "Remove one of these lines."
        )
    if options["data_serializer"] == "pickle":
        yield (
            "session.data_serializer is 'pickle', in cookies: anyone who "
            "knows session.validate_key can run code in Zope. "
            "Set session.data_serializer json."
        )


def metrics_errors(options: Options) -> Iterator[str]:
    """Refuse a token that might be guessed, or that no header can hold.

    Anyone may try tokens as often as they like.
    """
    token = options.get("token", "")
    if not token:
        return
    if might_be_guessed(token):
        yield (
            f"metrics.token (hidden) has {len(token)} characters and might "
            f"be guessed. Use {SHORT_KEY} or more, at random, and none from "
            "an example."
        )
    elif not _BEARER.fullmatch(token):
        yield (
            "metrics.token (hidden) has characters that an HTTP header cannot "
            "hold. Use letters, digits and -._~+/ only."
        )


def cache_errors(prefix: str, options: Options) -> Iterator[str]:
    """Check the options of caches, or of a region, against each other."""
    if options["secret_fallbacks"] and not options["secret"]:
        yield (
            f"{prefix}.secret_fallbacks (hidden) holds former keys, which "
            f"needs {prefix}.secret, the current key. Set it."
        )


def cache_warnings(
    caches: Mapping[str, Options], session: Options
) -> Iterator[str]:
    """Warn of values in caches that others could forge.

    ``caches`` are the options of all caches, by the prefix of their settings.
    What a region has from all caches, or these from the sessions, is
    mentioned once.
    """
    end = "all values are then computed anew"
    whole = caches.get("cache", {})
    for prefix, options in caches.items():
        inherited = session if prefix == "cache" else whole
        if options["secret"] != inherited.get("secret"):
            yield from key_warnings(f"{prefix}.secret", options, "secret", end)
        option = "secret_fallbacks"
        if options[option] != inherited.get(option):
            yield from former_key_warnings(
                f"{prefix}.{option}", options, option
            )
        if (
            not options["secret"]
            and (address := _address_elsewhere(options))
            and address != _address_elsewhere(inherited)
        ):
            yield (
                f"{prefix} keeps values at {address}, and they are not "
                "signed: anyone who can write there can run code in Zope. "
                f"Set {prefix}.secret."
            )


def memoize_errors(name: str, regions: Mapping[str, Options]) -> Iterator[str]:
    """Refuse a region for plone.memoize that cannot keep its values."""
    setting = f"cache.memoize is {name!r}"
    if name not in regions:
        there = ", ".join(regions) or "there is none"
        yield (
            f"{setting}, which is no cache region ({there}). Name one of "
            "cache.regions, or add it there."
        )
        return
    with suppress(LookupError):
        if not backend_of(regions[name]).values:
            yield (
                f"{setting}, and the values of this region are kept by a "
                f"backend of another package, {kind_of(regions[name])!r}. "
                f"Choose another cache.{name}.type, or another region."
            )


def memoize_warnings(
    name: str, regions: Mapping[str, Options]
) -> Iterator[str]:
    """Warn if a region for plone.memoize is of little use."""
    setting = f"cache.memoize is {name!r}"
    if not is_memoize_installed():
        yield (
            f"{setting}, and has no effect, as plone.memoize is not "
            "installed. It belongs to Plone. Remove the line."
        )
        return
    if backend_of(regions[name]).per_process:
        yield (
            f"{setting}, and the values of this region are in memory, where "
            f"no other Zope finds them. Choose another cache.{name}.type."
        )
    if regions[name]["expire"] is None:
        yield (
            f"{setting}, and the values of this region never expire, although "
            "most of them are not asked for again once a page is edited. "
            f"Set cache.{name}.expire."
        )


def is_memoize_installed() -> bool:
    """Tell whether there is the package that ``cache.memoize`` is for."""
    try:
        return find_spec("plone.memoize") is not None
    except ModuleNotFoundError:
        return False


def _address_elsewhere(options: Options) -> str | None:
    """Return the address of a store if it is on another machine."""
    try:
        backend = backend_of(options)
    except LookupError:
        return None
    address = options.get(backend.address)
    if not isinstance(address, str):
        return None
    hosts = map(_host, re.split("[;,]", address))
    if any(
        host not in ("", "localhost", "::1", "127.0.0.1") for host in hosts
    ):
        return redacted(backend.address, address)
    return None


def _host(address: str) -> str:
    """Return the host in an address, with or without a scheme."""
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        return parts.hostname or ""
    except ValueError:
        # There is an error about it already.
        return ""
