"""A value that is missing is computed once, and not by everybody.

Of the threads of this process one goes ahead, and the others wait for it.
The one asks the store for a claim, since other processes may compute the same
value.  Nobody waits for longer than ``lock_timeout``.
"""

import time
from enum import Enum
from enum import auto
from threading import Event
from threading import Lock
from threading import get_ident
from typing import TYPE_CHECKING
from typing import Any

from collective.beaker.caching import leases
from collective.beaker.caching.names import Wanted
from collective.beaker.caching.values import CachedValue
from collective.beaker.interfaces import Claim
from collective.beaker.interfaces import StoreUnavailable


if TYPE_CHECKING:
    from collective.beaker.caching.region import Region


_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1
"""The seconds between two attempts to get a claim."""

_ALONE_SECONDS = 10
"""For how long nobody waits for a value that could not be stored."""

_MOST_ALONE = 1000
"""How many such values are remembered."""


class _Outcome(Enum):
    """What those may do who have waited for another thread."""

    AGAIN = auto()
    """Nothing was stored: somebody else may compute it."""

    STORED = auto()
    """They find the value in the store."""

    ALONE = auto()
    """It cannot be stored: each computes it without waiting for others."""


class _Flight:
    """What one thread computes while others wait."""

    def __init__(self) -> None:
        self.thread = get_ident()
        self.landed = Event()
        self.outcome = _Outcome.AGAIN


