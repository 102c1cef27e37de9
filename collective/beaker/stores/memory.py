"""Sessions in the memory of this process."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from beaker.container import MemoryNamespaceManager
from beaker.synchronization import mutex_synchronizer

from collective.beaker.ids import is_id
from collective.beaker.interfaces import Record
from collective.beaker.stores.base import LEEWAY_SECONDS
from collective.beaker.stores.base import Store


_MOST_REMOVED = 10
"""The most expired sessions of one lifetime to remove when one is stored."""


class _Ledger:
    """When sessions were stored, oldest first.

    There is one list for each lifetime, since options may change at any time.
    """

    def __init__(self) -> None:
        self._times: dict[int, dict[str, float]] = {}

    def note(self, id: str, lifetime: int | None) -> None:
        self.forget(id)
        if lifetime:
            self._times.setdefault(lifetime, {})[id] = time.time()

    def forget(self, id: str) -> None:
        for times in self._times.values():
            times.pop(id, None)

    def expired(self) -> list[str]:
        """Return some of the sessions whose lifetime has ended."""
        now = time.time()
        return [
            id
            for lifetime, times in self._times.items()
            for id, stored in islice(times.items(), _MOST_REMOVED)
            if now - stored > lifetime
        ]


_ledger = _Ledger()
"""One ledger for all stores, which share one memory.  The mutex of the memory
protects both."""


class MemoryStore(Store):
    """Keeps records where Beaker's memory backend keeps them.

    Each time it stores one, it removes some that have expired.
    """

    def __init__(self, kind: str, timeout: int | None = None):
        super().__init__(kind, "this process")
        self._namespaces = MemoryNamespaceManager.namespaces
        self._timeout = timeout

    def _load(self, id: str) -> Record | None:
        raw = self._namespaces.dict.get(id, {}).get("session")
        return None if raw is None else Record(raw)

    def _swap(
        self, id: str, old: Record | None, new: str | None, seconds: int | None
    ) -> bool:
        with self._namespaces.mutex:
            if self._load(id) != old:
                return False
            if new is None:
                self._remove(id)
                return True
            self._namespaces.dict.setdefault(id, {})["session"] = new
            _ledger.note(id, _lifetime(seconds or self._timeout))
            for expired in _ledger.expired():
                self._remove(expired)
            return True

    def _delete(self, id: str) -> None:
        with self._namespaces.mutex:
            self._remove(id)

    def _remove(self, id: str) -> None:
        self._namespaces.dict.pop(id, None)
        _ledger.forget(id)

    def _walk(self) -> Iterator[tuple[str, Record]]:
        # Caches have namespaces, too.
        for id in filter(is_id, list(self._namespaces.dict)):
            if (record := self._load(id)) is not None:
                yield id, record

    @contextmanager
    def _lock(self, id: str, payload: str = "") -> Iterator[None]:
        mutex = mutex_synchronizer(f"session/{id}")
        self.wait_for(lambda: mutex.acquire_write_lock(wait=False))
        try:
            yield
        finally:
            mutex.release_write_lock()


def _lifetime(seconds: int | None) -> int | None:
    """Return for how many seconds an unused record is kept.

    A request that began before the timeout may end after it.
    """
    if not seconds:
        return None
    timeout = seconds - LEEWAY_SECONDS
    return timeout + min(timeout, LEEWAY_SECONDS)
