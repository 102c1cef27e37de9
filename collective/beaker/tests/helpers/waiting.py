"""How tests wait for what others do: other threads, processes and servers."""

import subprocess
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import TypeVar


_Result = TypeVar("_Result")


SECONDS = 120
"""How long anything may take before the test that waits for it fails.

It takes far less time, even on a busy machine.
"""


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once a condition holds."""
    give_up = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def in_less_than(seconds: float, attempt: Callable[[], _Result]) -> _Result:
    """Return what an attempt returns that takes less time.

    On a busy machine it is another than the first.
    """
    give_up = time.monotonic() + SECONDS
    while True:
        started = time.monotonic()
        result = attempt()
        ended = time.monotonic()
        if ended - started < seconds:
            return result
        assert ended < give_up


@contextmanager
def limited(process: subprocess.Popen) -> Iterator[None]:
    """Kill a process if what the block waits for takes too long."""
    timer = Timer(SECONDS, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
