"""Process many records in slices, so that other work can run in between."""

import time
from collections.abc import Iterator
from itertools import chain
from typing import TypeVar


SLICE = 100
"""How many records are processed before a function yields."""

_Item = TypeVar("_Item")


def slices(iterator: Iterator[_Item]) -> Iterator[list[_Item]]:
    """Yield lists of at most ``SLICE`` items.

    If there is an error, what was found before comes first.
    """
    items: list[_Item] = []
    try:
        for item in iterator:
            items.append(item)
            if len(items) == SLICE:
                yield items
                items = []
    except Exception:
        if items:
            yield items
        raise
    if items:
        yield items


def last_result_within(
    seconds: float, results: Iterator[_Item]
) -> tuple[_Item, bool]:
    """Return the last result within a time, and whether it was the final one.

    There must be at least one result, and the first is always waited for.
    """
    deadline = time.monotonic() + seconds
    first = next(results)
    for result in chain([first], results):
        if time.monotonic() >= deadline:
            return result, False
    return result, True
