"""Copies of this process, and of the Zope in it, that meet their own end."""

import gc
import os
import pickle
import signal
import traceback
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from typing import BinaryIO

from collective.beaker.tests.helpers.waiting import SECONDS


class Fork:
    """A process that was forked from this one."""

    def __init__(self, pid: int, output: BinaryIO):
        self.pid = pid
        self.output = output
        """What the process writes, until its end."""
        self._ended = False

    def kill(self) -> None:
        """End the process, unless that was done before."""
        if not self._ended:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._ended = True


@contextmanager
def forked(
    action: Callable[[Callable[[bytes], None]], None],
) -> Iterator[Fork]:
    """Run an action in another process until the end of the block.

    It is given a function that writes to the output of the process.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        # It would copy most of what the tests have in memory.
        gc.disable()
        try:
            action(lambda data: _write(writer, data))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as output:
        fork = Fork(pid, output)
        try:
            yield fork
        finally:
            fork.kill()


def _write(file: int, data: bytes) -> None:
    assert os.write(file, data) == len(data)


def in_fork(function: Callable[[], Any]) -> Any:
    """Return what a function returns in another process."""
    with forked(lambda write: write(pickle.dumps(function()))) as fork:
        return pickle.loads(fork.output.read())


def ends_in_fork(function: Callable[[], Any]) -> bool:
    """Tell whether a function comes to an end in another process."""

    def run(write: Callable[[bytes], None]) -> None:
        signal.alarm(SECONDS)
        function()
        write(b"ended")

    with forked(run) as fork:
        return fork.output.read() == b"ended"
