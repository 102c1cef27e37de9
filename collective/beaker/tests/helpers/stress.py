"""Clients that all use one session at the same time.

As a program it runs some of them in a Zope of its own.  It reads jobs from
its standard input, a line of JSON each, and answers each with two lines:
when its clients are ready to begin, and how they have ended.
"""

import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from webtest import TestApp
from zope.component import getUtility
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import load_application
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import published


READY = "ready"
GO = "go"
DONE = "done"


def count_for_client(request: HTTPRequest) -> str:
    """Count this client's requests, in a key of its own."""
    session = ISession(request)
    key = request.form["client"]
    session[key] = session.get(key, 0) + 1
    session.save()
    return str(session[key])


def run_clients(
    application: Callable, cookie: str, clients: list[str], times: int
) -> None:
    """Make many requests, in a thread for each client.

    Raises AssertionError where a client does not find its last count.
    """
    together = threading.Barrier(len(clients))

    def run_client(client: str) -> None:
        browser = TestApp(application)
        together.wait(SECONDS)
        for number in range(times):
            response = browser.get(
                f"/@@{VIEW_NAME}?client={client}", headers={"Cookie": cookie}
            )
            assert response.text == str(number + 1), (
                f"{client} counts {number + 1}, its session {response.text}"
            )

    with (
        published(count_for_client),
        ThreadPoolExecutor(len(clients)) as threads,
    ):
        list(threads.map(run_client, clients))


def main(folder: Path) -> None:
    application = load_application(
        make_instance(
            folder / "instance", "session.secret  of the stress test"
        )
    )
    for line in sys.stdin:
        job = json.loads(line)
        config = getUtility(ISessionConfig)
        config.clear()
        config.update(job.pop("options"))
        print(READY, flush=True)
        assert sys.stdin.readline().strip() == GO
        try:
            run_clients(application, **job)
            end = DONE
        except Exception as error:
            end = repr(error)
        print(end, flush=True)


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        main(Path(folder))
