"""Sessions in a backend that another package adds to Beaker."""

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from beaker.container import NamespaceManager
from beaker.synchronization import mutex_synchronizer

from collective.beaker.interfaces import Record
from collective.beaker.stores.base import Store


class GenericStore(Store):
    """Keeps records with the methods that all of Beaker's backends have.

    These methods do not include compare and swap.  Within one process,
    nothing is lost.  Two processes may overwrite each other's changes, unless
    the backend's own write lock prevents that.  Any exception of the backend
    means that the store cannot be used.  Records cannot be listed.
    """

    failures = (Exception,)

    def __init__(
        self,
        kind: str,
        namespace_class: Callable[..., NamespaceManager],
        **options: Any,
    ):
        super().__init__(kind, options.get("url", "its place"))
        self._namespace_class = namespace_class
        self._options = options

    def _namespace(
        self, id: str, seconds: int | None = None
    ) -> NamespaceManager:
        options = self._options
        if seconds and "timeout" in options:
            options = {**options, "timeout": seconds}
        return self._namespace_class(id, digest_filenames=False, **options)

    def _load(self, id: str) -> Record | None:
        namespace = self._namespace(id)
        namespace.acquire_read_lock()
        try:
            return _record_in(namespace)
        finally:
            namespace.release_read_lock()

    def _swap(
        self, id: str, old: Record | None, new: str | None, seconds: int | None
    ) -> bool:
        with self._writing(id, seconds) as namespace:
            if _record_in(namespace) != old:
                return False
            if new is not None:
                namespace["session"] = new
            elif old is not None:
                del namespace["session"]
            return True

    def _delete(self, id: str) -> None:
        with self._writing(id) as namespace:
            if _record_in(namespace) is not None:
                del namespace["session"]

    @contextmanager
    def _writing(
        self, id: str, seconds: int | None = None
    ) -> Iterator[NamespaceManager]:
        mutex = mutex_synchronizer(f"{self.kind}/{id}")
        mutex.acquire_write_lock()
        try:
            namespace = self._namespace(id, seconds)
            namespace.acquire_write_lock()
            try:
                yield namespace
            finally:
                namespace.release_write_lock()
        finally:
            mutex.release_write_lock()


def _record_in(namespace: NamespaceManager) -> Record | None:
    try:
        value = namespace["session"]
    except KeyError:
        return None
    return None if value is None else Record(value)
