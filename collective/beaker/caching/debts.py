"""What a store that failed has to be told as soon as it is back.

Until then this process itself does not use what the store still has.
"""

import logging
from collections.abc import Iterable
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from time import sleep
from typing import NamedTuple
from typing import Protocol
from weakref import WeakKeyDictionary

from collective.beaker.forks import in_forked_child
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores.threads import start_thread
from collective.beaker.stores.values import ValueStore


logger = logging.getLogger("collective.beaker")

_PAUSE_SECONDS = 1
"""The time between two attempts."""


class Debtor(Protocol):
    """A region, whose store has to be told."""

    @property
    def store(self) -> ValueStore:
        """The store; raises StoreUnavailable if it cannot be had now."""


class _Debt(NamedTuple):
    """What to store under a name, and for how long."""

    record: int | bytes
    """A number to raise, or what takes the place of any other record."""

    seconds: float | None

    def with_former(self, former: "_Debt | None") -> "_Debt":
        """Return what to store of two debts under one name."""
        if former is None or not isinstance(former.record, int):
            return self
        if isinstance(self.record, int) and self.record < former.record:
            return former
        return self


_Owed = Mapping[str, _Debt]


class _Debts:
    """What the stores of regions have not got yet.

    A thread pays it, and ends when nothing is owed any more.  What is owed by
    a region that is gone is forgotten.
    """

    def __init__(self) -> None:
        self._owed: WeakKeyDictionary[Debtor, dict[str, _Debt]]
        self._owed = WeakKeyDictionary()
        self._lock = Lock()
        self._is_paying = False
        self.names: Mapping[int, set[str]] = {}
        """The names that each store has to be told, by the id of the store.
        Nobody changes it: another one takes its place."""

    def owe(self, region: Debtor, names: Iterable[str], debt: _Debt) -> None:
        with self._lock:
            owed = self._owed.setdefault(region, {})
            for name in names:
                owed[name] = debt.with_former(owed.get(name))
            self._note_names()
            if not self._is_paying:
                self._is_paying = self._starts()

    def _starts(self) -> bool:
        """Start the thread; tell whether there is room for it."""
        reason = start_thread("drops", self._pay_all)
        if reason:
            logger.error(
                "What caches must drop is kept until the next drop that "
                "fails, as no thread could be started: %s.",
                reason,
            )
        return not reason

    def _pay_all(self) -> None:
        while self._goes_on():
            sleep(_PAUSE_SECONDS)
            self._pay_once()

    def _goes_on(self) -> bool:
        with self._lock:
            self._note_names()
            self._is_paying = bool(self._owed)
            return self._is_paying

    def _pay_once(self) -> None:
        for region, owed in self._listed():
            try:
                _pay(region.store, owed)
            except StoreUnavailable:
                continue
            self._forget(region, owed)

    def _note_names(self) -> None:
        names: dict[int, set[str]] = {}
        for region, owed in self._owed.items():
            # Of a store that cannot be had, nothing is used.
            with suppress(StoreUnavailable):
                names.setdefault(id(region.store), set()).update(owed)
        self.names = names

    def _listed(self) -> list[tuple[Debtor, _Owed]]:
        with self._lock:
            return [(region, dict(own)) for region, own in self._owed.items()]

    def _forget(self, region: Debtor, paid: _Owed) -> None:
        with self._lock:
            left = dict(self._owed[region].items() - paid.items())
            if left:
                self._owed[region] = left
            else:
                del self._owed[region]


def _pay(store: ValueStore, owed: _Owed) -> None:
    names_of: dict[_Debt, list[str]] = {}
    for name, debt in owed.items():
        names_of.setdefault(debt, []).append(name)
    for (record, seconds), names in names_of.items():
        if isinstance(record, int):
            store.raise_numbers(names, record, seconds)
            continue
        for name in names:
            store.put(name, record, seconds)


ledger = _Debts()
"""What this process owes; ``names`` is empty most of the time."""


def owes(store: ValueStore, names: Iterable[str]) -> bool:
    """Tell whether a store has still to be told about one of these names."""
    return not ledger.names.get(id(store), set()).isdisjoint(names)


def owe_number(
    region: Debtor,
    names: Iterable[str],
    number: int,
    seconds: float,
) -> None:
    """Have the store of a region raise numbers as soon as it can.

    In the place of a value, even 0 stands: it is computed anew.
    """
    ledger.owe(region, names, _Debt(number, seconds))


def owe_record(region: Debtor, name: str, record: bytes) -> None:
    """Have the store of a region keep a record as soon as it can."""
    ledger.owe(region, [name], _Debt(record, None))


@in_forked_child
def _begin_anew() -> None:
    """Leave the debts of a parent process to that."""
    global ledger
    ledger = _Debts()
