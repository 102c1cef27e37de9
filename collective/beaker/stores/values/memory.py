"""Values in the memory of this process."""

import heapq
import math
import os
import time
from collections import OrderedDict
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from threading import Lock
from typing import Any

from collective.beaker.interfaces import Claim
from collective.beaker.interfaces import Size
from collective.beaker.stores.values.base import ValueStore
from collective.beaker.stores.values.base import end_of
from collective.beaker.stores.values.base import is_claimed
from collective.beaker.stores.values.base import new_token


_MISSING = (None, 0.0)
"""What stands for an entry that is not there: it has ended."""

_SLACK = 1000
"""How many ends of records that are gone are kept at least."""


_Entry = tuple[Any, float]
"""A record, and when it ends.  Plain tuples are the fastest to read."""


class MemoryValues(ValueStore):
    """Keeps the objects themselves, for one cache region.

    What was not used for the longest time leaves when there are too many.
    What has ended leaves when something is stored.
    """

    keeps_objects = True

    def __init__(self, kind: str, region: str = "", max_entries: int = 10_000):
        super().__init__(kind, "this process")
        self._region = region
        self._most = max_entries
        self.after_fork()

    def after_fork(self) -> None:
        super().after_fork()
        self.entries: OrderedDict[str, _Entry] = OrderedDict()
        """The records by name, the one used last at the end.  Who reads it
        without ``get`` puts there what it has used."""

        self._claims: dict[str, tuple[str, float]] = {}
        # When records end, the next one first.
        self._ends: list[tuple[float, str]] = []
        self._lock = Lock()

    @property
    def place(self) -> Hashable:
        return self.kind, os.getpid(), self._region

    def get(self, names: Sequence[str]) -> dict[str, Any]:
        # Nothing fails here.  Each step is atomic, so that readers do not
        # wait for each other.
        now = time.time()
        entries = self.entries
        found = {}
        for name in names:
            record, end = entries.get(name, _MISSING)
            if end <= now:
                continue
            found[name] = record
            try:
                entries.move_to_end(name)
            except KeyError:
                # It was removed at this moment.
                continue
        return found

    _get = get

    def _claim(
        self, name: str, names: Sequence[str], seconds: float
    ) -> tuple[Claim | None, dict[str, Any]]:
        claim = Claim(name, new_token())
        with self._lock:
            _, end = self._claims.get(name, ("", 0))
            if is_claimed(end, seconds):
                return None, self.get(names)
            self._claims[name] = claim.token, time.time() + seconds
            return claim, self.get(names)

    def _renew(self, claim: Claim, seconds: float) -> bool:
        with self._lock:
            if not self._is_good(claim):
                return False
            self._claims[claim.name] = claim.token, time.time() + seconds
            return True

    def _settle(
        self,
        claim: Claim,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> bool:
        with self._lock:
            if not self._is_good(claim):
                return False
            self._store(claim.name, record, seconds, keep)
            return True

    def _give_up(self, claim: Claim) -> None:
        with self._lock:
            if self._is_good(claim):
                del self._claims[claim.name]

    def _put(
        self,
        name: str,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> None:
        with self._lock:
            self._store(name, record, seconds, keep)

    def _delete(self, names: Sequence[str]) -> None:
        with self._lock:
            for name in names:
                self.entries.pop(name, None)
                self._claims.pop(name, None)

    def _raise_numbers(
        self, names: Sequence[str], number: bytes, seconds: float | None
    ) -> None:
        with self._lock:
            for name in names:
                self._claims.pop(name, None)
                present = self.get([name]).get(name)
                # Values are no bytes here.
                former = present if isinstance(present, bytes) else b""
                end = self._later(name, seconds)
                self._enter(name, max(former, number), end)

    def _walk(self, prefix: str) -> Iterator[str]:
        now = time.time()
        for name, (_, end) in self._listed():
            if name.startswith(prefix) and end > now:
                yield name

    def _listed(self) -> list[tuple[str, _Entry]]:
        while True:
            try:
                return list(self.entries.items())
            except RuntimeError:
                # A reader has moved an entry at this moment.
                continue

    def _clear(self, prefix: str) -> int:
        # Nobody may settle what is computed from before.
        with self._lock:
            for name in list(self._claims):
                if name.startswith(prefix):
                    del self._claims[name]
        names = list(self._walk(prefix))
        self._delete(names)
        return len(names)

    def _sweep(self, dry_run: bool) -> Iterator[int]:
        now = time.time()
        if dry_run:
            yield sum(end <= now for _, (_, end) in self._listed())
            return
        with self._lock:
            for name, (_, end) in list(self._claims.items()):
                if end <= now:
                    del self._claims[name]
            yield self._remove_ended(now)

    def _sizes(self, prefix: str) -> Iterator[Size]:
        yield Size(sum(1 for _ in self._walk(prefix)), None)

    def _is_good(self, claim: Claim) -> bool:
        return self._claims.get(claim.name, ("", 0))[0] == claim.token

    def _store(
        self,
        name: str,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> None:
        """Store a record and what is to be kept with it, and end the claim."""
        self._claims.pop(name, None)
        present = self.get(list(keep))
        for kept, default in keep.items():
            end = self._later(kept, seconds)
            self._enter(kept, present.get(kept, default), end)
        self._enter(name, record, end_of(seconds))

    def _later(self, name: str, seconds: float | None) -> float:
        """Return when a record that lives longer may end."""
        return max(end_of(seconds), self.entries.get(name, _MISSING)[1])

    def _enter(self, name: str, record: Any, end: float) -> None:
        self._remove_ended(time.time())
        self.entries[name] = record, end
        self.entries.move_to_end(name)
        if end < math.inf:
            heapq.heappush(self._ends, (end, name))
        while len(self.entries) > self._most:
            self.entries.popitem(last=False)
        if len(self._ends) > 2 * len(self.entries) + _SLACK:
            self._ends = [
                (end, name)
                for name, (_, end) in self._listed()
                if end < math.inf
            ]
            heapq.heapify(self._ends)

    def _remove_ended(self, now: float) -> int:
        number = 0
        while self._ends and self._ends[0][0] <= now:
            end, name = heapq.heappop(self._ends)
            # It may have been replaced by one that ends later.
            if self.entries.get(name, _MISSING)[1] == end:
                del self.entries[name]
                number += 1
        return number
