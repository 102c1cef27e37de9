"""Claims on values last as long as the values are computed, and not longer.

A claim ends after a few seconds, so that a process that was killed keeps
nobody waiting.  One thread of this process renews those that are needed for
longer.
"""

from threading import Condition
from time import sleep

from collective.beaker.caching.errors import log_error
from collective.beaker.forks import in_forked_child
from collective.beaker.interfaces import Claim
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores.threads import start_thread
from collective.beaker.stores.values import ValueStore


LEASE_SECONDS = 5.0
"""After how many seconds a claim ends unless it is renewed."""

_RENEWALS = 4
"""How many times a claim could be renewed before it ends."""


class _Keeper:
    """Renews claims, in a thread that is started with the first of them.

    If there is no room for a thread, the next claim tries again.
    """

    def __init__(self) -> None:
        self._held: dict[Claim, tuple[ValueStore, str]] = {}
        self._changed = Condition()
        self._is_running = False

    def hold(self, store: ValueStore, claim: Claim, region: str) -> None:
        with self._changed:
            self._held[claim] = store, region
            if not self._is_running:
                self._is_running = self._starts(region)
            elif len(self._held) == 1:
                self._changed.notify()

    def let_go(self, claim: Claim) -> None:
        with self._changed:
            self._held.pop(claim, None)

    def _starts(self, region: str) -> bool:
        """Start the thread; tell whether there is room for it."""
        reason = start_thread("claims", self._run)
        if reason:
            told = f"No thread could be started: {reason}."
            log_error(region, "cannot renew a claim", told)
        return not reason

    def _run(self) -> None:
        seen: set[Claim] = set()
        while True:
            with self._changed:
                while not self._held:
                    seen = set()
                    self._changed.wait()
                held = dict(self._held)
            # What was computed in the meantime needs no renewal.
            for claim in seen & held.keys():
                self._renew(claim, *held[claim])
            seen = set(held)
            sleep(LEASE_SECONDS / _RENEWALS)

    def _renew(self, claim: Claim, store: ValueStore, region: str) -> None:
        try:
            is_good = store.renew(claim, LEASE_SECONDS)
        except StoreUnavailable as error:
            log_error(region, "cannot renew a claim", str(error))
            return
        if not is_good:
            self.let_go(claim)


_keeper = _Keeper()


def hold(store: ValueStore, claim: Claim, region: str) -> None:
    """Have a claim renewed until ``let_go`` is called."""
    _keeper.hold(store, claim, region)


def let_go(claim: Claim) -> None:
    """Have a claim not renewed any more."""
    _keeper.let_go(claim)


@in_forked_child
def _begin_anew() -> None:
    """Forget the claims of a parent process, whose thread is not here."""
    global _keeper
    _keeper = _Keeper()
