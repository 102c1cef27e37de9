"""Compare the sessions of this package with those of other packages.

Usage: ``python -m benchmarks.compare [--rounds 31] [--times 100] [FOLDER]``

It prints a table and writes it to FOLDER as text, as CSV and as a picture.
"""

import argparse
import sys
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
from benchmarks.tables import render
from benchmarks.tables import summarize
from benchmarks.tables import write_csv


TITLES = {
    "cpu": "CPU time of Zope's process, in microseconds",
    "wall": "Elapsed time, in microseconds",
}
"""The titles of the tables, one for each clock."""


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument(
        "--stores",
        default="",
        help="names, separated by commas; all by default",
    )
    options = parser.parse_args()

    with all_stores() as stores:
        wanted = options.stores.split(",") if options.stores else stores
        chosen = {name: stores[name] for name in wanted}
        with running(list_subjects(chosen)) as processes:
            results = measure(
                processes,
                list_jobs(options.times),
                options.rounds,
                lambda number: print(
                    f"\rround {number} of {options.rounds}",
                    end="\n" if number == options.rounds else "",
                    file=sys.stderr,
                ),
            )
    machine = describe_machine()
    print(machine)
    tables = {clock: compare(results, clock) for clock in CLOCKS}
    for clock, table in tables.items():
        print(f"\n{TITLES[clock]}\n\n{render(table)}")
    if options.folder:
        options.folder.mkdir(exist_ok=True)
        (options.folder / "machine.txt").write_text(f"{machine}\n")
        for clock, table in tables.items():
            write_csv(table, options.folder / f"{clock}.csv")
        write_csv(summarize(results), options.folder / "stores.csv")
        draw_comparison(results, options.folder / "comparison.svg")


if __name__ == "__main__":
    main()
