"""Measure what it takes to get a value from a cache, in alternating rounds."""

import gc
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from itertools import count
from itertools import cycle
from itertools import islice
from threading import Barrier
from threading import Thread
from time import perf_counter

import transaction
from OFS.Folder import Folder
from ZODB import DB
from ZODB.MappingStorage import MappingStorage
from zope.component.hooks import setSite
from zope.component.persistentregistry import PersistentComponents

from benchmarks.cache_peers import BEAKER
from benchmarks.cache_peers import CACHED
from benchmarks.cache_peers import PEERS
from benchmarks.cache_peers import Function
from benchmarks.cache_peers import Place
from benchmarks.cache_peers import fill
from benchmarks.cache_peers import make_function
from benchmarks.measure import count_rounds


HIT = "hit"
NEW = "new value"
THREADED = "hit, 16 threads"

_THREADS = 16
_SECONDS = 0.05
"""About how long one measurement may take, if one call does not."""

_MANY = 10_000
"""From so many keys on, only our own ``cached`` is measured."""

_MOST_OF_BEAKER = 2_200
"""With more keys, Beaker's one file takes too long."""


@dataclass(frozen=True)
class Case:
    """What is done: in which store, with how many keys of which size."""

    store: str
    does: str
    size: int
    keys: int


@dataclass
class Job:
    """A case for one of the peers, and what it took: microseconds a call."""

    peer: str
    case: Case
    function: Function = field(repr=False)
    computed: list[int] = field(repr=False)
    """The numbers of all values that were computed."""

    costs: list[float] = field(default_factory=list)
    _numbers: Iterator[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        keys = self.case.keys
        fill(self.function, keys)
        new = self.case.does == NEW
        self._numbers = count(keys) if new else cycle(range(keys))

    def run(self, times: int) -> float:
        """Return how long a call takes, in microseconds."""
        if self.case.does == NEW:
            times //= 4  # they are all kept
        if self.costs:
            possible = int(_SECONDS * 1e6 / self.costs[-1])
            threaded = self.case.does == THREADED
            times = min(times, possible // (_THREADS if threaded else 1))
        run = self._in_threads if self.case.does == THREADED else self._alone
        gc.collect(0)
        gc.disable()
        try:
            return run(max(1, times)) * 1e6
        finally:
            gc.enable()

    @property
    def has_lost(self) -> bool:
        """Whether what should have been a hit was none."""
        return self.case.does != NEW and len(self.computed) > self.case.keys

    @property
    def cost(self) -> float:
        """What a call takes if nothing else disturbs it."""
        return sorted(self.costs)[len(self.costs) // 10]

    def _alone(self, times: int) -> float:
        function = self.function
        numbers = list(islice(self._numbers, times))
        start = perf_counter()
        for number in numbers:
            function(number)
        return (perf_counter() - start) / times

    def _in_threads(self, times: int) -> float:
        barrier = Barrier(_THREADS + 1)
        numbers = list(islice(self._numbers, times))

        def work() -> None:
            with in_site():
                self.function(0)  # opens a connection
                barrier.wait()
                for number in numbers:
                    self.function(number)

        threads = [Thread(target=work) for _ in range(_THREADS)]
        for thread in threads:
            thread.start()
        barrier.wait()
        start = perf_counter()
        for thread in threads:
            thread.join()
        return (perf_counter() - start) / times / _THREADS


_database = DB(MappingStorage(), pool_size=1 + _THREADS)


def make_site() -> None:
    """Store a site, in which everything is measured, as in Plone."""
    with _database.transaction() as connection:
        site = connection.root()["site"] = Folder("site")
        site.setSiteManager(PersistentComponents())


@contextmanager
def in_site() -> Iterator[None]:
    """Have this thread be in the site, as in a request."""
    transaction.begin()
    connection = _database.open()
    setSite(connection.root()["site"])
    try:
        yield
    finally:
        setSite(None)
        transaction.abort()
        connection.close()


def list_cases(stores: list[str], keys: list[int]) -> list[Case]:
    """Return what is measured; ``keys`` are for files."""
    few = keys[0]
    cases = []
    for store in stores:
        for size in (200, 20_000):
            cases += [Case(store, does, size, few) for does in (HIT, NEW)]
        if store == "file":
            cases += [
                Case(store, does, 200, many)
                for many in keys[1:]
                for does in (HIT, NEW)
            ]
        else:
            cases.append(Case(store, THREADED, 200, few))
    return cases


def list_jobs(cases: list[Case], places: list[Place]) -> list[Job]:
    """Return the jobs of all peers that are installed."""
    by_store = {place.store: place for place in places}
    missing = set()
    jobs = []
    for case in cases:
        for peer in PEERS:
            if not _is_measured(peer, case):
                continue
            computed: list[int] = []
            place = by_store[case.store]
            try:
                function = make_function(
                    peer, place, case.size, computed.append
                )
            except ImportError as error:
                missing.add(f"without {peer}: {error}")
                continue
            if function is not None:
                jobs.append(Job(peer, case, function, computed))
    for note in sorted(missing):
        print(note, file=sys.stderr)
    return jobs


def _is_measured(peer: str, case: Case) -> bool:
    if peer == CACHED:
        return True
    return case.keys < _MANY and (
        peer != BEAKER or case.keys <= _MOST_OF_BEAKER
    )


def measure(
    jobs: list[Job], times: int, rounds: int, tell: Callable[[int], None]
) -> None:
    """Run all jobs, round by round, forwards and backwards."""
    for number in count_rounds(rounds, tell):
        for job in jobs[:: 1 if number % 2 else -1]:
            cost = job.run(times)
            if number:
                job.costs.append(cost)
    for job in jobs:
        if job.has_lost:
            print(f"values got lost: {job}", file=sys.stderr)
