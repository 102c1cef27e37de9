"""Beaker's container of a stored session: a pickle of plain operations only.

Here is which operations are allowed, and how far compressed content expands.

It is read without executing anything: it may hold strings, bytes and a
dictionary, but no class or function.  Its content, the payload, is decoded
later, by the serializer that is configured.
"""

import pickle
import pickletools
import re
import zlib
from typing import Any

from collective.beaker.interfaces import Record


_PLAIN = frozenset(
    [
        *("PROTO", "FRAME", "STOP", "MARK", "NONE"),
        *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
        *("PUT", "BINPUT", "MEMOIZE", "GET", "BINGET"),
    ]
)
"""The pickle operations that create strings, bytes and a dictionary."""

_TEXT_CONTAINER = re.compile(
    rb"\x80.\x95.{8}(?:\x8c(.)|X(.{4}))(.*)\x94\.", re.DOTALL
)
"""What ``pack`` makes of a text: a length, and the payload."""

_NAMESPACE_CONTAINER = re.compile(
    rb"\x80.\x95.{8}}\x94\x8c\x07session\x94"
    rb"(?:\x8c(.)|X(.{4}))(.*)\x94s\.",
    re.DOTALL,
)
"""What ``pack`` makes of a dictionary: a length, and the payload."""


UNREADABLE = Record(b"")
"""What stands for something that is no record, such as a folder in the place
of a file.  No payload can be read of it."""

LARGEST = 2**24
"""The most bytes to which compressed content is expanded."""

_LARGEST_MEMO = 2**8
"""The highest number under which a container remembers a value: it holds one
or two.  Memory is taken for all numbers below."""


def pack(value: str | dict[str, str]) -> bytes:
    """Return a container as Beaker writes it."""
    return pickle.dumps(value)


def unpack(raw: bytes) -> str:
    """Return the payload of a container that holds nothing else.

    Raises pickle.UnpicklingError, or another exception of pickle, for
    anything that is not a container.
    """
    payload = _match(_TEXT_CONTAINER, raw)
    return _as_text(_unpickle(raw)) if payload is None else payload


def unpack_namespace(raw: bytes) -> str | None:
    """Return the payload of a container that holds a dictionary.

    It is None if the dictionary holds no session.  Raises the same exceptions
    as ``unpack``.
    """
    payload = _match(_NAMESPACE_CONTAINER, raw)
    if payload is not None:
        return payload
    namespace = _unpickle(raw)
    if type(namespace) is not dict:
        raise pickle.UnpicklingError("A container holds a dictionary.")
    if "session" not in namespace:
        return None
    return _as_text(namespace["session"])


def _match(form: re.Pattern[bytes], raw: bytes) -> str | None:
    """Return the payload of a container in the form that ``pack`` writes.

    Its pickle operations need not be checked one by one.  Returns None for
    any other container.
    """
    found = form.fullmatch(raw)
    if found is None:
        return None
    short, long, payload = found.groups()
    length = int.from_bytes(short or long, "little")
    if length != len(payload) or not payload.isascii():
        return None
    return payload.decode("ascii")


def _unpickle(raw: bytes) -> Any:
    try:
        plain = all(
            _is_plain(operation.name, argument)
            for operation, argument, _ in pickletools.genops(raw)
        )
    except ValueError:
        raise pickle.UnpicklingError("This is not a pickle.") from None
    if not plain:
        raise pickle.UnpicklingError("A container holds plain data only.")
    return pickle.loads(raw)


def _is_plain(operation: str, argument: Any) -> bool:
    if operation == "PUT" and argument > _LARGEST_MEMO:
        return False
    return operation in _PLAIN


def expand(compressed: bytes) -> bytes:
    """Return what was compressed by zlib.

    Raises ValueError if that is more than ``LARGEST`` bytes, which a few
    kilobytes may claim to hold, and zlib.error for anything else.
    """
    expanding = zlib.decompressobj()
    content = expanding.decompress(compressed, LARGEST)
    if expanding.unconsumed_tail:
        raise ValueError("Compressed content is too large.")
    if not expanding.eof:
        raise zlib.error("Compressed content is incomplete.")
    return content


def _as_text(payload: object) -> str:
    if type(payload) is bytes:
        return payload.decode("ascii")
    if type(payload) is not str:
        raise pickle.UnpicklingError("A payload is text.")
    return payload
