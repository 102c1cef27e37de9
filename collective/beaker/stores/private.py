"""Files and folders that only Zope's user can read, whatever the umask is."""

import os
from contextlib import suppress


def exists(path: str) -> bool:
    """Tell whether a file exists; raise OSError if that is unknown."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    return True


def make_folder(folder: str) -> None:
    """Create a private folder, and those above it, if missing."""
    if os.path.isdir(folder or os.curdir):
        return
    make_folder(os.path.dirname(folder))
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
        os.chmod(folder, 0o700)


def make_file(path: str) -> None:
    """Create an empty private file, if there is none."""
    if not exists(path):
        os.close(_open_private(path, os.O_CREAT | os.O_WRONLY))


def read(path: str) -> bytes | None:
    """Return the content of a file, or None if there is none."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.readall()
    except FileNotFoundError:
        return None


def remove(path: str) -> None:
    """Remove a file, if there is one."""
    with suppress(FileNotFoundError):
        os.remove(path)


def replace(path: str, content: bytes) -> None:
    """Replace a file at once: a reader finds either the old or the new one.

    The caller keeps out other writers of this file.  A temporary file that a
    killed process has left is overwritten.
    """
    name = f"{path}.temp"
    try:
        with open(name, "wb", len(content), opener=_open_private) as temporary:
            temporary.write(content)
        os.replace(name, path)
    except BaseException:
        remove(name)
        raise


def _open_private(path: str, flags: int) -> int:
    file = os.open(path, flags, 0o600)
    if hasattr(os, "fchmod"):
        # The umask may have removed permissions of the owner, too.
        os.fchmod(file, 0o600)
    return file
