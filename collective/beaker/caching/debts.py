"""What a store that failed has to be told as soon as it is back."""

from threading import Lock
from threading import Thread
from time import sleep

from beaker.exceptions import BeakerException

from collective.beaker.caching.factory import find_region
from collective.beaker.forks import in_forked_child
from collective.beaker.interfaces import StoreUnavailable


_PAUSE_SECONDS = 1
"""The time between two attempts."""

_Record = tuple[str, float | None]
"""The name of a record, and for how many seconds it is kept."""


class _Debts:
    """The numbers of records that the store of a region has not got yet.

    A thread pays them, which ends when nothing is owed any more.
    """

    def __init__(self) -> None:
        self._owed: dict[str, dict[_Record, int]] = {}
        self._lock = Lock()
        self._is_paying = False

    def owe(self, region: str, records: list[_Record], number: int) -> None:
        with self._lock:
            owed = self._owed.setdefault(region, {})
            for record in records:
                owed[record] = max(number, owed.get(record, number))
            if self._is_paying:
                return
            self._is_paying = True
        name = "collective.beaker drops"
        Thread(target=self._pay_all, name=name, daemon=True).start()

    def _pay_all(self) -> None:
        while self._is_paying:
            sleep(_PAUSE_SECONDS)
            for region, owed in self._listed().items():
                if _is_paid(region, owed):
                    self._forget(region, owed)

    def _listed(self) -> dict[str, dict[_Record, int]]:
        with self._lock:
            return {name: dict(owed) for name, owed in self._owed.items()}

    def _forget(self, region: str, paid: dict[_Record, int]) -> None:
        with self._lock:
            left = dict(self._owed[region].items() - paid.items())
            if left:
                self._owed[region] = left
            else:
                del self._owed[region]
            self._is_paying = bool(self._owed)


def _is_paid(region: str, owed: dict[_Record, int]) -> bool:
    try:
        store = find_region(region).store
        for (name, seconds), number in owed.items():
            store.raise_numbers([name], number, seconds)
    except BeakerException:
        # Nobody has such a region any more.
        return True
    except StoreUnavailable:
        return False
    return True


_debts = _Debts()


def owe(
    region: str,
    names: list[str],
    number: int,
    seconds: float | None = None,
) -> None:
    """Have the store of a region raise numbers as soon as it can.

    In the place of a value, even 0 stands: it is computed anew.
    """
    _debts.owe(region, [(name, seconds) for name in names], number)


@in_forked_child
def _begin_anew() -> None:
    """Leave the debts of a parent process to that."""
    global _debts
    _debts = _Debts()
