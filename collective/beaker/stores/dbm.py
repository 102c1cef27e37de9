"""Sessions in dbm files, one for each."""

import errno
import os
from types import ModuleType

from beaker.container import anydbm

from collective.beaker.interfaces import Record
from collective.beaker.stores.container import UNREADABLE
from collective.beaker.stores.container import pack
from collective.beaker.stores.container import unpack
from collective.beaker.stores.folders import FolderStore
from collective.beaker.stores.private import TEMPORARY
from collective.beaker.stores.private import is_file
from collective.beaker.stores.private import is_taken
from collective.beaker.stores.private import make_folder
from collective.beaker.stores.private import read
from collective.beaker.stores.private import remove


class DbmStore(FolderStore):
    """Keeps records as Beaker's dbm backend does.

    A dbm file that is being written must not be read, so reading needs the
    lock.  A new one is written aside and takes the place of the old one.
    """

    suffix = ".dbm"

    _endings = ("", ".dat", ".dir", ".bak", ".db", ".pag", "-wal", "-shm")
    """What the implementations of dbm add to a file's name."""

    def __init__(
        self,
        kind: str,
        data_dir: str | None = None,
        dbm_dir: str | None = None,
        lock_dir: str | None = None,
        dbmmodule: ModuleType | None = None,
    ):
        super().__init__("dbm", dbm_dir, lock_dir, data_dir)
        self._dbm = dbmmodule or anydbm
        # That of the module dbm is a tuple of errors.
        errors = self._dbm.error
        self.failures = (
            OSError,
            *(errors if isinstance(errors, tuple) else (errors,)),
        )

    def payload(self, record: Record) -> str | None:
        return unpack(record.raw)

    def _files(self, path: str) -> list[str]:
        """Return the files of a database with this name."""
        paths = (path + end for end in self._endings)
        return list(filter(is_taken, paths))

    def _exists(self, id: str) -> bool:
        return bool(self._files(self._path(id)))

    def _load(self, id: str) -> Record | None:
        if not self._exists(id):
            return None
        with self._lock(id):
            return self._read(id)

    def _read(self, id: str) -> Record | None:
        path = self._path(id)
        files = self._files(path)
        if not files:
            return None
        if not all(map(is_file, files)):
            return UNREADABLE
        try:
            with self._dbm.open(path, "r") as database:
                raw = database.get(b"session")
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EAGAIN:
                # Another program writes it, which has not locked it as we do.
                raise
            # If the disk fails, its files cannot be read either.
            for file in files:
                read(file)
            return UNREADABLE
        return None if raw is None else Record(raw)

    def _write(self, id: str, new: str) -> None:
        path = self._path(id)
        make_folder(os.path.dirname(path))
        temporary = path + TEMPORARY
        self._remove_files(temporary)
        try:
            with self._dbm.open(temporary, "n", 0o600) as database:
                database[b"session"] = pack(new)
            for file in self._files(temporary):
                os.chmod(file, 0o600)
                os.replace(file, path + file.removeprefix(temporary))
        except BaseException:
            self._remove_files(temporary)
            raise

    def _remove(self, id: str) -> None:
        self._remove_files(self._path(id))

    def _remove_files(self, path: str) -> None:
        for file in self._files(path):
            remove(file)
