"""What caches take as tables, and which limits they keep."""

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace

from benchmarks.cache_jobs import HIT
from benchmarks.cache_jobs import NEW
from benchmarks.cache_jobs import THREADED
from benchmarks.cache_jobs import Case
from benchmarks.cache_jobs import Job
from benchmarks.cache_peers import BEAKER
from benchmarks.cache_peers import CACHED
from benchmarks.cache_peers import DOGPILE
from benchmarks.cache_peers import FILE
from benchmarks.cache_peers import MEMCACHED
from benchmarks.cache_peers import MEMORY
from benchmarks.cache_peers import PEERS
from benchmarks.cache_peers import RAW
from benchmarks.cache_peers import REDIS
from benchmarks.cache_peers import REGION
from benchmarks.cache_peers import TAGGED
from benchmarks.tables import Table


Costs = dict[tuple[Case, str], float]
"""What each case takes with each peer."""


@dataclass(frozen=True)
class Limit:
    """What one peer takes may be so many times what another takes."""

    does: str
    store: str
    mine: str
    beside: str
    most: float


def _beside(
    does: str, store: str, beside: str, most: float
) -> tuple[Limit, Limit]:
    return (
        Limit(does, store, REGION, beside, most),
        Limit(does, store, CACHED, beside, most),
    )


LIMITS = (
    *_beside(HIT, MEMORY, BEAKER, 1.0),
    *_beside(HIT, FILE, BEAKER, 1.0),
    *_beside(HIT, REDIS, BEAKER, 0.55),
    *_beside(HIT, REDIS, DOGPILE, 0.75),
    *_beside(HIT, REDIS, RAW, 1.25),
    *_beside(HIT, MEMCACHED, BEAKER, 0.5),
    *_beside(HIT, MEMCACHED, DOGPILE, 0.75),
    *_beside(HIT, MEMCACHED, RAW, 1.25),
    *_beside(NEW, REDIS, BEAKER, 0.4),
    *_beside(THREADED, MEMORY, BEAKER, 1.0),
    *_beside(THREADED, REDIS, RAW, 1.25),
    *_beside(THREADED, MEMCACHED, RAW, 1.25),
    *(
        Limit(HIT, store, TAGGED, CACHED, 1.5)
        for store in (MEMORY, FILE, REDIS, MEMCACHED)
    ),
)

_FLAT = 1.1
"""How much more a call may take among many keys."""


def compare(jobs: list[Job]) -> Table:
    """Return the table, its heading first: a column for each peer."""
    costs = _costs(jobs)
    peers = [peer for peer in PEERS if any(job.peer == peer for job in jobs)]
    rows = [
        (*_names(case), *(shown(costs.get((case, peer))) for peer in peers))
        for case in _cases(costs)
    ]
    return [("Store", "Call", "Bytes", "Keys", *peers), *rows]


def hold_against_limits(jobs: list[Job]) -> Table:
    """Return which limits are met, for each size and number of keys."""
    costs = _costs(jobs)
    heading = ("Store", "Call", "Bytes", "Keys", "What", "Beside", "ratio")
    rows = [*_beside_others(costs), *_among_many(costs)]
    return [(*heading, "limit", "verdict"), *rows]


def _beside_others(costs: Costs) -> Iterator[tuple[str, ...]]:
    for limit in LIMITS:
        for case in _cases(costs):
            if (case.does, case.store) != (limit.does, limit.store):
                continue
            mine = costs.get((case, limit.mine))
            its = costs.get((case, limit.beside))
            if mine and its:
                what = (*_names(case), limit.mine, limit.beside)
                yield (*what, *_judge(mine / its, limit.most))


def _among_many(costs: Costs) -> Iterator[tuple[str, ...]]:
    """Yield what many keys make of a call."""
    cases = _cases(costs)
    fewest = min(case.keys for case in cases)
    for case in cases:
        few = replace(case, keys=fewest)
        if few == case:
            continue
        for peer in (REGION, CACHED):
            if (case, peer) in costs:
                ratio = costs[case, peer] / costs[few, peer]
                what = (*_names(case), peer, f"{fewest} keys")
                yield (*what, *_judge(ratio, _FLAT))


def _costs(jobs: list[Job]) -> Costs:
    return {(job.case, job.peer): job.cost for job in jobs}


def _cases(costs: Costs) -> list[Case]:
    return list(dict.fromkeys(case for case, _ in costs))


def _names(case: Case) -> tuple[str, ...]:
    return case.store, case.does, f"{case.size:,}", f"{case.keys:,}"


def shown(cost: float | None) -> str:
    """Return microseconds as text, "" for none."""
    if cost is None:
        return ""
    return f"{cost:.1f}" if cost < 10 else f"{cost:,.0f}"


def _judge(ratio: float, most: float) -> tuple[str, str, str]:
    # It is judged as it is shown.
    verdict = "meets" if round(ratio, 2) <= most else "misses"
    return f"{ratio:.2f}", f"{most:.2f}", verdict
