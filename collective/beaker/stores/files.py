"""Sessions in files, one for each."""

import os

from collective.beaker.interfaces import Record
from collective.beaker.stores.container import pack
from collective.beaker.stores.container import unpack_namespace
from collective.beaker.stores.folders import FolderStore
from collective.beaker.stores.folders import scattered
from collective.beaker.stores.private import make_folder
from collective.beaker.stores.private import read
from collective.beaker.stores.private import remove
from collective.beaker.stores.private import replace


class FileStore(FolderStore):
    """Keeps records as Beaker's file backend does.

    A file is replaced at once, so reading needs no lock.
    """

    suffix = ".cache"

    def __init__(
        self,
        kind: str,
        data_dir: str | None = None,
        file_dir: str | None = None,
        lock_dir: str | None = None,
    ):
        super().__init__("file", file_dir, lock_dir, data_dir)

    def payload(self, record: Record) -> str | None:
        return unpack_namespace(record.raw)

    def _load(self, id: str) -> Record | None:
        raw = read(scattered(self._folder, id, self.suffix))
        return None if raw is None else Record(raw)

    _read = _load

    def _write(self, id: str, new: str) -> None:
        path, content = self._path(id), pack({"session": new})
        try:
            replace(path, content)
        except FileNotFoundError:
            make_folder(os.path.dirname(path))
            replace(path, content)

    def _remove(self, id: str) -> None:
        remove(self._path(id))
