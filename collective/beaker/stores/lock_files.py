"""Lock files, and how to remove those that nobody holds.

Beaker creates one for each session and removes none.  A process may open such
a file and wait for its lock while another process removes the file, and a
third one creates and locks a new file with the same name.  Therefore a process
that has acquired a lock checks that its file still exists, and only a process
that holds a lock removes its file.
"""

import os
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ETIMEDOUT

from beaker.synchronization import has_flock

from collective.beaker.stores.private import make_file
from collective.beaker.stores.private import make_folder


if has_flock:
    import fcntl

_OPEN = (
    os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
)
"""How a lock file is opened: what is none, such as a pipe, is not waited for.
"""


_POLL_SECONDS = 0.001
"""The time between two attempts to acquire a lock."""


@contextmanager
def watched(path: str) -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether a path has led to one file since.

    The file is open meanwhile, so that no new one can have its inode number.
    """
    try:
        file = os.open(path, _OPEN)
    except OSError:
        # There is none, but nothing or, for example, a link.
        yield lambda: False
        return
    try:
        yield lambda: _is_at(file, path)
    finally:
        os.close(file)


def is_free(path: str) -> bool:
    """Tell whether a lock file exists and nobody holds it."""
    with held(path) as is_held:
        return is_held


def remove_free(path: str) -> bool:
    """Remove a lock file if nobody holds it; tell whether it was removed.

    A file that cannot be removed is left: the work that it protected is done.
    """
    with held(path) as is_held:
        if not is_held:
            return False
        try:
            os.remove(path)
        except OSError:
            return False
        return True


@contextmanager
def held(path: str) -> Iterator[bool]:
    """Hold a lock if it is free, and yield whether it is held."""
    try:
        file = os.open(path, _OPEN)
    except OSError:
        yield False
        return
    try:
        yield _acquire(file) and _is_at(file, path)
    finally:
        _release(file)
        os.close(file)


@contextmanager
def hold(path: str, seconds: float) -> Iterator[None]:
    """Hold a lock, whose file and folders are created if they are missing.

    Raises TimeoutError if somebody else holds it for so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        file = _open(path)
        try:
            if _acquire(file) and _is_at(file, path):
                yield
                return
        finally:
            _release(file)
            os.close(file)
        if time.monotonic() > deadline:
            raise TimeoutError(ETIMEDOUT, "a lock is held for too long")
        time.sleep(_POLL_SECONDS)


def _open(path: str) -> int:
    try:
        return os.open(path, _OPEN)
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        make_file(path)
        return os.open(path, _OPEN)


def _acquire(file: int) -> bool:
    if not has_flock:
        # Without flock, Beaker only keeps threads apart, too.
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _release(file: int) -> None:
    # A process that was forked in the meantime has the file open, too.
    if has_flock:
        fcntl.flock(file, fcntl.LOCK_UN)


def _is_at(file: int, path: str) -> bool:
    """Tell whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False
