"""What all stores of values share: errors, and the tokens of claims."""

import math
import secrets
import time
from abc import ABC
from abc import abstractmethod
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from zope.interface import implementer

from collective.beaker.interfaces import Claim
from collective.beaker.interfaces import IValueStore
from collective.beaker.interfaces import Size
from collective.beaker.stores.base import CLOCK_LEEWAY
from collective.beaker.stores.guarded import Guarded


NOTHING: Mapping[str, Any] = MappingProxyType({})
"""No records to keep with a value."""

LONGEST_SECONDS = 30 * 24 * 60 * 60
"""How long a server that forgets by itself keeps what has no end."""


@implementer(IValueStore)
class ValueStore(Guarded, ABC):
    """The base class of all stores of values.  See IValueStore.

    A subclass implements the methods that begin with an underscore.
    """

    keeps_objects = False

    @property
    def place(self) -> Hashable:
        return self.kind, self.address

    def get(self, names: Sequence[str]) -> dict[str, Any]:
        if self._circuit.is_open:
            return self._guarded(self._get, names)
        # What _guarded does, without one more call for each hit.
        openings = self._circuit.openings
        try:
            return self._get(names)
        except self.failures as error:
            unavailable = self._failed(error, openings)
        raise unavailable

    def claim(
        self, name: str, names: Sequence[str], seconds: float
    ) -> tuple[Claim | None, dict[str, Any]]:
        return self._guarded(self._claim, name, names, seconds)

    def renew(self, claim: Claim, seconds: float) -> bool:
        return self._guarded(self._renew, claim, seconds)

    def settle(
        self,
        claim: Claim,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any] = NOTHING,
    ) -> bool:
        return self._guarded(self._settle, claim, record, seconds, keep)

    def give_up(self, claim: Claim) -> None:
        self._guarded(self._give_up, claim)

    def put(
        self,
        name: str,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any] = NOTHING,
    ) -> None:
        self._guarded(self._put, name, record, seconds, keep)

    def delete(self, names: Sequence[str]) -> None:
        self._guarded(self._delete, names)

    def raise_numbers(
        self, names: Sequence[str], number: int, seconds: float | None
    ) -> None:
        self._guarded(self._raise_numbers, names, digits(number), seconds)

    def walk(self, prefix: str = "") -> Iterator[str]:
        yield from self._guarded_items(self._walk(prefix))

    def clear(self, prefix: str = "") -> int:
        return self._guarded(self._clear, prefix)

    def sweep(self, dry_run: bool = False) -> Iterator[int]:
        yield from self._guarded_items(self._sweep(dry_run))

    def size(self, prefix: str = "", seconds: float = math.inf) -> Size | None:
        sizes = self._sizes(prefix)
        if sizes is None:
            return None
        deadline = time.monotonic() + seconds
        parts = []
        for part in self._guarded_items(sizes):
            if time.monotonic() >= deadline:
                return None
            parts.append(part)
        return _sum_of(parts)

    @abstractmethod
    def _get(self, names: Sequence[str]) -> dict[str, Any]:
        """See IValueStore.get."""

    @abstractmethod
    def _claim(
        self, name: str, names: Sequence[str], seconds: float
    ) -> tuple[Claim | None, dict[str, Any]]:
        """See IValueStore.claim."""

    @abstractmethod
    def _renew(self, claim: Claim, seconds: float) -> bool:
        """See IValueStore.renew."""

    @abstractmethod
    def _settle(
        self,
        claim: Claim,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> bool:
        """See IValueStore.settle."""

    @abstractmethod
    def _give_up(self, claim: Claim) -> None:
        """See IValueStore.give_up."""

    @abstractmethod
    def _put(
        self,
        name: str,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> None:
        """See IValueStore.put."""

    @abstractmethod
    def _delete(self, names: Sequence[str]) -> None:
        """See IValueStore.delete."""

    @abstractmethod
    def _raise_numbers(
        self, names: Sequence[str], number: bytes, seconds: float | None
    ) -> None:
        """See IValueStore.raise_numbers; the number is the whole record."""

    def _walk(self, prefix: str) -> Iterator[str]:
        """See IValueStore.walk."""
        raise NotImplementedError

    def _clear(self, prefix: str) -> int:
        """See IValueStore.clear."""
        raise NotImplementedError

    def _sweep(self, dry_run: bool) -> Iterator[int]:
        """See IValueStore.sweep."""
        return iter(())

    def _sizes(self, prefix: str) -> Iterator[Size] | None:
        """Return the sizes of parts, each of which is counted in no time."""
        return None


def _sum_of(sizes: Iterable[Size]) -> Size:
    entries, total = 0, 0
    knows_bytes = True
    for size in sizes:
        entries += size.entries
        total += size.bytes or 0
        knows_bytes = knows_bytes and size.bytes is not None
    return Size(entries, total if knows_bytes else None)


def end_of(seconds: float | None) -> float:
    """Return when a record ends that is kept for so many seconds."""
    return math.inf if seconds is None else time.time() + seconds


def latest_end_of_claim(seconds: float) -> float:
    """Return when a claim ends at the latest that lasts so many seconds.

    A clock that was far ahead has made one that ends later: it is free, as
    otherwise nobody could have it until that time if its owner was killed.
    """
    return time.time() + seconds + CLOCK_LEEWAY


def is_claimed(end: float, seconds: float) -> bool:
    """Tell whether a claim for so many seconds, which ends then, holds."""
    return time.time() < end <= latest_end_of_claim(seconds)


def new_token() -> str:
    """Return a token that no other claim has."""
    return secrets.token_hex(16)


def digits(number: int) -> bytes:
    """Return a number as a record: texts of it sort as numbers do."""
    return b"%016x" % number
