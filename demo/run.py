"""Start the demo: ``python demo/run.py [port]``. Ctrl-C stops it.

This is Zope's own ``runwsgi`` with the paths of the demo.  Without the
argument, the environment variable DEMO_PORT sets the port; 0 means any free
port.  DEMO_VAR names another folder for data and logs.
"""

import os
import signal
import socket
import sys
from pathlib import Path

from zc.lockfile import LockError
from Zope2.Startup.serve import main as runwsgi


HOME = Path(__file__).resolve().parent

HOST = "127.0.0.1"


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)

    port = chosen_port()
    check_port(port)
    folder = Path(os.environ.get("DEMO_VAR", HOME / "var")).resolve()
    folder.joinpath("log").mkdir(parents=True, exist_ok=True)

    # zope.conf and zope.ini read these.
    os.environ["DEMO_HOME"] = str(HOME)
    os.environ["DEMO_VAR"] = str(folder)
    settings = [f"port={port}", f"var={folder}"]

    print(
        "The demo is starting. Ctrl-C stops it. "
        "For /@@beaker log in as admin, with the password demo.",
        flush=True,
    )
    try:
        runwsgi(["runwsgi", str(HOME / "etc/zope.ini"), *settings], quiet=True)
    except LockError:
        sys.exit(f"Another demo uses {folder}. Stop it, or set DEMO_VAR.")


def chosen_port() -> int:
    default = os.environ.get("DEMO_PORT", "8080")
    text = sys.argv[1] if len(sys.argv) > 1 else default
    if not text.isdecimal() or int(text) > 65535:
        sys.exit(f"The port is {text!r}. Give a number from 1 to 65535.")
    return int(text)


def check_port(port: int) -> None:
    """Exit now if the port is taken, rather than after Zope has started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            sys.exit(
                f"Port {port} cannot be used: {error.strerror}. "
                f"Choose another one, for example with DEMO_PORT={port + 1}."
            )


def stop(*args: object) -> None:
    """Exit quietly. A second signal must not disturb the exit."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)


if __name__ == "__main__":
    main()
