"""Measure what a request costs, in alternating rounds."""

from collections import defaultdict
from collections.abc import Callable
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
    """
    costs: dict[tuple[Subject, Job], list[Cost]] = defaultdict(list)
    # Round 0 opens files and connections, and does not count.
    for number in range(rounds + 1):
        tell(number)
        for job in jobs:
            for process in processes[:: 1 if number % 2 else -1]:
                if not process.subject.takes(job):
                    continue
                cost = process.run(job)
                if number:
                    costs[process.subject, job].append(cost)
    bare = next(subject for subject, _ in costs if subject.kind == BARE)
    return [
        _result(subject, job, series, costs[bare, job])
        for (subject, job), series in costs.items()
    ]


def _result(
    subject: Subject, job: Job, series: list[Cost], bare: list[Cost]
) -> Result:
    return Result(
        view=job.view,
        keys=job.keys,
        store=subject.store,
        kind=subject.kind,
        whole={
            clock: median(getattr(mine, clock) for mine in series)
            for clock in CLOCKS
        },
        over_bare={
            clock: median(
                getattr(mine, clock) - getattr(its, clock)
                for mine, its in zip(series, bare, strict=True)
            )
            for clock in CLOCKS
        },
    )
