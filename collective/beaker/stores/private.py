"""Files and folders that only Zope's user can read, whatever the umask is."""

import errno
import os
import shutil
from collections.abc import Hashable
from contextlib import suppress
from stat import S_ISREG


_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

_READ = (
    os.O_RDONLY
    | _NO_LINK
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
"""How a file is opened that may turn out to be a link or a pipe: no link is
followed, and no pipe is waited for."""

_NO_FILE = frozenset([errno.ELOOP, errno.EISDIR, errno.ENXIO])
"""The errors of opening a link, a folder or a socket."""

_MOST_BYTES = 1024**3
"""How large a file may be.  A larger one is no record: its size is damaged, or
somebody has planted a file full of nothing, which would take all memory."""

TEMPORARY = ".temp"
"""What is added to the name of a file while it is written."""


def exists(path: str) -> bool:
    """Tell whether a file exists; raise OSError if that is unknown."""
    return file_id(path) is not None


def file_id(path: str) -> Hashable:
    """Return what tells a file from others that are open; None for no file.

    Raises OSError if that is unknown.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def is_taken(path: str) -> bool:
    """Tell whether there is anything at a path, even a link to nothing."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def is_file(path: str) -> bool:
    """Tell whether a file is at a path, and no link, pipe or folder.

    One that is too large to be read is none.
    """
    try:
        return _is_file(os.lstat(path))
    except FileNotFoundError:
        return False


def _is_file(found: os.stat_result) -> bool:
    return S_ISREG(found.st_mode) and found.st_size <= _MOST_BYTES


def is_other(path: str) -> bool:
    """Tell whether a link, a pipe or a folder is at a path."""
    try:
        return not S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def make_folder(folder: str) -> None:
    """Create a private folder, and those above it, if missing."""
    if os.path.isdir(folder or os.curdir):
        return
    make_folder(os.path.dirname(folder))
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
        os.chmod(folder, 0o700)


def make_file(path: str) -> None:
    """Create an empty private file, if there is none.

    Raises OSError where a link would lead to a file somewhere else.
    """
    if exists(path):
        return
    try:
        os.close(_open_private(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        # Somebody else may have been faster.
        if os.path.islink(path):
            raise


def read(path: str, most: int | None = None) -> bytes | None:
    """Return the content of a file, or None if there is none.

    With ``most``, it is the beginning, of so many bytes at most.

    What is no file, such as a folder, a link or a pipe, has no content, and
    neither has a file that is too large: it reads as an empty file.
    """
    try:
        file = os.open(path, _READ)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _NO_FILE:
            return b""
        raise
    try:
        found = os.fstat(file)
        # As _is_file does, without one more call in each request.
        if not S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
            return b""
        if most is not None:
            return os.read(file, most)
        parts = []
        while part := os.read(file, found.st_size + 1):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(file)


def remove(path: str) -> None:
    """Remove what is at a path, if anything is."""
    try:
        os.remove(path)
    except FileNotFoundError:
        return
    except OSError:
        if os.path.islink(path) or not os.path.isdir(path):
            raise
        shutil.rmtree(path)


def replace(path: str, content: bytes) -> None:
    """Replace a file at once: a reader finds either the old or the new one.

    The caller keeps out other writers of this file.  A temporary file that a
    killed process has left is removed, and so is a link that somebody has
    put in its place.
    """
    name = path + TEMPORARY
    try:
        _write_new(name, content)
    except FileExistsError:
        remove(name)
        _write_new(name, content)
    try:
        os.replace(name, path)
    except BaseException:
        remove(name)
        raise


def _write_new(path: str, content: bytes) -> None:
    """Write a file that does not exist yet."""
    with open(path, "xb", len(content), opener=_open_private) as file:
        try:
            file.write(content)
            file.flush()
        except BaseException:
            remove(path)
            raise


def _open_private(path: str, flags: int) -> int:
    file = os.open(path, flags | _NO_LINK, 0o600)
    try:
        if hasattr(os, "fchmod"):
            # The umask may have removed permissions of the owner, too.
            os.fchmod(file, 0o600)
    except BaseException:
        os.close(file)
        raise
    return file
