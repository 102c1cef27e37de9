"""Leases: locks in a store that has no locks of its own.

A lease is a record that says whose a lock is, and until when.  Compare and
swap makes sure that only one of several requests acquires it.  It is as large
as what is to be stored under it: if the store does not allow that size, it
refuses the lease.
"""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from typing import TYPE_CHECKING

from collective.beaker.interfaces import Record
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores.alarm import Alarm


if TYPE_CHECKING:
    from collective.beaker.stores.base import Store


LEASE_SECONDS = 5
"""How long a lock remains held if its owner is killed."""

_RENEWAL_SECONDS = 2
"""After how long a lock that is still held is renewed."""

_MOST_RENEWAL_SECONDS = 60
"""How long a lock is renewed.  Who holds it for longer may never let go."""

_SKEW_SECONDS = 60
"""How far the clocks of two machines may differ."""


class Leases:
    """The leases in one store, and which of them each thread holds."""

    def __init__(self, store: "Store"):
        self._store = store
        self._renewals = Alarm(_RENEWAL_SECONDS, self._renew)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Hold nothing, as in a forked child."""
        self._of_thread = threading.local()

    @contextmanager
    def hold(self, name: str, payload: str) -> Iterator[None]:
        """Hold the lock with this name, under which a payload is stored.

        Raises StoreLocked if somebody else holds it for too long, and what
        the store raises.
        """
        if name in self._held():
            yield
            return
        lease = _Lease(name, len(payload))
        self._store.wait_for(
            lambda: self.acquire(name, lease.owner, LEASE_SECONDS, lease.size)
        )
        self._held().add(name)
        self._renewals.set(lease)
        try:
            yield
        finally:
            # It may be renewed at this moment, but not again.
            lease.give_up = 0
            self._renewals.clear(lease)
            # A process that was forked in the meantime holds nothing.
            if name in self._held():
                self._held().remove(name)
                # The lease ends by itself, and the transaction must be able
                # to continue.
                with suppress(StoreUnavailable):
                    self._release(name, lease.owner)

    def acquire(
        self, name: str, owner: str, seconds: float, size: int = 0
    ) -> bool:
        """Give a lease to an owner; tell whether it was free, or theirs."""
        lease = self._store.load(name)
        if lease and not (
            self.is_over(lease, seconds) or self._owns(owner, lease)
        ):
            return False
        return self._store.swap(name, lease, _text(owner, seconds, size))

    def is_over(self, lease: Record, longest: float) -> bool:
        """Tell whether a lease has ended, or is none.

        None lasts for longer than anyone asks for, except by as much as
        clocks differ: it was planted, or a clock is wrong.
        """
        left = self._read(lease)[1] - time.time()
        # This is how to compare with what is not a number.
        return not 0 < left <= longest + _SKEW_SECONDS

    def _held(self) -> set[str]:
        """Return the names of the leases that this thread holds."""
        held: set[str] = vars(self._of_thread).setdefault("held", set())
        return held

    def _renew(self, lease: "_Lease") -> None:
        """Have a lease last, as its owner is still at work.

        If somebody else has it by now, that cannot be helped: who held it
        finds out when the session is stored.
        """
        if time.monotonic() > lease.give_up:
            return
        with suppress(StoreUnavailable):
            record = self._store.load(lease.name)
            if record is None or not self._owns(lease.owner, record):
                return
            text = _text(lease.owner, LEASE_SECONDS, lease.size)
            self._store.swap(lease.name, record, text)
        self._renewals.set(lease)

    def _release(self, name: str, owner: str) -> None:
        # It may be renewed in between, once.
        for _ in range(2):
            lease = self._store.load(name)
            if lease is None or not self._owns(owner, lease):
                return
            if self._store.swap(name, lease, None):
                return

    def _owns(self, owner: str, lease: Record) -> bool:
        return self._read(lease)[0] == owner

    def _read(self, lease: Record) -> tuple[str, float]:
        """Return the owner of a lease, and the time when it ends.

        A lease that cannot be read has no owner, and has ended.
        """
        try:
            text = self._store.payload(lease) or ""
            owner, end, _ = text.split(" ", 2)
            return owner, float(end)
        except Exception:
            return "", 0


class _Lease:
    """A lock that is held, as its owner knows it."""

    def __init__(self, name: str, size: int):
        self.name = name
        self.size = size
        self.owner = secrets.token_hex(8)
        self.give_up = time.monotonic() + _MOST_RENEWAL_SECONDS


def _text(owner: str, seconds: float, size: int) -> str:
    return f"{owner} {time.time() + seconds} {'.' * size}"
