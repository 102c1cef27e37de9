"""What tests do in several threads at once, or without another thread."""

import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import TypeVar

from collective.beaker.tests.helpers.waiting import SECONDS


_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def side_by_side(
    threads: ThreadPoolExecutor,
    function: Callable[[_Item], _Result],
    items: Sequence[_Item],
) -> list[_Result]:
    """Call a function with each item, all at once.

    Each call is in a thread of its own: there must be as many as items.
    """
    together = Barrier(len(items))

    def call(item: _Item) -> _Result:
        together.wait(SECONDS)
        return function(item)

    return list(threads.map(call, items))


@contextmanager
def no_room_for_threads() -> Iterator[None]:
    """Have no thread start, as in a container with too many of them.

    No machine has room for the stack of one.
    """
    before = threading.stack_size(2**62)
    try:
        yield
    finally:
        threading.stack_size(before)
