"""What all stores have in common: one stored record, and compare and swap."""

import secrets
import time
from abc import ABC
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from contextlib import suppress
from typing import Any
from typing import NamedTuple

from zope.interface import implementer

from collective.beaker.interfaces import IStore
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.options import redacted


LEASE_SECONDS = 10
"""After this time a lock whose owner was killed is anybody's."""

_POLL_SECONDS = 0.005


class Record(NamedTuple):
    """What a store holds for one session."""

    raw: Any
    """As it is stored: bytes, or text where the store keeps text."""

    version: Any = None
    """What a swap compares, where that is not ``raw``."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


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

    def load(self, id: str) -> Record | None:
        try:
            return self._load(id)
        except self.failures as error:
            raise self._unavailable(error) from None

    def swap(self, id: str, old: Record | None, new: str | None) -> bool:
        try:
            return self._swap(id, old, new)
        except self.failures as error:
            raise self._unavailable(error) from None

    def delete(self, id: str) -> None:
        try:
            self._delete(id)
        except self.failures as error:
            raise self._unavailable(error) from None

    def walk(self) -> Iterator[tuple[str, Record]]:
        try:
            yield from self._walk()
        except NotImplementedError:
            raise
        except self.failures as error:
            raise self._unavailable(error) from None

    def payload(self, record: Record) -> str | None:
        return record.raw

    def lock(self, id: str, payload: str = "") -> AbstractContextManager[None]:
        return self._lease(f"{id}-lock", payload)

    # A lock in a store that has none: a record which says whose it is, and
    # until when.  Compare and swap lets one of those who want it win.  The
    # payload in it shows that the store takes one of this size.

    @contextmanager
    def _lease(self, name: str, payload: str) -> Iterator[None]:
        owner = secrets.token_hex(8)
        give_up = time.monotonic() + LEASE_SECONDS
        while not self._take_lease(name, owner, payload):
            if time.monotonic() > give_up:
                raise StoreUnavailable(self.kind, self.address, "locked")
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            # It ends by itself; a transaction must be able to go on.
            with suppress(StoreUnavailable):
                self._leave_lease(name, owner)

    def _take_lease(self, name: str, owner: str, payload: str) -> bool:
        held = self.load(name)
        if held is not None:
            _, until = self._read_lease(held)
            if time.time() < until:
                return False
        mine = f"{owner} {time.time() + LEASE_SECONDS} {payload}"
        return self.swap(name, held, mine)

    def _leave_lease(self, name: str, owner: str) -> None:
        held = self.load(name)
        if held is not None and self._read_lease(held)[0] == owner:
            self.swap(name, held, None)

    def _read_lease(self, held: Record) -> tuple[str, float]:
        owner, until, _ = (self.payload(held) or " 0 ").split(" ", 2)
        return owner, float(until)

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        # Not the error's own text: it may hold an id, data or a password.
        return StoreUnavailable(self.kind, self.address, _reason(error))

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
        """See IStore.walk."""
        raise NotImplementedError


def _reason(error: Exception) -> str:
    name = type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: {error.strerror}"
    return name
