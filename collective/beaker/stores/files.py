"""Sessions in files of their own, and in dbm files of their own.

Files are 0600 and folders 0700 whatever the umask.  Beaker's own locks keep
writers apart, also those of Beaker itself.
"""

import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from pathlib import Path
from types import ModuleType
from typing import Any

from beaker.container import anydbm
from beaker.exceptions import MissingCacheParameter
from beaker.synchronization import file_synchronizer

from collective.beaker.ids import is_id
from collective.beaker.stores.base import Record
from collective.beaker.stores.base import Store
from collective.beaker.stores.container import pack
from collective.beaker.stores.container import unpack
from collective.beaker.stores.container import unpack_namespace
from collective.beaker.stores.private import exists
from collective.beaker.stores.private import make_file
from collective.beaker.stores.private import make_folder
from collective.beaker.stores.private import read
from collective.beaker.stores.private import remove
from collective.beaker.stores.private import replace


class FolderStore(Store):
    """A folder in which each session has a place of its own."""

    failures = (OSError,)
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
        return _scattered(self._folder, id, self.suffix)

    @contextmanager
    def lock(self, id: str, payload: str = "") -> Iterator[None]:
        name = sha1(id.encode()).hexdigest()
        path = _scattered(self._lock_folder, name, ".lock")
        if not exists(path):
            make_folder(os.path.dirname(path))
            make_file(path)
        lock = file_synchronizer(id, lock_dir=self._lock_folder)
        self._wait(lambda: lock.acquire_write_lock(wait=False))
        try:
            yield
        finally:
            lock.release_write_lock()

    def _swap(self, id: str, old: Record | None, new: str | None) -> bool:
        with self.lock(id):
            if self._read(id) != old:
                return False
            if new is None:
                self._remove(id)
            else:
                self._write(id, new)
            return True

    def _delete(self, id: str) -> None:
        if self._exists(id):
            with self.lock(id):
                self._remove(id)

    def _walk(self) -> Iterator[tuple[str, Record]]:
        # Some kinds of dbm make several files of one session.
        paths = Path(self._folder).glob(f"?/??/*{self.suffix}*")
        for id in {path.name.partition(".")[0] for path in paths}:
            if is_id(id) and (record := self._load(id)) is not None:
                yield id, record

    def _exists(self, id: str) -> bool:
        return exists(self._path(id))

    @abstractmethod
    def _read(self, id: str) -> Record | None:
        """Return a record, under its lock if that is needed."""

    @abstractmethod
    def _write(self, id: str, new: str) -> None:
        """Store a record under its lock."""

    @abstractmethod
    def _remove(self, id: str) -> None:
        """Remove a record under its lock."""


class FileStore(FolderStore):
    """Keeps records as Beaker's file backend does.

    A file is replaced as a whole, so that reading needs no lock.
    """

    suffix = ".cache"

    def __init__(
        self,
        kind: str,
        data_dir: str | None = None,
        file_dir: str | None = None,
        lock_dir: str | None = None,
        **options: Any,
    ):
        super().__init__("file", file_dir, lock_dir, data_dir)

    def payload(self, record: Record) -> str | None:
        return unpack_namespace(record.raw)

    def _load(self, id: str) -> Record | None:
        return self._read(id)

    def _read(self, id: str) -> Record | None:
        raw = read(self._path(id))
        return None if raw is None else Record(raw)

    def _write(self, id: str, new: str) -> None:
        path, content = self._path(id), pack({"session": new})
        try:
            replace(path, content)
        except FileNotFoundError:
            make_folder(os.path.dirname(path))
            replace(path, content)

    def _remove(self, id: str) -> None:
        remove(self._path(id))


class DbmStore(FolderStore):
    """Keeps records as Beaker's dbm backend does.

    A dbm file that is being written must not be read, so that reading one
    that exists takes its lock.
    """

    suffix = ".dbm"

    # What the implementations of dbm add to a file's name.
    _endings = ("", ".dat", ".dir", ".bak", ".db", ".pag")

    def __init__(
        self,
        kind: str,
        data_dir: str | None = None,
        dbm_dir: str | None = None,
        lock_dir: str | None = None,
        dbmmodule: ModuleType | None = None,
        **options: Any,
    ):
        super().__init__("dbm", dbm_dir, lock_dir, data_dir)
        self._dbm = dbmmodule or anydbm
        self.failures = (OSError, self._dbm.error)

    def payload(self, record: Record) -> str | None:
        return unpack(record.raw)

    def _files(self, id: str) -> list[str]:
        path = self._path(id)
        paths = (path + end for end in self._endings)
        return list(filter(exists, paths))

    def _exists(self, id: str) -> bool:
        return bool(self._files(id))

    def _load(self, id: str) -> Record | None:
        if not self._exists(id):
            return None
        with self.lock(id):
            return self._read(id)

    def _read(self, id: str) -> Record | None:
        if not self._exists(id):
            return None
        with self._dbm.open(self._path(id), "r") as database:
            raw = database.get(b"session")
        return None if raw is None else Record(raw)

    def _write(self, id: str, new: str) -> None:
        path = self._path(id)
        make_folder(os.path.dirname(path))
        with self._dbm.open(path, "c", 0o600) as database:
            database[b"session"] = pack(new)
        for file in self._files(id):
            os.chmod(file, 0o600)

    def _remove(self, id: str) -> None:
        for file in self._files(id):
            os.remove(file)


def _scattered(folder: str, name: str, suffix: str) -> str:
    """Return the path that Beaker gives to a name, two folders deep."""
    return f"{folder}/{name[0]}/{name[:2]}/{name}{suffix}"
