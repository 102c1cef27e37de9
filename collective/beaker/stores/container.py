"""The container that Beaker puts around a stored session: a pickle.

It is read without executing anything: it may hold strings, bytes and a
dictionary, and names no class or function.  What is inside, the payload, is
decoded later, by the serializer that was chosen.
"""

import pickle
import pickletools
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


def pack(value: str | dict[str, str]) -> bytes:
    """Return a container as Beaker writes it."""
    return pickle.dumps(value)


def unpack(raw: bytes) -> str:
    """Return the payload of a container that holds nothing else.

    Raises pickle.UnpicklingError or another exception of pickle's for what
    is no container.
    """
    return _text(_load(raw))


def unpack_namespace(raw: bytes) -> str | None:
    """Return the payload of a container that holds a dictionary.

    It is None if the dictionary holds no session.  Raises as ``unpack``.
    """
    namespace = _load(raw)
    if type(namespace) is not dict:
        raise pickle.UnpicklingError("A container holds a dictionary.")
    if "session" not in namespace:
        return None
    return _text(namespace["session"])


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
