"""Sessions in the memory of this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from beaker.container import MemoryNamespaceManager
from beaker.synchronization import mutex_synchronizer

from collective.beaker.ids import is_id
from collective.beaker.stores.base import Record
from collective.beaker.stores.base import Store


class MemoryStore(Store):
    """Keeps records where Beaker's memory backend has them."""

    def __init__(self, kind: str, **options: Any):
        super().__init__(kind, "this process")
        self._namespaces = MemoryNamespaceManager.namespaces

    def _load(self, id: str) -> Record | None:
        raw = self._namespaces.dict.get(id, {}).get("session")
        return None if raw is None else Record(raw)

    def _swap(self, id: str, old: Record | None, new: str | None) -> bool:
        with self._namespaces.mutex:
            if self._load(id) != old:
                return False
            if new is None:
                self._delete(id)
            else:
                self._namespaces.dict.setdefault(id, {})["session"] = new
            return True

    def _delete(self, id: str) -> None:
        self._namespaces.dict.pop(id, None)

    def _walk(self) -> Iterator[tuple[str, Record]]:
        # Caches are among the namespaces, too.
        for id in filter(is_id, list(self._namespaces.dict)):
            if (record := self._load(id)) is not None:
                yield id, record

    @contextmanager
    def lock(self, id: str, payload: str = "") -> Iterator[None]:
        mutex = mutex_synchronizer(f"session/{id}")
        self._wait(lambda: mutex.acquire_write_lock(wait=False))
        try:
            yield
        finally:
            mutex.release_write_lock()
