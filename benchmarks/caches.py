"""Compare the caches of this package with others, and with the bare stores.

Usage: ``python -m benchmarks.caches [FOLDER] [OPTIONS]``

It prints tables and writes them to FOLDER as CSV, with a picture.  Everything
is measured in this one process; a peer that is not installed is left out.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cache_jobs import in_site
from benchmarks.cache_jobs import list_cases
from benchmarks.cache_jobs import list_jobs
from benchmarks.cache_jobs import make_site
from benchmarks.cache_jobs import measure
from benchmarks.cache_peers import FILE
from benchmarks.cache_peers import MEMCACHED
from benchmarks.cache_peers import MEMORY
from benchmarks.cache_peers import REDIS
from benchmarks.cache_peers import Place
from benchmarks.cache_picture import draw_caches
from benchmarks.cache_tables import compare
from benchmarks.cache_tables import hold_against_limits
from benchmarks.machine import describe_machine
from benchmarks.tables import render
from benchmarks.tables import write_csv
from collective.beaker.tests.helpers.servers import memcached_server
from collective.beaker.tests.helpers.servers import redis_server


DISTRIBUTIONS = (
    "collective.beaker",
    "Beaker",
    "dogpile.cache",
    "plone.memoize",
    "cachelib",
    "diskcache",
    "redis",
    "hiredis",
    "pymemcache",
    "python-memcached",
)
"""The packages whose versions are shown."""

TITLE = "A call of a function, in microseconds"

TITLE_LIMITS = "Ratios, and their limits"


@contextmanager
def places() -> Iterator[list[Place]]:
    """Run the servers, and yield where each store is."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        redis = stack.enter_context(redis_server(folder, "--appendonly", "no"))
        # It keeps all values, as the others do.
        memcached = stack.enter_context(memcached_server(folder, "-m", "2048"))
        yield [
            Place(MEMORY, folder),
            Place(FILE, folder),
            Place(REDIS, folder, redis.url),
            Place(MEMCACHED, folder, memcached.url),
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument(
        "--times", type=int, default=200, help="calls in each round"
    )
    parser.add_argument(
        "--keys",
        type=int,
        nargs="+",
        default=[10, 2_200],
        help="how many values there are; all but the first only in files",
    )
    options = parser.parse_args()

    make_site()
    with places() as stores, in_site():
        cases = list_cases([place.store for place in stores], options.keys)
        jobs = list_jobs(cases, stores)
        measure(
            jobs,
            options.times,
            options.rounds,
            lambda number: print(
                f"round {number} of {options.rounds}", file=sys.stderr
            ),
        )
    machine = describe_machine(DISTRIBUTIONS)
    table = compare(jobs)
    limits = hold_against_limits(jobs)
    print(f"{machine}\n\n{TITLE}\n\n{render(table)}")
    print(f"\n{TITLE_LIMITS}\n\n{render(limits)}")
    if options.folder:
        options.folder.mkdir(exist_ok=True)
        (options.folder / "caches.txt").write_text(f"{machine}\n")
        write_csv(table, options.folder / "caches.csv")
        write_csv(limits, options.folder / "caches_limits.csv")
        draw_caches(jobs, options.folder / "caches.svg")


if __name__ == "__main__":
    main()
