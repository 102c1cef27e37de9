"""Readers, which turn the text of a setting into a value."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from beaker.converters import asbool


Reader = Callable[[str], Any]
"""Turns text into a value; a ValueError's message says what is allowed."""

AUTO = "auto"
"""The value of ``secure`` that follows the visitor's URL: on for https."""

_DIGITS = re.compile("[0-9]{1,20}")

_LARGEST = 2**31 - 1
"""The largest number, as seconds 68 years.  Servers and sockets that cannot
wait for longer fail at each use, or lose what they should keep."""


def text(value: str) -> str:
    """Accept any text that can be sent, or signed with.

    Bytes of an environment variable may be none, as those of a random key.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("text in UTF-8") from None
    return value


def folder_name(value: str) -> str:
    """Accept any name: a file system may have another encoding."""
    return value


def boolean(value: str) -> bool:
    try:
        return bool(asbool(value))
    except ValueError:
        raise ValueError("on or off") from None


def boolean_or_auto(value: str) -> bool | str:
    if value.lower() == AUTO:
        return AUTO
    try:
        return bool(asbool(value))
    except ValueError:
        raise ValueError("on, off or auto") from None


def whole_number(
    allowed: str,
    valid: Callable[[int], bool] = lambda number: True,
    largest: int = _LARGEST,
) -> Reader:
    """Return a reader of numbers; ``allowed`` says which are valid."""

    def read(value: str) -> int:
        if not _DIGITS.fullmatch(value) or not valid(int(value)):
            raise ValueError(allowed)
        if int(value) > largest:
            raise ValueError(f"{allowed}, and at most {largest}")
        return int(value)

    return read


def seconds(remark: str = "", largest: int = _LARGEST) -> Reader:
    """Return a reader of a time of at least one second."""
    return whole_number(
        f"a whole number of seconds, 1 or more{remark}",
        lambda number: number > 0,
        largest,
    )


def cookie_expires(value: str) -> bool | timedelta:
    """Read a boolean or else seconds, in this order, as Beaker does."""
    try:
        return bool(asbool(value))
    except ValueError:
        pass
    read_seconds = whole_number(
        "on (until the browser closes), off (year 2038) "
        "or a whole number of seconds",
    )
    return timedelta(seconds=read_seconds(value))


def names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def read_former_keys(value: str) -> list[str]:
    return former_keys(text(value))


def former_keys(value: Any) -> list[str]:
    """Return former keys: a text with blanks between them, or a list."""
    keys = value.split() if isinstance(value, str) else value or ()
    return list(filter(None, keys))


def choice(*allowed: str) -> Reader:
    """Return a reader of these words, in upper or lower case."""

    def read(value: str) -> str:
        for word in allowed:
            if word.lower() == value.lower():
                return word
        raise ValueError(" or ".join([", ".join(allowed[:-1]), allowed[-1]]))

    return read
