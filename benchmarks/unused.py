"""What the package costs a request that uses no session.

It is measured within one process: what is registered for Zope's publisher is
there in one half of the measurements, and is not in the other.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.measure import count_rounds
from benchmarks.processes import Process
from benchmarks.subject import PACKAGE
from benchmarks.subject import Job


@dataclass(frozen=True)
class Unused:
    """The CPU time of a request, in microseconds, and a ratio."""

    store: str
    without: float
    over: float
    """How much more it is with the package."""

    @property
    def ratio(self) -> float:
        return 1 + self.over / self.without


def measure_unused(
    processes: list[Process],
    times: int,
    rounds: int,
    tell: Callable[[int], None],
) -> list[Unused]:
    """Return the middle process of each store."""
    having = [p for p in processes if p.subject.kind == PACKAGE]
    jobs = [Job("none", 1, times, registered) for registered in (True, False)]
    costs: dict[tuple[Process, bool], list[float]] = defaultdict(list)
    for number in count_rounds(rounds, tell):
        for process in having:
            for job in jobs[:: 1 if number % 2 else -1]:
                cost = process.run(job)
                if number:
                    costs[process, job.registered].append(cost.cpu)
    by_store: dict[str, list[Unused]] = defaultdict(list)
    for process in having:
        by_store[process.subject.store].append(_result(process, costs))
    return [_middle(several) for several in by_store.values()]


def _result(
    process: Process, costs: dict[tuple[Process, bool], list[float]]
) -> Unused:
    without = costs[process, False]
    pairs = zip(costs[process, True], without, strict=True)
    return Unused(
        process.subject.store,
        median(without),
        median(more - less for more, less in pairs),
    )


def _middle(several: list[Unused]) -> Unused:
    return sorted(several, key=lambda each: each.ratio)[len(several) // 2]
