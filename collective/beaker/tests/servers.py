"""Real servers for the tests: each on a free loopback port, for one test run.

A server is ended by the test run that started it.  Where its program is not
installed, the tests that need it are skipped, and say so.
"""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from contextlib import contextmanager
from pathlib import Path

import pytest


START_SECONDS = 30


def free_port() -> int:
    """Return a port on which nothing listens now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[int]:
    """Run a server until the end of the block; yield its port."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output) as process,
    ):
        try:
            wait_for_port(process, port, log)
            yield port
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def wait_for_port(process: subprocess.Popen, port: int, log: Path) -> None:
    """Return once a server accepts connections; fail if it ended before."""
    while process.poll() is None:
        with closing(socket.socket()) as probe:
            probe.settimeout(START_SECONDS)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        try:
            # Waits a moment, and no longer where the server has ended.
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(f"{process.args} ended: {log.read_text()}")


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--save", "", "--dir", str(folder)]
    with running(command, port, folder / "redis.log"):
        yield port


@contextmanager
def memcached_server(folder: Path) -> Iterator[int]:
    port = free_port()
    command = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0"]
    command += ["-u", "nobody"]
    with running(command, port, folder / "memcached.log"):
        yield port
