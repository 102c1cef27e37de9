"""The container that Beaker puts around a stored session: a pickle.

It is read without executing anything: it may hold strings, bytes and a
dictionary, and names no class or function.  What is inside, the payload, is
decoded later, by the serializer that was chosen.
"""

import pickle
import pickletools
import re
from typing import Any


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
"""The operations of pickle that make strings, bytes and a dictionary."""

_TEXT = re.compile(rb"\x80.\x95.{8}(?:\x8c(.)|X(.{4}))(.*)\x94\.", re.DOTALL)
_DICTIONARY = re.compile(
    rb"\x80.\x95.{8}}\x94\x8c\x07session\x94"
    rb"(?:\x8c(.)|X(.{4}))(.*)\x94s\.",
    re.DOTALL,
)
"""What pack makes of a text and a dictionary: a length, and the payload."""


def pack(value: str | dict[str, str]) -> bytes:
    """Return a container as Beaker writes it."""
    return pickle.dumps(value)


def unpack(raw: bytes) -> str:
    """Return the payload of a container that holds nothing else.

    Raises pickle.UnpicklingError or another exception of pickle's for what
    is no container.
    """
    payload = _recognised(_TEXT, raw)
    return _text(_load(raw)) if payload is None else payload


def unpack_namespace(raw: bytes) -> str | None:
    """Return the payload of a container that holds a dictionary.

    It is None if the dictionary holds no session.  Raises as ``unpack``.
    """
    payload = _recognised(_DICTIONARY, raw)
    if payload is not None:
        return payload
    namespace = _load(raw)
    if type(namespace) is not dict:
        raise pickle.UnpicklingError("A container holds a dictionary.")
    if "session" not in namespace:
        return None
    return _text(namespace["session"])


def _recognised(shape: re.Pattern[bytes], raw: bytes) -> str | None:
    """Return the payload of a container that is just as we write it.

    It need not be taken apart operation by operation.
    """
    found = shape.fullmatch(raw)
    if found is None:
        return None
    short, long, payload = found.groups()
    length = int.from_bytes(short or long, "little")
    if length != len(payload) or not payload.isascii():
        return None
    return payload.decode("ascii")


def _load(raw: bytes) -> Any:
    try:
        names = {operation.name for operation, _, _ in pickletools.genops(raw)}
    except ValueError:
        raise pickle.UnpicklingError("This is no pickle.") from None
    if not names <= _PLAIN:
        raise pickle.UnpicklingError("A container holds plain data only.")
    return pickle.loads(raw)


def _text(payload: Any) -> str:
    if type(payload) is bytes:
        return payload.decode("ascii")
    if type(payload) is not str:
        raise pickle.UnpicklingError("A payload is text.")
    return payload
