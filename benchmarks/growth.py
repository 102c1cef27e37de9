"""Measure what a request costs as more and more sessions are stored.

Usage: ``python -m benchmarks.growth [--sessions 1000 10000 100000] [FOLDER]``

It prints a table, and writes it to FOLDER as CSV.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy
from pymemcache.client.base import Client
from redis import Redis

from benchmarks.machine import describe_machine
from benchmarks.processes import Process
from benchmarks.processes import all_stores
from benchmarks.processes import running
from benchmarks.subject import PACKAGE
from benchmarks.subject import Subject
from benchmarks.tables import Table
from benchmarks.tables import render
from benchmarks.tables import write_csv


COLUMNS = ("Store", "Sessions", "Read", "Write", "Bytes each")
"""The heading of the table."""

FEW = 50
"""How many sessions are stored before anything is measured."""

TITLE = "CPU time of a request, in microseconds"
"""The title of the table."""

Measure = Callable[[Process, dict[str, Any]], int]
"""Returns how many bytes a store uses."""


def _in_memory(process: Process, options: dict[str, Any]) -> int:
    return process.ask({"method": "memory"})


def _in_files(process: Process, options: dict[str, Any]) -> int:
    files = Path(options["data_dir"]).rglob("*")
    return sum(file.lstat().st_blocks * 512 for file in files)


def _in_sqlite(process: Process, options: dict[str, Any]) -> int:
    return Path(options["url"].removeprefix("sqlite:///")).stat().st_size


def _in_redis(process: Process, options: dict[str, Any]) -> int:
    return Redis.from_url(options["url"]).info("memory")["used_memory"]


def _in_memcached(process: Process, options: dict[str, Any]) -> int:
    return int(Client(options["url"]).stats()[b"bytes"])


def _in_postgresql(process: Process, options: dict[str, Any]) -> int:
    size = sqlalchemy.text("SELECT pg_total_relation_size('beaker_cache')")
    with sqlalchemy.create_engine(options["url"]).connect() as connection:
        return connection.execute(size).scalar_one()


SIZES: dict[str, Measure] = {
    "memory": _in_memory,
    "file": _in_files,
    "SQLite": _in_sqlite,
    "Redis": _in_redis,
    "memcached": _in_memcached,
    "PostgreSQL": _in_postgresql,
}
"""How the size of each store is measured."""


def measure_growth(
    process: Process, options: dict[str, Any], steps: list[int], times: int
) -> Table:
    """Return a row for each number of sessions."""
    store = process.subject.store
    size = SIZES[store]

    def visit(view: str) -> float:
        question = {"method": "visit", "view": view, "times": times}
        return process.ask(question)["cpu"]

    # The size of an almost empty store does not count.
    process.ask({"method": "grow", "times": FEW})
    visit("write")
    stored, before = FEW, size(process, options)
    rows = []
    for sessions in steps:
        process.ask({"method": "grow", "times": sessions - stored})
        stored = sessions
        cells = [store, f"{sessions:,}"]
        cells += [f"{visit(view):.0f}" for view in ("read", "write")]
        each = (size(process, options) - before) / (sessions - FEW)
        rows.append((*cells, f"{each:,.0f}"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument(
        "--sessions", type=int, nargs="+", default=[1_000, 10_000, 100_000]
    )
    parser.add_argument("--times", type=int, default=2_000)
    options = parser.parse_args()

    table: Table = [COLUMNS]
    with all_stores() as stores:
        for name in SIZES:
            print(f"filling {name}", file=sys.stderr)
            subject = Subject(PACKAGE, name, stores[name])
            with running([subject], "crowd") as (process,):
                table += measure_growth(
                    process, stores[name], options.sessions, options.times
                )
    print(f"{describe_machine()}\n\n{TITLE}\n\n{render(table)}")
    if options.folder:
        options.folder.mkdir(exist_ok=True)
        write_csv(table, options.folder / "growth.csv")


if __name__ == "__main__":
    main()
