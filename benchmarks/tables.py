"""Results as tables: as text to read, and as CSV for calculations."""

import csv
from pathlib import Path
from statistics import median

from benchmarks.limits import LIMITS
from benchmarks.limits import UNUSED
from benchmarks.limits import Limit
from benchmarks.measure import Clock
from benchmarks.measure import Result
from benchmarks.subject import BARE
from benchmarks.subject import MCDUTILS
from benchmarks.subject import MIDDLEWARE
from benchmarks.subject import PACKAGE
from benchmarks.subject import SESSIONS
from benchmarks.unused import Unused


OTHERS = (SESSIONS, MCDUTILS)
"""Packages with only one kind of store each, which share a column."""

COLUMNS = (
    "Request",
    "Keys",
    "Store",
    BARE,
    PACKAGE,
    "whole",
    MIDDLEWARE,
    "ratio",
    "other",
    "ratio",
)
"""The heading of a comparison."""

_SIZES = {1: "Small", 200: "Large"}
"""The names of the sizes of sessions, by the number of keys."""

Table = list[tuple[str, ...]]


def compare(results: list[Result], clock: Clock) -> Table:
    """Return the table of one clock, its heading first.

    It has a row for each kind of request and each store.  The times are in
    microseconds: the time of Zope alone, and how much more the others take.  A
    ratio is this package's time divided by that of the peer before it.
    """
    found = {(r.view, r.keys, r.store, r.kind): r for r in results}
    rows = [
        _row(mine, found, clock) for mine in results if mine.kind == PACKAGE
    ]
    return [COLUMNS, *rows]


def summarize(results: list[Result]) -> Table:
    """Return the elapsed time of this package, on each store."""
    costs = {
        (r.store, r.view, r.keys): _whole(r.over_bare["wall"])
        for r in results
        if r.kind == PACKAGE and r.view != "none"
    }
    kinds = list(dict.fromkeys((view, keys) for _, view, keys in costs))
    stores = dict.fromkeys(store for store, _, _ in costs)
    heading = [f"{_SIZES[keys]}, {view}" for view, keys in kinds]
    rows = [
        # A large session does not fit into a cookie.
        (store, *(costs.get((store, *kind), "no room") for kind in kinds))
        for store in stores
    ]
    return [("Store", *heading), *rows]


def hold_against_limits(results: list[Result], unused: list[Unused]) -> Table:
    """Return which limits are met, in CPU time, for sessions of one key."""
    found = {(r.view, r.store, r.kind): r for r in results if r.keys == 1}
    rows = [_unused_row("between processes", _unused_between(found))]
    if unused:
        ratio = median(each.ratio for each in unused)
        rows.append(_unused_row("within one process", ratio))
    for limit in LIMITS:
        mine = found.get((limit.view, limit.store, PACKAGE))
        its = found.get((limit.view, limit.store, limit.peer))
        if mine and its:
            rows.append(_limit_row(limit, mine, its))
    heading = ("Request", "Store", "Beside", "ratio", "limit", "verdict")
    return [heading, *rows]


def _unused_between(found: dict[tuple[str, str, str], Result]) -> float:
    bare = found["none", "", BARE].whole["cpu"]
    return median(
        1 + result.over_bare["cpu"] / bare
        for (view, _, kind), result in found.items()
        if (view, kind) == ("none", PACKAGE)
    )


def _unused_row(how: str, ratio: float) -> tuple[str, ...]:
    # The whole request: of next to nothing there is no multiple.
    beside = f"{BARE}, {how}"
    return "none", "", beside, *_judge(ratio, UNUSED)


def _limit_row(limit: Limit, mine: Result, its: Result) -> tuple[str, ...]:
    ratio = mine.over_bare["cpu"] / its.over_bare["cpu"]
    return limit.view, limit.store, limit.peer, *_judge(ratio, limit.most)


def _judge(ratio: float, most: float) -> tuple[str, str, str]:
    # It is judged as it is shown.
    verdict = "meets" if round(ratio, 2) <= most else "misses"
    return f"{ratio:.2f}", f"{most:.2f}", verdict


def list_unused(unused: list[Unused]) -> Table:
    """Return what a request costs that uses no session, within one process."""
    rows = [
        (
            each.store,
            f"{each.without:.1f}",
            f"{each.over:.1f}",
            f"{each.ratio:.3f}",
        )
        for each in unused
    ]
    return [("Store", BARE, PACKAGE, "whole"), *rows]


def _row(
    mine: Result,
    found: dict[tuple[str, int, str, str], Result],
    clock: Clock,
) -> tuple[str, ...]:
    bare = found[mine.view, mine.keys, "", BARE].whole[clock]
    cells = [mine.view, str(mine.keys), mine.store, _whole(bare)]
    over = mine.over_bare[clock]
    cells += [_whole(over), f"{1 + over / bare:.2f}"]
    for peers in ((MIDDLEWARE,), OTHERS):
        cells += _beside(mine, _find(mine, peers, found), clock)
    return tuple(cells)


def _find(
    mine: Result,
    peers: tuple[str, ...],
    found: dict[tuple[str, int, str, str], Result],
) -> Result | None:
    """Return the result of the first peer with this store, if there is one."""
    keys = ((mine.view, mine.keys, mine.store, peer) for peer in peers)
    return next((found[key] for key in keys if key in found), None)


def _beside(mine: Result, its: Result | None, clock: Clock) -> tuple[str, str]:
    if its is None:
        return "", ""
    ratio = mine.over_bare[clock] / its.over_bare[clock]
    # A ratio of two times that are almost zero says nothing.
    shown = "" if mine.view == "none" else f"{ratio:.2f}"
    return _whole(its.over_bare[clock]), shown


def _whole(microseconds: float) -> str:
    # A format specification would show -0 for -0.4.
    return str(round(microseconds))


def render(table: Table) -> str:
    """Return a table as text, with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if number < 3 else cell.rjust(width)
            for number, (cell, width) in enumerate(
                zip(row, widths, strict=True)
            )
        ).rstrip()
        for row in table
    ]
    return "\n".join(lines)


def write_csv(table: Table, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(table)
