"""A folder of sessions, with one file or a few files for each.

Files have the mode 0600 and folders 0700, whatever the umask.  Beaker's own
locks keep writers apart, including Beaker itself.
"""

import errno
import os
import time
from abc import abstractmethod
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import contextmanager
from contextlib import suppress
from glob import escape
from glob import iglob
from hashlib import sha1

from beaker.exceptions import MissingCacheParameter
from beaker.synchronization import SynchronizerImpl
from beaker.synchronization import file_synchronizer

from collective.beaker.ids import is_id
from collective.beaker.interfaces import Leftover
from collective.beaker.interfaces import Record
from collective.beaker.interfaces import StoreLocked
from collective.beaker.stores.base import Store
from collective.beaker.stores.base import is_record_name
from collective.beaker.stores.container import UNREADABLE
from collective.beaker.stores.failures import is_full
from collective.beaker.stores.lock_files import is_free
from collective.beaker.stores.lock_files import remove_free
from collective.beaker.stores.lock_files import watched
from collective.beaker.stores.private import TEMPORARY
from collective.beaker.stores.private import exists
from collective.beaker.stores.private import is_file
from collective.beaker.stores.private import is_other
from collective.beaker.stores.private import is_taken
from collective.beaker.stores.private import make_file
from collective.beaker.stores.private import make_folder
from collective.beaker.stores.private import remove


_LOCK_SECONDS = 60 * 60
"""The age at which a free lock file is removed."""

_TEMPORARY_SECONDS = 60 * 60 * 24
"""The age at which a temporary file is removed: no write takes that long."""

_INDEX = "users"
"""The folder of the index.  Those of sessions have names of one letter."""

_OF_ONE_FILE = frozenset([errno.EACCES, errno.EPERM, errno.EIO])
"""The errors of files that belong to somebody else or are damaged.  Others
can be read all the same."""

_NO_FOLDER = frozenset([errno.ENOENT, errno.ENOTDIR, errno.ELOOP])
"""The errors of opening a file, such as .DS_Store, as a folder."""


