"""Session ids: how they are created and recognized."""

import re
import secrets
from hashlib import sha256


ID_LENGTH = 32
"""The number of digits of a new id."""

LONGEST_ID = 40
"""The number of digits of an id from older releases of Beaker."""

_DIGITS = "0123456789abcdef"
"""The digits of an id."""

_POSSIBLE_ID = re.compile(f"[0-9A-Fa-f]{{{ID_LENGTH},}}")
"""What may be an id, or a cookie, inside a text that code has made of it."""


def new_id() -> str:
    """Return an id with 128 random bits, in the form of Beaker's ids."""
    return secrets.token_hex(ID_LENGTH // 2)


def is_id(value: object) -> bool:
    """Tell whether a value has the form of a session id."""
    return (
        isinstance(value, str)
        and len(value) in (ID_LENGTH, LONGEST_ID)
        and not value.strip(_DIGITS)
    )


def without_ids(text: str) -> str:
    """Return a text as it may stand in a message, where no id is shown."""
    return _POSSIBLE_ID.sub("***", text)


def lease_name(id: str) -> str:
    """Return the name of the record that locks a session.

    The log of a server may show it, so it does not tell the id.
    """
    return f"{sha256(id.encode()).hexdigest()[:ID_LENGTH]}-lock"


def is_lease(name: object) -> bool:
    """Tell whether a record with this name locks a session."""
    return (
        isinstance(name, str)
        and name.endswith("-lock")
        and is_id(name.removesuffix("-lock"))
    )
