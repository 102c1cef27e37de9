"""Eight clients in two processes on one session lose nothing."""

import json
import subprocess
import sys
import time

import pytest

from collective.beaker.tests.helpers import stress
from collective.beaker.tests.helpers.stress import run_clients
from collective.beaker.tests.helpers.views import setting
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.visitors import data_of
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.waiting import limited


TIMES = 40
CLIENTS = [f"client{number}" for number in range(8)]


@pytest.fixture(scope="module")
def processes():
    """Two processes, each with a Zope of its own."""
    command = [sys.executable, "-m", stress.__name__]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    started = [subprocess.Popen(command, text=True, **pipes) for _ in range(2)]
    yield started
    for process in started:
        process.communicate()


def tell(process, line):
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def hear(process):
    """Return the next line of a process; end one that says nothing."""
    with limited(process):
        return process.stdout.readline().strip()


def run_in(processes, options, cookie):
    """Have each process run its share of the clients, at the same time."""
    share = len(CLIENTS) // len(processes)
    for number, process in enumerate(processes):
        job = {
            "options": options,
            "cookie": cookie,
            "clients": CLIENTS[number * share :][:share],
            "times": TIMES,
        }
        tell(process, json.dumps(job))
    assert [hear(process) for process in processes] == [stress.READY] * 2
    for process in processes:
        tell(process, stress.GO)
    assert [hear(process) for process in processes] == [stress.DONE] * 2


def test_the_counts_of_eight_clients_on_one_session_are_exact(
    server_store, config, visitor, request, capsys
):
    # SQLite lets those who wait go in any order, and some wait for long.
    config["socket_timeout"] = SECONDS
    visitor.visit(setting(start=1))
    cookie = f"{COOKIE}={visitor.cookies[COOKIE]}"
    start = time.perf_counter()
    if server_store.type == "memory":
        run_clients(visitor.browser.app, cookie, CLIENTS, TIMES)
    else:
        processes = request.getfixturevalue("processes")
        run_in(processes, dict(config), cookie)
    seconds = time.perf_counter() - start

    assert data_of(visitor) == {"start": 1} | dict.fromkeys(CLIENTS, TIMES)
    requests = len(CLIENTS) * TIMES
    with capsys.disabled():
        print(
            f"\n{request.node.callspec.id}: {requests} requests, "
            f"{requests / seconds:.0f} in a second"
        )