class Flights:
    """The values that threads of this process compute at the moment."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}
        self._alone: dict[str, float] = {}
        self._lock = Lock()

    def leave_alone(self, name: str) -> None:
        """Have nobody wait for a value for a while: it cannot be stored."""
        with self._lock:
            if len(self._alone) >= _MOST_ALONE:
                self._alone.clear()
            self._alone[name] = time.monotonic() + _ALONE_SECONDS

    def is_left_alone(self, name: str) -> bool:
        """Tell whether a value could not be stored a moment ago."""
        end = self._alone.get(name)
        return end is not None and time.monotonic() < end

    def take_off(self, name: str) -> tuple[_Flight, bool]:
        """Return the flight of a value, and whether it begins with this."""
        with self._lock:
            flight = self._flights.get(name)
            if flight is not None:
                return flight, False
            flight = self._flights[name] = _Flight()
            return flight, True

    def land(self, name: str, flight: _Flight) -> None:
        with self._lock:
            # A process that was forked meanwhile has no flights of another.
            if self._flights.get(name) is flight:
                del self._flights[name]
        flight.landed.set()


class Computation:
    """One attempt to compute a value.

    ``begin`` comes first.  If it returns no value, the caller computes one
    and gives it to ``finish``.  ``end`` comes last, in any case.
    """

    def __init__(self, region: "Region", wanted: Wanted):
        self._region = region
        self._wanted = wanted
        self._flight: _Flight | None = None
        self._outcome = _Outcome.AGAIN
        self._claim: Claim | None = None
        self._generations: tuple[bytes, ...] = ()
        self._started = 0.0
        self._has_waited = False

    def begin(self, old: CachedValue | None = None) -> CachedValue | None:
        """Return the value that somebody else has computed, if there is one.

        If there is an ``old`` value, which has expired but may be used,
        nobody waits: it is returned while others compute a new one.
        """
        found = self._find_or_claim(old)
        if found is None:
            self._region.count("misses")
        self._started = time.monotonic()
        return found

    def _count_wait(self) -> None:
        """Count a caller who waits, once."""
        if not self._has_waited:
            self._has_waited = True
            self._region.count("waits")

    def _find_or_claim(self, old: CachedValue | None) -> CachedValue | None:
        flights, name = self._region.flights, self._wanted.name
        patience = self._region.lock_timeout
        if flights.is_left_alone(name):
            patience = 0
        deadline = time.monotonic() + patience
        while True:
            flight, is_mine = flights.take_off(name)
            if is_mine:
                self._flight = flight
                return self._claim_value(old, deadline)
            if flight.thread == get_ident():
                # The function has called itself.
                return None
            if old is not None or not patience:
                return old
            self._count_wait()
            in_time = flight.landed.wait(deadline - time.monotonic())
            if not in_time or flight.outcome is _Outcome.ALONE:
                return None
            if flight.outcome is _Outcome.STORED:
                found = self._region.look(self._wanted)
                if found is not None and not found.has_expired(time.time()):
                    return found

    def _claim_value(
        self, old: CachedValue | None, deadline: float
    ) -> CachedValue | None:
        """Wait until no other process computes the value."""
        pause = _FIRST_PAUSE
        while True:
            claim, records = self._ask_for_claim()
            found = self._region.usable(self._wanted, records)
            is_fresh = found is not None and not found.has_expired(time.time())
            if claim is not None:
                self._hold(claim, records)
            if is_fresh:
                self._outcome = _Outcome.STORED
                return found
            if claim is not None or self._outcome is _Outcome.ALONE:
                return None
            if old is not None:
                return old
            if time.monotonic() + pause > deadline:
                self._outcome = _Outcome.ALONE
                return None
            self._count_wait()
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _ask_for_claim(self) -> tuple[Claim | None, dict[str, Any]]:
        asked = self._wanted
        try:
            return self._region.store.claim(
                asked.name, asked.names, leases.LEASE_SECONDS
            )
        except StoreUnavailable as error:
            self._region.failed("fails", str(error))
        self._outcome = _Outcome.ALONE
        return None, {}

    def _hold(self, claim: Claim, records: dict[str, Any]) -> None:
        self._claim = claim
        self._generations = self._region.generations(self._wanted, records)
        if self._region.is_marked(self._wanted, records):
            # Nobody could use it: it was invalidated by a commit that we do
            # not see yet, or a moment ago.
            self._outcome = _Outcome.ALONE
            self._region.correct_times(self._wanted, records)
        leases.hold(self._region.store, claim, self._region.name)

    def finish(
        self, value: Any, expire: float | None, latest: bytes = b""
    ) -> None:
        """Store the value that was computed, if that is possible.

        With tags, ``latest`` is the id of the last transaction that is known
        of now, as hexadecimal digits.
        """
        took = time.monotonic() - self._started
        self._region.count_computation(took)
        if self._claim is None or self._outcome is _Outcome.ALONE:
            return
        made = CachedValue(
            value,
            time.time(),
            expire,
            took,
            self._generations,
            self._wanted.snapshot,
        )
        self._outcome = _Outcome.ALONE
        record = self._region.encoded(self._wanted.name, made)
        if record is None:
            self._region.flights.leave_alone(self._wanted.name)
            return
        try:
            is_stored = self._region.store.settle(
                self._claim,
                record,
                self._region.seconds_to_keep(expire),
                self._region.to_keep(self._wanted, self._generations, latest),
            )
        except StoreUnavailable as error:
            self._region.failed("fails", str(error))
            self._region.flights.leave_alone(self._wanted.name)
            return
        leases.let_go(self._claim)
        self._claim = None
        self._region.have_stored(self._wanted)
        self._outcome = _Outcome.STORED if is_stored else _Outcome.AGAIN

    def finish_without_storing(self) -> None:
        """Do as ``finish``, for a value that nobody else may get."""
        self._region.count_computation(time.monotonic() - self._started)
        self._outcome = _Outcome.ALONE

    def end(self) -> None:
        """Let others go on, whatever has happened."""
        if self._claim is not None:
            leases.let_go(self._claim)
            try:
                self._region.store.give_up(self._claim)
            except StoreUnavailable as error:
                self._region.failed("fails", str(error))
        if self._flight is not None:
            self._flight.outcome = self._outcome
            self._region.flights.land(self._wanted.name, self._flight)
