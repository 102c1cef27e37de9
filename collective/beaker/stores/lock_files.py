"""The files by which Beaker locks, and how to remove those nobody holds.

Beaker makes one for each session and removes none.  Who opens such a file and
then waits for its lock must not be given one that was removed meanwhile, while
another process locks a new file of that name.  So whoever has got a lock looks
whether its file is still there, and only who holds a lock removes its file.
"""

import os
from collections.abc import Hashable
from collections.abc import Iterator
from contextlib import contextmanager

from beaker.synchronization import has_flock


if has_flock:
    import fcntl


def identity(path: str) -> Hashable:
    """Return what tells a file from another one of its name.

    It is None if there is no file.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    # A new file may get the number of one that was removed.
    return found.st_dev, found.st_ino, found.st_ctime_ns


def is_free(path: str) -> bool:
    """Tell whether there is a lock file that nobody holds."""
    with held(path) as is_held:
        return is_held


def remove_free(path: str) -> bool:
    """Remove a lock file if nobody holds it; tell whether it was removed.

    One that cannot be removed is left: what it was for has been done.
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
    """Hold a lock that is free, and tell whether it was."""
    try:
        file = os.open(path, os.O_WRONLY)
    except OSError:
        yield False
        return
    try:
        yield _lock(file) and _is_file(file, path)
    finally:
        _unlock(file)
        os.close(file)


def _lock(file: int) -> bool:
    if not has_flock:
        # As Beaker does there: it keeps threads apart only.
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(file: int) -> None:
    # A process that was forked meanwhile has the file open, too.
    if has_flock:
        fcntl.flock(file, fcntl.LOCK_UN)


def _is_file(file: int, path: str) -> bool:
    """Tell whether an open file is the one that a path names."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False
