"""Measure what a request costs, in alternating rounds."""

from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Literal
from typing import get_args

from benchmarks.processes import Process
from benchmarks.subject import BARE
from benchmarks.subject import Cost
from benchmarks.subject import Job
from benchmarks.subject import Subject


Clock = Literal["cpu", "wall"]
"""The CPU time of the process, or the elapsed time."""

CLOCKS: tuple[Clock, ...] = get_args(Clock)
"""All clocks."""


@dataclass(frozen=True)
class Result:
    """What a request of one kind costs with one subject, in microseconds."""

    view: str
    keys: int
    store: str
    kind: str
    whole: dict[Clock, float]
    over_bare: dict[Clock, float]
    """How much more it costs than the same request in Zope alone."""


def measure(
    processes: list[Process],
    jobs: list[Job],
    rounds: int,
    tell: Callable[[int], None],
) -> list[Result]:
    """Have all subjects do all jobs, round by round; return the medians.

    ``tell`` is called with the number of each round.  One of the
    subjects must be Zope alone; the difference from it is computed within each
    round.

    If a subject has several processes, the middle one counts: two processes
    that are alike differ by chance, for as long as they run.
    """
    costs: dict[Job, dict[Process, list[Cost]]] = {job: {} for job in jobs}
    for number in count_rounds(rounds, tell):
        for job, series in costs.items():
            for process in processes[:: 1 if number % 2 else -1]:
                if not process.subject.takes(job):
                    continue
                cost = process.run(job)
                if number:
                    series.setdefault(process, []).append(cost)
    return [result for job in jobs for result in _compare(job, costs[job])]


def count_rounds(rounds: int, tell: Callable[[int], None]) -> Iterator[int]:
    """Yield the number of each round, from 0 on, and tell it.

    Round 0 opens files and connections, and does not count.
    """
    for number in range(rounds + 1):
        tell(number)
        yield number


def _compare(job: Job, costs: dict[Process, list[Cost]]) -> Iterator[Result]:
    by_subject: dict[Subject, list[list[Cost]]] = defaultdict(list)
    for process, series in costs.items():
        by_subject[process.subject].append(series)
    bare = next(
        _middle(several)
        for subject, several in by_subject.items()
        if subject.kind == BARE
    )
    for subject, several in by_subject.items():
        yield Result(
            view=job.view,
            keys=job.keys,
            store=subject.store,
            kind=subject.kind,
            whole={
                clock: median(_typical(series, clock) for series in several)
                for clock in CLOCKS
            },
            over_bare={
                clock: median(
                    _difference(series, bare, clock) for series in several
                )
                for clock in CLOCKS
            },
        )


def _middle(several: list[list[Cost]]) -> list[Cost]:
    """Return what the process cost that is neither fast nor slow."""
    by_cost = sorted(several, key=lambda series: _typical(series, "cpu"))
    return by_cost[len(by_cost) // 2]


def _typical(series: list[Cost], clock: Clock) -> float:
    return median(getattr(cost, clock) for cost in series)


def _difference(mine: list[Cost], its: list[Cost], clock: Clock) -> float:
    return median(
        getattr(more, clock) - getattr(less, clock)
        for more, less in zip(mine, its, strict=True)
    )
