"""Session ids: how they are made, and what passes for one."""

import re
import secrets


ID_LENGTH = 32
"""The number of digits of an id that is made today."""

# Older releases of Beaker wrote 40 digits.
_ID = re.compile("[0-9a-f]{32}|[0-9a-f]{40}")


def new_id() -> str:
    """Return an id with 128 random bits, in the form of Beaker's ids."""
    return secrets.token_hex(ID_LENGTH // 2)


def is_id(value: object) -> bool:
    """Tell whether a value has the form of a session id."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def lease_name(id: str) -> str:
    """Return the name of the record that locks a session."""
    return f"{id}-lock"


def is_lease(name: str) -> bool:
    """Tell whether a name is that of a record that locks a session."""
    return name.endswith("-lock") and is_id(name.removesuffix("-lock"))
