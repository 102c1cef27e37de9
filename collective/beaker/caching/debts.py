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


class _Debts:
    """The numbers of tags that the store of a region has not got yet.

    A thread pays them, which ends when nothing is owed any more.
    """

    def __init__(self) -> None:
        self._owed: dict[str, dict[str, int]] = {}
        self._lock = Lock()
        self._is_paying = False

    def owe(self, region: str, names: list[str], number: int) -> None:
        with self._lock:
            owed = self._owed.setdefault(region, {})
            for name in names:
                owed[name] = max(number, owed.get(name, number))
            if self._is_paying:
                return
            self._is_paying = True
        name = "collective.beaker tags"
        Thread(target=self._pay_all, name=name, daemon=True).start()

    def _pay_all(self) -> None:
        while self._is_paying:
            sleep(_PAUSE_SECONDS)
            for region, owed in self._listed().items():
                if _is_paid(region, owed):
                    self._forget(region, owed)

    def _listed(self) -> dict[str, dict[str, int]]:
        with self._lock:
            return {name: dict(owed) for name, owed in self._owed.items()}

    def _forget(self, region: str, paid: dict[str, int]) -> None:
        with self._lock:
            left = dict(self._owed[region].items() - paid.items())
            if left:
                self._owed[region] = left
            else:
                del self._owed[region]
            self._is_paying = bool(self._owed)


def _is_paid(region: str, owed: dict[str, int]) -> bool:
    try:
        store = find_region(region).store
        for name, number in owed.items():
            store.raise_number(name, number, None)
    except BeakerException:
        # Nobody has such a region any more.
        return True
    except StoreUnavailable:
        return False
    return True


_debts = _Debts()


def owe(region: str, names: list[str], number: int) -> None:
    """Have the store of a region raise tags as soon as it can."""
    _debts.owe(region, names, number)


@in_forked_child
def _begin_anew() -> None:
    """Leave the debts of a parent process to that."""
    global _debts
    _debts = _Debts()
