"""What all stores have in common: one stored record, and compare and swap."""

import secrets
import threading
import time
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import contextmanager
from contextlib import suppress
from enum import Enum
from typing import Any
from typing import NamedTuple
from typing import TypeVar

from zope.interface import implementer

from collective.beaker.ids import is_id
from collective.beaker.ids import lease_name
from collective.beaker.interfaces import IStore
from collective.beaker.interfaces import StoreLocked
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.settings.options import redacted


LEASE_SECONDS = 5
"""After this time a lock whose owner was killed is anybody's."""

WAIT_SECONDS = 2
"""So long somebody waits who wants a lock, and may hold others meanwhile."""

LEEWAY_SECONDS = 120
"""So much longer than a session's timeout Beaker has a store keep it."""

_POLL_SECONDS = 0.002

_Lock = TypeVar("_Lock")
"""What stands for a lock, if it was taken."""

_TURN = lease_name("0" * 32)
"""The name of the record that says whose turn it is."""


class KeptText(str):
    """The text of a session that stays in this process."""

    data: dict[Any, Any] | None = None
    """What was decoded from it.  It is copied for each who reads it."""


class Record(NamedTuple):
    """What a store holds for one session."""

    raw: Any
    """As it is stored: bytes, or text where the store keeps text."""

    version: Any = None
    """What a swap compares, where that is not ``raw``."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Leftover(Enum):
    """What killed processes leave behind."""

    LOCK = "lock"
    TEMPORARY_FILE = "temporary file"


@implementer(IStore)
class Store(ABC):
    """Base of all stores.  See IStore.

    A subclass implements ``_load``, ``_swap``, ``_delete`` and ``_walk``,
    and names in ``failures`` what they raise when the store cannot be used.
    """

    failures: tuple[type[Exception], ...] = ()

    def __init__(self, kind: str, address: Any = ""):
        self.kind = kind
        self.address = redacted("url", address)
        self._of_thread = threading.local()

    def load(self, id: str) -> Record | None:
        return self._reach(self._load, id)

    def swap(self, id: str, old: Record | None, new: str | None) -> bool:
        return self._reach(self._swap, id, old, new)

    def delete(self, id: str) -> None:
        self._reach(self._delete, id)

    def walk(self) -> Iterator[tuple[str, Record]]:
        return (found for found in self.walk_all() if is_id(found[0]))

    def walk_all(self) -> Iterator[tuple[str, Record]]:
        records = self._walk()
        while found := self._reach(next, records, None):
            yield found

    @property
    def place(self) -> Hashable:
        return self.kind, self.address

    def estimate(self) -> int | None:
        return self._reach(self._estimate)

    def remove(self, records: Sequence[tuple[str, Record]]) -> int:
        return self._reach(self._remove_same, records)

    def clean_up(self, dry_run: bool = False) -> Iterator[Leftover | None]:
        pieces = self._clean_up(dry_run)
        nothing_more = object()
        while True:
            piece = self._reach(next, pieces, nothing_more)
            if piece is nothing_more:
                return
            yield piece

    def clear_caches(self) -> int:
        return self._reach(self._clear_caches)

    def _reach(self, operation: Callable[..., Any], *arguments: Any) -> Any:
        """Call what needs the store; raise StoreUnavailable if it fails."""
        try:
            return operation(*arguments)
        except self.failures as error:
            reason = self._reason(error)
        # Not while the error is handled: it may hold an id, data or a
        # password, and would go with this one.
        raise StoreUnavailable(self.kind, self.address, reason)

    def _reason(self, error: Exception) -> str:
        """Return why the store fails, without what an error may quote.

        What the system says quotes nothing; a client library may hide it.
        """
        name, cause, seen = type(error).__name__, error, []
        while cause is not None and cause not in seen:
            if isinstance(cause, OSError) and cause.strerror:
                return f"{name}: {cause.strerror}"
            seen.append(cause)
            cause = cause.__cause__ or cause.__context__
        return name

    def payload(self, record: Record) -> str | None:
        return record.raw

    def lock(self, id: str, payload: str = "") -> AbstractContextManager[None]:
        return self._lease(lease_name(id), payload)

    # A lock in a store that has none: a record which says whose it is, and
    # until when.  Compare and swap lets one of those who want it win.  It is
    # as large as the payload, to show that the store takes one of this size.

    @contextmanager
    def _lease(self, name: str, payload: str) -> Iterator[None]:
        if name in self._leases():
            yield
            return
        owner = secrets.token_hex(8)
        self._wait(lambda: self._take_lease(name, owner, len(payload)))
        self._leases().add(name)
        try:
            yield
        finally:
            self._leases().remove(name)
            # It ends by itself; a transaction must be able to go on.
            with suppress(StoreUnavailable):
                self._leave_lease(name, owner)

    def _leases(self) -> set[str]:
        """Return the names of the leases that this thread has."""
        return vars(self._of_thread).setdefault("leases", set())

    def _wait(self, take: Callable[[], _Lock]) -> _Lock:
        """Return a lock once it was taken; raise StoreLocked if it is not."""
        give_up = time.monotonic() + WAIT_SECONDS
        while not (lock := take()):
            if time.monotonic() > give_up:
                raise StoreLocked(self.kind, self.address, "it is locked")
            time.sleep(_POLL_SECONDS)
        return lock

    def take_turn(self, owner: str, seconds: float) -> bool:
        return self._take_lease(_TURN, owner, 0, seconds)

    def is_over(self, record: Record) -> bool:
        return time.time() >= self._read_lease(record)[1]

    def _take_lease(
        self, name: str, owner: str, size: int, seconds: float = LEASE_SECONDS
    ) -> bool:
        held = self.load(name)
        if held and not self.is_over(held) and not self._owns(owner, held):
            return False
        mine = f"{owner} {time.time() + seconds} {'.' * size}"
        return self.swap(name, held, mine)

    def _leave_lease(self, name: str, owner: str) -> None:
        held = self.load(name)
        if held is not None and self._owns(owner, held):
            self.swap(name, held, None)

    def _owns(self, owner: str, held: Record) -> bool:
        return self._read_lease(held)[0] == owner

    def _read_lease(self, held: Record) -> tuple[str, float]:
        """Return whose a lease is, and until when; nobody's, if unreadable."""
        try:
            owner, until, _ = (self.payload(held) or "").split(" ", 2)
            return owner, float(until)
        except Exception:
            return "", 0

    @abstractmethod
    def _load(self, id: str) -> Record | None:
        """See IStore.load."""

    @abstractmethod
    def _swap(self, id: str, old: Record | None, new: str | None) -> bool:
        """See IStore.swap."""

    @abstractmethod
    def _delete(self, id: str) -> None:
        """See IStore.delete."""

    def _walk(self) -> Iterator[tuple[str, Record]]:
        """See IStore.walk_all."""
        raise NotImplementedError

    def _remove_same(self, records: Sequence[tuple[str, Record]]) -> int:
        """See IStore.remove."""
        return sum(self._removes(name, old) for name, old in records)

    def _removes(self, name: str, old: Record) -> bool:
        try:
            return self._swap(name, old, None)
        except StoreLocked:
            # Somebody is storing it.
            return False

    def _estimate(self) -> int | None:
        """See IStore.estimate."""
        return None

    def _clean_up(self, dry_run: bool) -> Iterator[Leftover | None]:
        """See IStore.clean_up."""
        return iter(())

    def _clear_caches(self) -> int:
        """See IStore.clear_caches."""
        raise NotImplementedError
