"""Visitors who count in their sessions without pause, and look at it."""

import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from functools import partial
from typing import Any

from webtest import TestApp
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import published


def count_as_owner(request: HTTPRequest) -> str:
    """Count in the session; the first visitor to use it is its owner."""
    session = ISession(request)
    session.setdefault("owner", request.form["client"])
    session["count"] = session.get("count", 0) + 1
    session.save()
    return f"{session['owner']} {session['count']}"


@dataclass(frozen=True)
class Answer:
    """What a client got, and when it had asked for it."""

    asked: float
    status: int
    owner: str = ""
    count: int = 0


@dataclass
class Client:
    """A visitor, who remembers every answer."""

    name: str
    answers: list[Answer] = field(default_factory=list)

    def visit(self, browser: Any) -> None:
        """Count once.  The browser is WebTest's, or one like that."""
        asked = time.monotonic()
        response = browser.get(
            f"/@@{VIEW_NAME}?client={self.name}", status="*"
        )
        if response.status_int == 200:
            owner, count = response.text.split()
            answer = Answer(asked, 200, owner, int(count))
        else:
            answer = Answer(asked, response.status_int)
        self.answers.append(answer)

    @property
    def successes(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status == 200]

    def check_counts(self, may_begin_anew: bool = False) -> None:
        """Fail unless each count goes on from the one before it.

        Where an answer was lost, what it would have told may be stored.  A
        store that forgets may begin at 1 again, after an answer was lost.
        """
        assert {answer.owner for answer in self.successes} == {self.name}
        lost = 0
        last = 0
        for answer in self.answers:
            if answer.status != 200:
                lost += 1
                continue
            goes_on = last < answer.count <= last + 1 + lost
            assert goes_on or (may_begin_anew and lost and answer.count == 1)
            last, lost = answer.count, 0


class Load:
    """Clients that visit at the same time until they are told to stop."""

    def __init__(self, open_browser: Callable[[], Any], number: int):
        self.clients = [Client(f"client{n}") for n in range(number)]
        self._open_browser = open_browser
        self._stop = threading.Event()
        self._news = threading.Condition()

    def run(self, client: Client) -> None:
        browser = self._open_browser()
        while not self._stop.is_set():
            client.visit(browser)
            with self._news:
                self._news.notify_all()

    def stop(self) -> None:
        self._stop.set()

    def wait_until_each(self, condition: Callable[[Client], bool]) -> None:
        """Return once a condition holds for each client."""
        with self._news:
            assert self._news.wait_for(
                lambda: all(map(condition, self.clients)), SECONDS
            )

    def wait_for_answers(self, number: int, status: int) -> None:
        """Return once each client has got so many more of these answers."""
        before = {client.name: len(client.answers) for client in self.clients}

        def has_them(client: Client) -> bool:
            new = client.answers[before[client.name] :]
            return [a.status for a in new].count(status) >= number

        self.wait_until_each(has_them)


@contextmanager
def load_by(
    open_browser: Callable[[], Any], number: int = 4
) -> Iterator[Load]:
    """Have clients count at the same time until the end of the block."""
    load = Load(open_browser, number)
    threads = [
        threading.Thread(target=load.run, args=[client])
        for client in load.clients
    ]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop()
        for thread in threads:
            thread.join(SECONDS)


@contextmanager
def load_on(application: Callable) -> Iterator[Load]:
    """Have clients count in a Zope in this process."""
    browser = partial(TestApp, application)
    with published(count_as_owner), load_by(browser) as load:
        yield load
