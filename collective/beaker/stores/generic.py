"""Sessions in a backend that another package adds to Beaker."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from beaker.container import NamespaceManager
from beaker.synchronization import mutex_synchronizer

from collective.beaker.stores.base import Record
from collective.beaker.stores.base import Store


class GenericStore(Store):
    """Keeps records by the methods that all of Beaker's backends have.

    They know no compare and swap.  Within one process nothing is lost; two
    processes are kept apart only where the backend's own write lock does
    it.  Whatever the backend raises counts as a store that cannot be used,
    and stored records cannot be listed.
    """

    failures = (Exception,)

    def __init__(
        self,
        kind: str,
        namespace_class: type[NamespaceManager],
        **options: Any,
    ):
        super().__init__(kind, options.get("url", "its place"))
        self._class = namespace_class
        self._options = options

    def _namespace(self, id: str) -> NamespaceManager:
        return self._class(id, digest_filenames=False, **self._options)

    def _load(self, id: str) -> Record | None:
        namespace = self._namespace(id)
        namespace.acquire_read_lock()
        try:
            return _found(namespace)
        finally:
            namespace.release_read_lock()

    def _swap(self, id: str, old: Record | None, new: str | None) -> bool:
        with self._writing(id) as namespace:
            if _found(namespace) != old:
                return False
            if new is not None:
                namespace["session"] = new
            elif old is not None:
                del namespace["session"]
            return True

    def _delete(self, id: str) -> None:
        with self._writing(id) as namespace:
            if _found(namespace) is not None:
                del namespace["session"]

    @contextmanager
    def _writing(self, id: str) -> Iterator[NamespaceManager]:
        mutex = mutex_synchronizer(f"{self.kind}/{id}")
        mutex.acquire_write_lock()
        try:
            namespace = self._namespace(id)
            namespace.acquire_write_lock()
            try:
                yield namespace
            finally:
                namespace.release_write_lock()
        finally:
            mutex.release_write_lock()


def _found(namespace: NamespaceManager) -> Record | None:
    try:
        value = namespace["session"]
    except KeyError:
        return None
    return None if value is None else Record(value)
