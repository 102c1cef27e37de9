"""Files and folders for us alone, whatever the umask is."""

import os
import tempfile
from contextlib import suppress


def exists(path: str) -> bool:
    """Tell whether a file exists; raise OSError if that cannot be told."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    return True


def make_folder(folder: str) -> None:
    """Make a folder for us alone, and those above it, where they lack."""
    if os.path.isdir(folder or os.curdir):
        return
    make_folder(os.path.dirname(folder))
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
        os.chmod(folder, 0o700)


def make_file(path: str) -> None:
    """Make an empty file for us alone, if there is none."""
    if exists(path):
        return
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    # Somebody may have removed it since.
    with suppress(FileNotFoundError):
        os.chmod(path, 0o600)


def replace(path: str, content: bytes) -> None:
    """Write a file as a whole: who reads it finds the old or the new one."""
    file, name = tempfile.mkstemp(dir=os.path.dirname(path), suffix=".temp")
    try:
        with open(file, "wb") as temporary:
            temporary.write(content)
        os.chmod(name, 0o600)
        os.replace(name, path)
    except BaseException:
        os.remove(name)
        raise
