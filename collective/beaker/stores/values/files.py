"""Values in files, one for each record.

Files have the mode 0600 and folders 0700, whatever the umask.  Readers need no
lock, as a file is replaced at once.  Writers share one lock for each folder.
"""

import os
import struct
import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from collective.beaker.interfaces import Claim
from collective.beaker.interfaces import Size
from collective.beaker.stores.failures import failing_late
from collective.beaker.stores.lock_files import hold
from collective.beaker.stores.private import TEMPORARY
from collective.beaker.stores.private import exists
from collective.beaker.stores.private import make_folder
from collective.beaker.stores.private import read
from collective.beaker.stores.private import remove
from collective.beaker.stores.private import replace
from collective.beaker.stores.values.base import ValueStore
from collective.beaker.stores.values.base import end_of
from collective.beaker.stores.values.base import is_claimed
from collective.beaker.stores.values.base import new_token


_HEADER = struct.Struct(">d")
"""What a file begins with: when it ends, in seconds since 1970."""

_HEADER_SIZE = _HEADER.size

_VALUE = ".value"
"""The ending of a file that holds a record."""

_CLAIM = ".claim"
"""The ending of a file that holds the token of a claim."""

_LOCK = "lock"


class FileValues(ValueStore):
    """Keeps records in a folder ``values``, in some hundred folders."""

    failures = (OSError,)
    # Who waits in vain for the lock of a folder may use all others.
    time_outs = ()

    def __init__(
        self,
        kind: str,
        socket_timeout: float,
        data_dir: str | None = None,
        file_dir: str | None = None,
        dbm_dir: str | None = None,
    ):
        self._folder = f"{file_dir or dbm_dir or data_dir}/values"
        self._patience = socket_timeout
        super().__init__(kind, self._folder)

    @property
    def place(self) -> Hashable:
        return os.path.realpath(self._folder)

    def _get(self, names: Sequence[str]) -> dict[str, Any]:
        now = time.time()
        found = {}
        for name in names:
            content = read(self._path(name) + _VALUE)
            if content is not None and _end_of(content) > now:
                found[name] = content[_HEADER_SIZE:]
        return found

    def _claim(
        self, name: str, names: Sequence[str], seconds: float
    ) -> tuple[Claim | None, dict[str, Any]]:
        claim = Claim(name, new_token())
        path = self._path(name) + _CLAIM
        with self._locked(name):
            is_free = not is_claimed(_end_of(read(path)), seconds)
            if is_free:
                _write(path, claim.token.encode(), seconds)
            return claim if is_free else None, self._get(names)

    def _renew(self, claim: Claim, seconds: float) -> bool:
        with self._locked(claim.name):
            if not self._is_good(claim):
                return False
            path = self._path(claim.name) + _CLAIM
            _write(path, claim.token.encode(), seconds)
            return True

    def _settle(
        self,
        claim: Claim,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> bool:
        self._keep(keep, seconds)
        path = self._path(claim.name)
        with self._locked(claim.name):
            if not self._is_good(claim):
                return False
            _write(path + _VALUE, record, seconds)
            remove(path + _CLAIM)
            return True

    def _give_up(self, claim: Claim) -> None:
        with self._locked(claim.name):
            if self._is_good(claim):
                remove(self._path(claim.name) + _CLAIM)

    def _put(
        self,
        name: str,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> None:
        self._keep(keep, seconds)
        path = self._path(name)
        with self._locked(name):
            remove(path + _CLAIM)
            _write(path + _VALUE, record, seconds)

    def _delete(self, names: Sequence[str]) -> None:
        for name in names:
            path = self._path(name)
            # In the order in which a claim becomes a value.
            if exists(path + _CLAIM) or exists(path + _VALUE):
                with self._locked(name):
                    remove(path + _CLAIM)
                    remove(path + _VALUE)

    def _raise_numbers(
        self, names: Sequence[str], number: bytes, seconds: float | None
    ) -> None:
        for name in names:
            path = self._path(name) + _VALUE
            with self._locked(name):
                remove(self._path(name) + _CLAIM)
                content = read(path)
                present = self._get([name]).get(name, number)
                end = _end_of(content)
                try:
                    _write(path, max(present, number), seconds, end)
                except OSError:
                    # The disk may be full: what is not there is not valid,
                    # either.
                    remove(path)
                    raise

    def _keep(self, keep: Mapping[str, Any], seconds: float | None) -> None:
        end = end_of(seconds)
        for name, record in keep.items():
            path = self._path(name) + _VALUE
            if _end_of(read(path)) >= end:
                continue
            with self._locked(name):
                content = read(path)
                if not _has_ended(content):
                    record = (content or b"")[_HEADER_SIZE:]
                # It lives longer than it must, and is not written each time.
                _write(path, record, seconds and 2 * seconds, _end_of(content))

    def _walk(self, prefix: str) -> Iterator[str]:
        now = time.time()
        for path in self._folders():
            for file in _files(path, prefix, _VALUE):
                if _end_at(f"{path}/{file}") > now:
                    yield _name(file)

    def _clear(self, prefix: str) -> int:
        return sum(self._in_each_folder(lambda path: _clear(path, prefix)))

    def _sweep(self, dry_run: bool) -> Iterator[int]:
        if dry_run:
            for path in self._folders():
                yield len(_ended(path, _VALUE))
        else:
            yield from self._in_each_folder(_sweep)

    def _in_each_folder(self, work: Callable[[str], int]) -> Iterator[int]:
        """Yield what a function returns that changes the files of a folder.

        If it fails in one folder, it is called for the others, and then the
        error is raised.
        """
        with failing_late(OSError) as step:
            for path in self._folders():
                with step():
                    with self._lock(path):
                        number = work(path)
                    yield number

    def _sizes(self, prefix: str) -> Iterator[Size]:
        for path in self._folders():
            files = _files(path, prefix, _VALUE)
            sizes = [_size_of(f"{path}/{file}") for file in files]
            yield Size(len(sizes), sum(sizes))

    def _is_good(self, claim: Claim) -> bool:
        content = read(self._path(claim.name) + _CLAIM) or b""
        return content[_HEADER_SIZE:] == claim.token.encode()

    def _path(self, name: str) -> str:
        """Return the path of the files of a name, without their endings."""
        file = name.replace(":", "-")
        return f"{self._folder}/{file[-2:]}/{file}"

    def _locked(self, name: str) -> AbstractContextManager[None]:
        return self._lock(os.path.dirname(self._path(name)))

    def _lock(self, folder: str) -> AbstractContextManager[None]:
        return hold(f"{folder}/{_LOCK}", self._patience)

    def _folders(self) -> Iterator[str]:
        if exists(self._folder):
            for name in os.listdir(self._folder):
                path = f"{self._folder}/{name}"
                # What a link leads to is somebody else's.
                if os.path.isdir(path) and not os.path.islink(path):
                    yield path


def _clear(folder: str, prefix: str) -> int:
    """Remove the records that begin like this; return how many there were."""
    for file in _files(folder, prefix, _CLAIM):
        remove(f"{folder}/{file}")
    values = _files(folder, prefix, _VALUE)
    for file in values:
        remove(f"{folder}/{file}")
    return len(values)


def _sweep(folder: str) -> int:
    """Remove what has ended; return how many values there were."""
    for path in _ended(folder, _CLAIM):
        remove(path)
    # Nobody writes now, so a killed process has left it.
    for file in _files(folder, "", TEMPORARY):
        remove(f"{folder}/{file}")
    values = _ended(folder, _VALUE)
    for path in values:
        remove(path)
    return len(values)


def _name(file: str) -> str:
    return file.removesuffix(_VALUE).replace("-", ":")


def _files(folder: str, prefix: str, ending: str) -> list[str]:
    """Return the files in a folder that begin and end like this."""
    start = prefix.replace(":", "-")
    return [
        file
        for file in os.listdir(folder)
        if file.endswith(ending) and file.startswith(start)
    ]


def _ended(folder: str, ending: str) -> list[str]:
    """Return the paths of the files whose time has ended."""
    now = time.time()
    paths = (f"{folder}/{file}" for file in _files(folder, "", ending))
    return [path for path in paths if _end_at(path) <= now]


def _end_at(path: str) -> float:
    """Return when a file ends; one that is gone or unreadable has ended."""
    try:
        return _end_of(read(path, _HEADER_SIZE))
    except PermissionError:
        return 0


def _size_of(path: str) -> int:
    """Return the size of a file, or 0 if somebody has removed it."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _end_of(content: bytes | None) -> float:
    """Return when a file ends; one that cannot be read has ended."""
    try:
        end: float
        (end,) = _HEADER.unpack_from(content or b"")
    except struct.error:
        return 0
    return end


def _has_ended(content: bytes | None) -> bool:
    return _end_of(content) <= time.time()


def _write(
    path: str, record: bytes, seconds: float | None, earliest: float = 0
) -> None:
    """Store a record, which does not end before the earliest time."""
    content = _HEADER.pack(max(end_of(seconds), earliest)) + record
    try:
        replace(path, content)
    except FileNotFoundError:
        make_folder(os.path.dirname(path))
        replace(path, content)
