"""Subjects in separate processes, and real servers for their stores."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.subject import Cost
from benchmarks.subject import Job
from benchmarks.subject import Subject
from collective.beaker.tests.helpers.servers import memcached_server
from collective.beaker.tests.helpers.servers import postgresql_server
from collective.beaker.tests.helpers.servers import redis_server


class Process:
    """A subject that waits for jobs."""

    def __init__(self, subject: Subject, module: str = "subject"):
        self.subject = subject
        python = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{module}"]
        self._popen = subprocess.Popen(
            [*python, json.dumps(asdict(subject))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # A random hash seed could make one process slower than another.
            env=os.environ | {"PYTHONHASHSEED": "0"},
        )

    def run(self, job: Job) -> Cost:
        """Have the subject do a job; return what it cost."""
        return Cost(**self.ask(asdict(job)))

    def ask(self, question: Any) -> Any:
        """Return the program's answer to a question, both as JSON."""
        self._popen.stdin.write(f"{json.dumps(question)}\n")
        self._popen.stdin.flush()
        answer = self._popen.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.subject} has ended.")
        return json.loads(answer)

    def end(self) -> None:
        self._popen.communicate()


@contextmanager
def running(
    subjects: list[Subject], module: str = "subject", each: int = 1
) -> Iterator[list[Process]]:
    """Run the subjects until the end of the block, in ``each`` processes."""
    processes = [
        Process(subject, module) for _ in range(each) for subject in subjects
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.end()


@contextmanager
def all_stores() -> Iterator[dict[str, dict[str, Any]]]:
    """Run the servers, and yield the session options of each store."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        redis = stack.enter_context(redis_server(folder))
        memcached = stack.enter_context(memcached_server(folder))
        postgresql = stack.enter_context(postgresql_server())
        sqlite = f"sqlite:///{folder}/sessions.db"
        yield {
            "memory": {"type": "memory"},
            "file": {"type": "file", "data_dir": f"{folder}/sessions"},
            "SQLite": {"type": "ext:database", "url": sqlite},
            "Redis": {"type": "ext:redis", "url": redis.url},
            "memcached": {"type": "ext:memcached", "url": memcached.url},
            "PostgreSQL": {"type": "ext:database", "url": postgresql.url},
            "cookie": {"type": "cookie", "validate_key": "of the benchmark"},
        }
