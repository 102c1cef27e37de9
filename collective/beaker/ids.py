"""Session ids: how they are made, and what passes for one."""

import secrets


ID_LENGTH = 32
"""The number of digits of an id that is made today."""

LONGEST_ID = 40
"""The number of digits of an id that older releases of Beaker made."""

_DIGITS = "0123456789abcdef"


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


def lease_name(id: str) -> str:
    """Return the name of the record that locks a session."""
    return f"{id}-lock"


def is_lease(name: str) -> bool:
    """Tell whether a name is that of a record that locks a session."""
    return name.endswith("-lock") and is_id(name.removesuffix("-lock"))
