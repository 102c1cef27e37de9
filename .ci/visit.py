"""Start a server, visit its start page, and stop it as Ctrl-C does.

Usage: ``python visit.py 8080 bin/instance fg``
"""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection
from http.client import HTTPResponse


START_SECONDS = 600
"""How long a server may take to answer."""

STOP_SECONDS = 60
"""How long a server may take to stop."""


def visit(server: subprocess.Popen, port: int) -> HTTPResponse:
    """Return the start page, as soon as the server answers."""
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        connection = HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
        try:
            connection.request("GET", "/")
            return connection.getresponse()
        except ConnectionError:
            with suppress(subprocess.TimeoutExpired):
                server.wait(0.2)
    sys.exit(f"Nothing answers on port {port}.")


def has_stopped(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def main(port: str, *command: str) -> None:
    # What a shell starts in the background ignores Ctrl-C, and passes that on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Like a terminal, which sends Ctrl-C to a whole group of processes.
    server = subprocess.Popen(command, start_new_session=True)
    try:
        page = visit(server, int(port))
        os.killpg(server.pid, signal.SIGINT)
        code = server.wait(STOP_SECONDS)
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
    cookie = page.headers["Set-Cookie"]
    stopped = has_stopped(int(port))
    print(f"status {page.status}, cookie {cookie}, exit code {code}")
    # An interrupted tox exits with 0 or 1 at random.
    codes = (0, 1) if command[0] == "tox" else (0,)
    if page.status != 200 or not cookie or code not in codes or not stopped:
        sys.exit(
            f"Expected: status 200, a cookie, an exit code in {codes}, and "
            f"nothing that still answers on port {port}."
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
