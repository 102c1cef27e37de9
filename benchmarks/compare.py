"""Compare the sessions of this package with those of other packages.

Usage: ``python -m benchmarks.compare [OPTIONS] [FOLDER]``

It prints tables and writes them to FOLDER as CSV, with a picture.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.measure import CLOCKS
from benchmarks.measure import measure
from benchmarks.picture import draw_comparison
from benchmarks.processes import all_stores
from benchmarks.processes import running
from benchmarks.subject import BARE
from benchmarks.subject import MCDUTILS
from benchmarks.subject import MIDDLEWARE
from benchmarks.subject import PACKAGE
from benchmarks.subject import SESSIONS
from benchmarks.subject import Job
from benchmarks.subject import Subject
from benchmarks.tables import compare
from benchmarks.tables import hold_against_limits
from benchmarks.tables import list_unused
from benchmarks.tables import render
from benchmarks.tables import summarize
from benchmarks.tables import write_csv
from benchmarks.unused import measure_unused


TITLES = {
    "cpu": "CPU time of Zope's process, in microseconds",
    "wall": "Elapsed time, in microseconds",
}
"""The titles of the tables, one for each clock."""

TITLE_UNUSED = """\
A request that uses no session, in one process: CPU time in microseconds,
without what this package registers, and what is added by it"""

TITLE_LIMITS = "CPU time as a ratio, and its limit, for sessions of one key"


def list_subjects(stores: dict[str, dict[str, Any]]) -> list[Subject]:
    """Return everything that is compared, on each store that it can use."""
    return [
        Subject(BARE),
        *(
            Subject(kind, store, options)
            for store, options in stores.items()
            for kind in (PACKAGE, MIDDLEWARE)
        ),
        *(
            Subject(kind, store, stores[store])
            for kind, store in ((SESSIONS, "memory"), (MCDUTILS, "memcached"))
            if store in stores
        ),
    ]


def list_jobs(times: int) -> list[Job]:
    return [
        Job("none", 1, times),
        *(
            Job(view, keys, times)
            for view in ("read", "write")
            for keys in (1, 200)
        ),
    ]


def _teller(what: str, rounds: int) -> Callable[[int], None]:
    """Return what tells the progress, in lines that no message runs into."""
    return lambda number: print(
        f"{what} {number} of {rounds}", file=sys.stderr, flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument(
        "--processes", type=int, default=3, help="of each subject"
    )
    parser.add_argument(
        "--rounds", type=int, default=11, help="of each process"
    )
    parser.add_argument(
        "--times", type=int, default=100, help="requests in each round"
    )
    parser.add_argument(
        "--stores",
        default="",
        help="names, separated by commas; all by default",
    )
    options = parser.parse_args()

    with all_stores() as stores:
        wanted = options.stores.split(",") if options.stores else stores
        chosen = {name: stores[name] for name in wanted}
        subjects = list_subjects(chosen)
        with running(subjects, each=options.processes) as processes:
            results = measure(
                processes,
                list_jobs(options.times),
                options.rounds,
                _teller("round", options.rounds),
            )
            unused = measure_unused(
                processes,
                options.times,
                options.rounds,
                _teller("round without sessions", options.rounds),
            )
    machine = describe_machine()
    print(machine)
    tables = {clock: compare(results, clock) for clock in CLOCKS}
    for clock, table in tables.items():
        print(f"\n{TITLES[clock]}\n\n{render(table)}")
    without = list_unused(unused)
    print(f"\n{TITLE_UNUSED}\n\n{render(without)}")
    limits = hold_against_limits(results, unused)
    print(f"\n{TITLE_LIMITS}\n\n{render(limits)}")
    if options.folder:
        options.folder.mkdir(exist_ok=True)
        (options.folder / "machine.txt").write_text(f"{machine}\n")
        for clock, table in tables.items():
            write_csv(table, options.folder / f"{clock}.csv")
        write_csv(summarize(results), options.folder / "stores.csv")
        write_csv(without, options.folder / "unused.csv")
        write_csv(limits, options.folder / "limits.csv")
        draw_comparison(results, options.folder / "comparison.svg")


if __name__ == "__main__":
    main()
