"""What must hold between options, once each of them has been read.

Each function yields messages that name the setting, the value and the remedy.
"""

import os
import tempfile
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from beaker.crypto import get_crypto_module

from collective.beaker.backends import Backend
from collective.beaker.backends import has_library
from collective.beaker.options import KEY_OPTIONS
from collective.beaker.options import redacted


SHORT_KEY = 16
"""Keys of fewer characters than this are warned about."""

Options = Mapping[str, Any]


def backend_errors(
    prefix: str, options: Options, name: str, backend: Backend
) -> Iterator[str]:
    """Check that a backend has the options and libraries that it needs."""
    setting = f"{prefix}.type is {name!r}"
    if not has_library(backend, options.get("memcache_module")):
        yield (
            f"{setting}, but its client library is not installed. "
            f"Install collective.beaker[{backend.extra}]."
        )
        return
    if backend.needs and not any(
        all(map(options.get, group)) for group in backend.needs
    ):
        lacking = " and ".join(
            f"{prefix}.{option}"
            for option in backend.needs[0]
            if not options.get(option)
        )
        yield f"{setting}, which needs {lacking}. Set it."
        return
    address = options.get(backend.address)
    if isinstance(address, str) and (reason := backend.check(address)):
        shown = redacted(backend.address, address)
        yield f"{prefix}.{backend.address} is {shown!r}: {reason}."


def session_errors(options: Options) -> Iterator[str]:
    """Check the options of sessions against each other."""
    if options.get("samesite") == "None" and not options.get("secure"):
        yield (
            "session.samesite is 'None', which browsers accept together "
            "with session.secure on only. Set that, or choose Lax or Strict."
        )
    if options["timeout"] and not options.get("save_accessed_time", True):
        yield (
            f"session.timeout is {options['timeout']}, which needs the access "
            "time. Remove session.save_accessed_time off, or the timeout."
        )
    for option in ("validate_key", "encrypt_key"):
        if not str(options.get(option, "")).isascii():
            yield (
                f"session.{option} (hidden) has characters outside ASCII, "
                "which Beaker cannot use. Choose another key."
            )
    yield from _encryption_errors(options)


def _encryption_errors(options: Options) -> Iterator[str]:
    encrypted = options.get("encrypt_key")
    crypto_type = options.get("crypto_type", "default")
    if encrypted and not options.get("validate_key"):
        yield (
            "session.encrypt_key (hidden) encrypts together with "
            "session.validate_key only. Set both."
        )
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


def _has_aes(crypto_type: str) -> bool:
    try:
        return get_crypto_module(crypto_type).has_aes
    except ImportError:
        return False


def session_warnings(options: Options) -> Iterator[str]:
    """Point out keys that might be guessed."""
    for option in KEY_OPTIONS:
        key = options.get(option)
        if isinstance(key, str) and len(key) < SHORT_KEY:
            yield (
                f"session.{option} has {len(key)} characters and might be "
                f"guessed. Use {SHORT_KEY} or more, at random; every visitor "
                "then begins a new session."
            )


def folder_error(folder: str) -> str | None:
    """Create a folder and write there; say what went wrong, if anything."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror
