"""Describe what a benchmark ran on: the machine and the versions."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version
from pathlib import Path

from collective.beaker.tests.helpers.servers import find_program


DISTRIBUTIONS = (
    "collective.beaker",
    "Beaker",
    "Zope",
    "Products.Sessions",
    "Products.TemporaryFolder",
    "Products.mcdutils",
    "redis",
    "hiredis",
    "pymemcache",
    "python-memcached",
    "SQLAlchemy",
    "psycopg",
)
"""The packages whose versions are shown."""

PROGRAMS = ("redis-server", "memcached", "postgres")
"""The servers whose versions are shown."""


def describe_machine(distributions: Iterable[str] = DISTRIBUTIONS) -> str:
    """Return the machine and the versions, one per line.

    A package that is not installed is left out.
    """
    system = f"{platform.system()} {platform.machine()}"
    lines = [
        f"{_processor()}, {os.cpu_count()} cores, {system}",
        f"Python {platform.python_version()}",
        *(
            f"{name} {version(name)}"
            for name in distributions
            if _is_installed(name)
        ),
        *(_program_version(program) for program in PROGRAMS),
    ]
    return "\n".join(lines)


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _processor() -> str:
    try:
        information = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search("^model name.*: (.+)$", information, re.MULTILINE)
    return found[1] if found else platform.processor()


def _program_version(program: str) -> str:
    run = subprocess.run(
        [find_program(program), "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"\d+(\.\d+)+", run.stdout)
    return f"{program} {found[0]}" if found else program