class FolderStore(Store):
    """A folder with one file, or a few files, for each session.

    The index has a folder for each mark, and in it an empty file for each id.
    """

    failures: tuple[type[Exception], ...] = (OSError,)
    has_index = True
    suffix = ""

    def __init__(
        self,
        name: str,
        folder: str | None,
        lock_dir: str | None,
        data_dir: str | None,
    ):
        if not data_dir and not (folder and lock_dir):
            raise MissingCacheParameter(
                f"session.type is {name!r}, which needs session.data_dir."
            )
        self._folder = folder or f"{data_dir}/container_{name}"
        self._lock_folder = lock_dir or f"{data_dir}/container_{name}_lock"
        super().__init__(name, self._folder)

    def _path(self, id: str) -> str:
        return scattered(self._folder, id, self.suffix)

    @property
    def place(self) -> Hashable:
        return os.path.realpath(self._folder)

    def _lock_path(self, id: str) -> str:
        return scattered(self._lock_folder, _digest(id), ".lock")

    @contextmanager
    def _lock(self, id: str, payload: str = "") -> Iterator[None]:
        lock = self.wait_for(lambda: self._acquire_lock(id))
        try:
            yield
        finally:
            lock.release_write_lock()

    def _acquire_lock(self, id: str) -> SynchronizerImpl | None:
        """Return a lock, or None if somebody else holds it.

        The previous holder may have removed its file in the meantime.
        """
        path = self._lock_path(id)
        if not is_file(path):
            self._make_lock_file(path)
        with watched(path) as is_the_same, ExitStack() as stack:
            lock = file_synchronizer(id, lock_dir=self._lock_folder)
            if not lock.acquire_write_lock(wait=False):
                return None
            stack.callback(lock.release_write_lock)
            if is_the_same():
                stack.pop_all()
                return lock
            # Beaker may have created a new file, readable by everyone.
            with suppress(FileNotFoundError):
                os.chmod(path, 0o600)
        return None

    def _make_lock_file(self, path: str) -> None:
        """Create a lock file, which Beaker would make readable by everyone.

        If the disk takes no more files, one that nobody holds makes room, so
        that sessions can still be removed.
        """
        make_folder(os.path.dirname(path))
        # Not what another thread has just made and locked.
        if is_other(path):
            remove(path)
        try:
            make_file(path)
        except OSError as error:
            free = map(remove_free, _paths(self._lock_folder, ".lock"))
            if not is_full(error) or not any(free):
                raise
            make_file(path)

    def _swap(
        self, id: str, old: Record | None, new: str | None, seconds: int | None
    ) -> bool:
        with self._lock(id):
            if self._read(id) != old:
                return False
            if new is None:
                self._remove(id)
            else:
                self._write(id, new)
        if new is None:
            remove_free(self._lock_path(id))
        return True

    def _delete(self, id: str) -> None:
        if self._exists(id):
            with self._lock(id):
                self._remove(id)
            remove_free(self._lock_path(id))

    def _walk(self) -> Iterator[tuple[str, Record]]:
        for name in self._names():
            if (
                is_record_name(name)
                and (record := self._load_one(name)) is not None
            ):
                yield name, record

    def _load_one(self, name: str) -> Record | None:
        try:
            return self._load(name)
        except StoreLocked:
            return UNREADABLE
        except OSError as error:
            if error.errno not in _OF_ONE_FILE:
                raise
            return UNREADABLE

    def _remove_unchanged(self, records: Sequence[tuple[str, Record]]) -> int:
        number = 0
        failure: Exception | None = None
        for name, old in records:
            try:
                number += self._is_removed(name, old)
            except StoreLocked as error:
                failure = error
            except OSError as error:
                if error.errno not in _OF_ONE_FILE:
                    raise
                failure = error
        if failure is not None:
            raise failure
        return number

    def _is_removed(self, name: str, old: Record) -> bool:
        if old != UNREADABLE:
            return super()._is_removed(name, old)
        # There is nothing to compare.
        self._delete(name)
        return True

    def _names(self) -> Iterator[str]:
        for _, files in _leaves(self._folder):
            # Some kinds of dbm create several files for one session.
            yield from {
                file.partition(".")[0] for file in files if self.suffix in file
            }

    def _estimate(self) -> int:
        number = 0
        for found in (self._names(), _paths(self._lock_folder, ".lock")):
            # Whoever walks is told that not everything can be counted.
            with suppress(PermissionError):
                for _ in found:
                    number += 1
        return number

    def _index_folder(self, mark: str) -> str:
        """Return the folder of a mark.

        Raises NotADirectoryError where a link would lead somewhere else: a
        sweep would remove what is there.
        """
        path = self._folder
        for name in (_INDEX, mark[:2], mark):
            path = f"{path}/{name}"
            if os.path.islink(path):
                raise NotADirectoryError(errno.ENOTDIR, "it is a link")
        return path

    def _add_to_index(self, mark: str, id: str) -> None:
        path = f"{self._index_folder(mark)}/{id}"
        try:
            make_file(path)
        except FileNotFoundError:
            make_folder(os.path.dirname(path))
            make_file(path)

    def _find_in_index(self, mark: str) -> Sequence[str] | None:
        try:
            return list(filter(is_id, os.listdir(self._index_folder(mark))))
        except FileNotFoundError:
            return []
        except (NotADirectoryError, PermissionError):
            return None

    def _remove_from_index(self, mark: str, ids: Sequence[str]) -> None:
        folder = self._index_folder(mark)
        for id in ids:
            remove(f"{folder}/{id}")
        # It has the other sessions of the user, if there are any.
        with suppress(OSError):
            os.rmdir(folder)

    def _walk_index(self) -> Iterator[tuple[str, Sequence[str]]]:
        for folder in iglob(f"{escape(self._folder)}/{_INDEX}/*/*"):
            mark = os.path.basename(folder)
            yield mark, self._find_in_index(mark) or ()

    def _clean_up(self, dry_run: bool) -> Iterator[Leftover | None]:
        yield from super()._clean_up(dry_run)
        remove_lock = is_free if dry_run else remove_free
        for path in _paths(self._lock_folder, ".lock"):
            removed = _age(path) > _LOCK_SECONDS and remove_lock(path)
            yield Leftover.LOCK if removed else None
        for path in _paths(self._folder, TEMPORARY):
            removed = _age(path) > _TEMPORARY_SECONDS
            if removed and not dry_run:
                remove(path)
            yield Leftover.TEMPORARY_FILE if removed else None

    def _exists(self, id: str) -> bool:
        return is_taken(self._path(id))

    @abstractmethod
    def _read(self, id: str) -> Record | None:
        """Return a record; the caller holds its lock if that is needed."""

    @abstractmethod
    def _write(self, id: str, new: str) -> None:
        """Store a record; the caller holds its lock."""

    @abstractmethod
    def _remove(self, id: str) -> None:
        """Remove a record; the caller holds its lock."""


def _digest(name: str) -> str:
    return sha1(name.encode()).hexdigest()


def _leaves(folder: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders two levels below a folder, and the names in them.

    One that cannot be opened hides no other: its error is raised at the end.
    """
    failure: OSError | None = None

    def names(of: str) -> list[str]:
        nonlocal failure
        try:
            return sorted(os.listdir(of))
        except OSError as error:
            if error.errno in _OF_ONE_FILE:
                failure = error
            elif error.errno not in _NO_FOLDER:
                raise
            return []

    for first in sorted(os.listdir(folder)) if exists(folder) else ():
        if len(first) == 1:
            for second in names(f"{folder}/{first}"):
                leaf = f"{folder}/{first}/{second}"
                yield leaf, names(leaf)
    if failure is not None:
        raise failure


def _paths(folder: str, ending: str) -> Iterator[str]:
    """Yield the files with a certain ending, which dbm may have added to.

    Those to which a link leads are somebody else's.
    """
    for leaf, names in _leaves(folder):
        if os.path.islink(leaf) or os.path.islink(os.path.dirname(leaf)):
            continue
        for name in names:
            if ending in name:
                yield f"{leaf}/{name}"


def _age(path: str) -> float:
    """Return how many seconds ago a file was written."""
    try:
        return time.time() - os.lstat(path).st_mtime
    except FileNotFoundError:
        return 0


def scattered(folder: str, name: str, suffix: str) -> str:
    """Return the path that Beaker uses for a name, two folders deep."""
    return f"{folder}/{name[0]}/{name[:2]}/{name}{suffix}"
