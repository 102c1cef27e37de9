"""What all stores of sessions share: compare and swap, locks and turns."""

import time
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import ExitStack
from contextlib import contextmanager
from typing import Any
from typing import TypeVar

from zope.interface import implementer

from collective.beaker.ids import is_id
from collective.beaker.ids import is_lease
from collective.beaker.ids import lease_name
from collective.beaker.interfaces import IStore
from collective.beaker.interfaces import Leftover
from collective.beaker.interfaces import Record
from collective.beaker.interfaces import StoreLocked
from collective.beaker.stores.guarded import Guarded
from collective.beaker.stores.leases import Leases


WAIT_SECONDS = 2
"""How long anyone waits for a lock, perhaps while holding others."""

CLOCK_LEEWAY = 300
"""By how many seconds the clock of another host may be ahead."""

LEEWAY_SECONDS = 120
"""How much longer than a session's timeout Beaker has a store keep it."""

_LONGEST_TURN = 24 * 60 * 60
"""How long a turn may last.  One that lasts longer may be taken away."""

_POLL_SECONDS = 0.002
"""The time between two attempts to acquire a lock."""

_Lock = TypeVar("_Lock")
"""What stands for an acquired lock."""

_TURN = lease_name("0" * 32)
"""The name of the record that says whose turn it is."""


@implementer(IStore)
class Store(Guarded, ABC):
    """The base class of all stores.  See IStore.

    A subclass implements ``_load``, ``_swap``, ``_delete`` and, if it can list
    its records, ``_walk``.  If it has an index, it says so in ``has_index``,
    and implements ``_add_to_index`` and its like.
    """

    has_index = False

    def __init__(self, kind: str, address: Any = ""):
        super().__init__(kind, address)
        self._leases = Leases(self)

    def after_fork(self) -> None:
        super().after_fork()
        self._leases.begin_anew()

    def load(self, id: str) -> Record | None:
        if self._circuit.is_open:
            return self._guarded(self._load, id)
        # What _guarded does, without one more call in each request.
        openings = self._circuit.openings
        try:
            return self._load(id)
        except self.failures as error:
            unavailable = self._failed(error, openings)
        raise unavailable

    def swap(
        self,
        id: str,
        old: Record | None,
        new: str | None,
        seconds: int | None = None,
    ) -> bool:
        return self._guarded(self._swap, id, old, new, seconds)

    def delete(self, id: str) -> None:
        self._guarded(self._delete, id)

    def reachable_id(self, id: str) -> str:
        return id

    def walk(self) -> Iterator[tuple[str, Record]]:
        return (found for found in self.walk_all() if is_id(found[0]))

    def walk_all(self) -> Iterator[tuple[str, Record]]:
        yield from self._guarded_items(self._walk())

    def add_to_index(self, mark: str, id: str) -> None:
        if self.has_index:
            self._guarded(self._add_to_index, mark, id)

    def find_in_index(self, mark: str) -> Sequence[str] | None:
        if not self.has_index:
            return None
        return self._guarded(self._find_in_index, mark)

    def remove_from_index(self, mark: str, ids: Sequence[str]) -> None:
        if ids:
            self._guarded(self._remove_from_index, mark, ids)

    @property
    def place(self) -> Hashable:
        return self.kind, self.address

    def estimate(self) -> int | None:
        return self._guarded(self._estimate)

    def remove(self, records: Sequence[tuple[str, Record]]) -> int:
        return self._guarded(self._remove_unchanged, records)

    def clean_up(self, dry_run: bool = False) -> Iterator[Leftover | None]:
        yield from self._guarded_items(self._clean_up(dry_run))

    def payload(self, record: Record) -> str | None:
        text: str | None = record.raw
        return text

    @contextmanager
    def lock(self, id: str, payload: str = "") -> Iterator[None]:
        lock = self._lock(id, payload)
        # Leases ask the circuit themselves, at each step.
        self._run_guarded(lock.__enter__, ())
        with ExitStack() as stack:
            # Errors of the caller are no errors of the store.
            stack.push(lock)
            yield

    def _lock(
        self, id: str, payload: str = ""
    ) -> AbstractContextManager[None]:
        """See IStore.lock."""
        return self._leases.hold(lease_name(id), payload)

    def wait_for(self, acquire: Callable[[], _Lock | None]) -> _Lock:
        """Return a lock as soon as it is acquired.

        Raises StoreLocked if that takes too long.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while not (lock := acquire()):
            if time.monotonic() > deadline:
                raise StoreLocked(self.kind, self.address, "it is locked")
            time.sleep(_POLL_SECONDS)
        return lock

    def take_turn(self, owner: str, seconds: float) -> bool:
        return self._leases.acquire(_TURN, owner, seconds)

    def is_free(self, lease: Record) -> bool:
        return self._leases.is_over(lease, _LONGEST_TURN)

    @abstractmethod
    def _load(self, id: str) -> Record | None:
        """See IStore.load."""

    @abstractmethod
    def _swap(
        self, id: str, old: Record | None, new: str | None, seconds: int | None
    ) -> bool:
        """See IStore.swap."""

    @abstractmethod
    def _delete(self, id: str) -> None:
        """See IStore.delete."""

    def _load_one(self, id: str) -> Record | None:
        """Load one record of many, none of which must hide the others."""
        return self._load(id)

    def _walk(self) -> Iterator[tuple[str, Record]]:
        """See IStore.walk_all."""
        raise NotImplementedError

    def _add_to_index(self, mark: str, id: str) -> None:
        """See IStore.add_to_index."""
        raise NotImplementedError

    def _find_in_index(self, mark: str) -> Sequence[str] | None:
        """See IStore.find_in_index."""
        raise NotImplementedError

    def _remove_from_index(self, mark: str, ids: Sequence[str]) -> None:
        """See IStore.remove_from_index."""

    def _walk_index(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield marks, and ids of sessions that do not expire there."""
        return iter(())

    def _remove_unchanged(self, records: Sequence[tuple[str, Record]]) -> int:
        """See IStore.remove."""
        return sum(self._is_removed(name, old) for name, old in records)

    def _is_removed(self, name: str, old: Record) -> bool:
        """Remove a record if it is unchanged; tell whether it was removed."""
        try:
            return self._swap(name, old, None, None)
        except StoreLocked:
            # The record is being stored at this moment.
            return False

    def _estimate(self) -> int | None:
        """See IStore.estimate."""
        return None

    def _clean_up(self, dry_run: bool) -> Iterator[Leftover | None]:
        """See IStore.clean_up."""
        for mark, ids in self._walk_index():
            gone = [id for id in ids if self._load_one(id) is None]
            if gone and not dry_run:
                self._remove_from_index(mark, gone)
            # What is a hint only is not counted.
            yield None


def is_record_name(name: object) -> bool:
    """Tell records of sessions and of their locks from those of caches."""
    return is_id(name) or is_lease(name)
