"""Show which functions a request with a session spends its time in.

Usage: ``python -m benchmarks.parts [OPTIONS] STORE VIEW``

STORE and VIEW are those of the comparison, such as ``Redis`` and ``read``.
The requests are made in this process, under cProfile.  It adds to each call
about as much as a short function takes: compare its figures with each other,
not with those of the comparison.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from cProfile import Profile
from dataclasses import dataclass
from pathlib import Path
from pstats import Stats
from tempfile import TemporaryDirectory

from benchmarks.processes import all_stores
from benchmarks.subject import MCDUTILS
from benchmarks.subject import MIDDLEWARE
from benchmarks.subject import PACKAGE
from benchmarks.subject import VIEWS
from benchmarks.subject import Job
from benchmarks.subject import Subject
from benchmarks.subject import Visitors
from benchmarks.subject import make_application
from benchmarks.tables import Table
from benchmarks.tables import render


SHOWN = {
    "collective/beaker/": "collective.beaker",
    "site-packages/beaker/": "beaker",
    "Products/mcdutils/": "Products.mcdutils",
    "Products/Sessions/": "Products.Sessions",
    "site-packages/memcache.py": "memcache",
    "site-packages/pymemcache/": "pymemcache",
    "site-packages/redis/": "redis",
    "site-packages/sqlalchemy/": "sqlalchemy",
    "site-packages/psycopg/": "psycopg",
    "/hmac.py": "hmac",
    "/json/": "json",
}
"""The packages whose functions are shown, by a part of their files' paths."""

TESTS = "collective/beaker/tests/"
"""The part of the paths of what makes the requests, which is not shown."""


@dataclass(frozen=True)
class Part:
    """What a function takes in each request, in microseconds."""

    package: str
    function: str
    calls: float
    own: float
    """Without the functions that it calls."""

    whole: float


def measure_parts(visitors: Visitors, job: Job) -> list[Part]:
    """Return the functions that a job calls, the most expensive first."""
    visitors.run(job)
    profile = Profile(time.process_time)
    profile.enable()
    visitors.run(job)
    profile.disable()
    parts = _list_parts(profile, job.times)
    return sorted(parts, key=lambda part: -part.whole)


def _list_parts(profile: Profile, times: int) -> Iterator[Part]:
    for place, (_, calls, own, whole, _) in Stats(profile).stats.items():
        path, line, name = place
        package = _package_of(path)
        if package:
            yield Part(
                package,
                f"{Path(path).name}:{line} {name}",
                calls / times,
                own / times * 1e6,
                whole / times * 1e6,
            )


def _package_of(path: str) -> str | None:
    if TESTS in path:
        return None
    return next((name for part, name in SHOWN.items() if part in path), None)


def list_functions(parts: list[Part], rows: int) -> Table:
    return [
        ("Package", "Function", "calls", "own", "whole"),
        *(
            (
                part.package,
                part.function,
                f"{part.calls:.1f}",
                f"{part.own:.1f}",
                f"{part.whole:.1f}",
            )
            for part in parts[:rows]
        ),
    ]


def sum_packages(parts: list[Part]) -> Table:
    """Return what each package takes without the others that it calls."""
    sums: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        sums[part.package].append(part)
    return [
        ("Package", "", "calls", "own"),
        *(
            (
                package,
                "",
                f"{sum(part.calls for part in some):.1f}",
                f"{sum(part.own for part in some):.1f}",
            )
            for package, some in sums.items()
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("view", choices=VIEWS)
    parser.add_argument(
        "--kind", default=PACKAGE, choices=(PACKAGE, MIDDLEWARE, MCDUTILS)
    )
    parser.add_argument("--keys", type=int, default=1)
    parser.add_argument("--times", type=int, default=1000, help="requests")
    parser.add_argument("--rows", type=int, default=60, help="functions")
    options = parser.parse_args()

    job = Job(options.view, options.keys, options.times)
    with all_stores() as stores, TemporaryDirectory() as folder:
        if options.store not in stores:
            parser.error(f"The stores are {', '.join(stores)}.")
        subject = Subject(options.kind, options.store, stores[options.store])
        application = make_application(subject, Path(folder, "zope"))
        parts = measure_parts(Visitors(application, True), job)
    print(render(list_functions(parts, options.rows)))
    print(f"\n{render(sum_packages(parts))}")


if __name__ == "__main__":
    main()
