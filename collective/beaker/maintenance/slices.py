"""Work on many records in slices, between which others may go on."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import TypeVar


SLICE = 100
"""So many records are looked at before a function yields."""

_Item = TypeVar("_Item")


def slices(iterator: Iterator[_Item]) -> Iterator[list[_Item]]:
    while some := list(islice(iterator, SLICE)):
        yield some


def within(
    seconds: float, results: Iterator[_Item]
) -> tuple[_Item | None, bool]:
    """Return the last result that came in time, and whether it was the last.

    One result, at least, is waited for.
    """
    deadline, result = time.monotonic() + seconds, None
    for result in results:
        if time.monotonic() >= deadline:
            return result, False
    return result, True
