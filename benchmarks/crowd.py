"""A Zope with many stored sessions, in a process of its own.

As a program it reads questions from standard input and answers each with one
line, both as JSON: how much memory it uses, what it costs to store more
sessions, and what a request costs a visitor who already has one.
"""

import random
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from beaker.session import SignedCookie
from zope.component import getUtility

from benchmarks.subject import COMMON
from benchmarks.subject import Subject
from benchmarks.subject import make_data
from benchmarks.subject import serve
from benchmarks.subject import take_times
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.session.opening import open_session
from collective.beaker.session.policy import policy_for
from collective.beaker.tests.helpers.soak import memory
from collective.beaker.tests.helpers.zope import Browser


class Crowd:
    """The visitors of a Zope, each of whom has a session."""

    def __init__(self, application: Callable):
        self._browser = Browser(application)
        self._ids: list[str] = []
        self._signer = SignedCookie(COMMON["secret"])
        self._random = random.Random(1)

    def grow(self, times: int) -> dict[str, float]:
        """Store more sessions, as requests do, but without requests."""
        return asdict(take_times(self._store_one, times))

    def _store_one(self) -> None:
        session = open_session(policy_for(getUtility(ISessionConfig)), "")
        session.data.update(make_data(1))
        session.data["key 0"] = 0
        session.save()
        self._ids.append(session.id)

    def visit(self, view: str, times: int) -> dict[str, float]:
        """Have visitors, chosen at random, request a view."""
        return asdict(take_times(lambda: self._visit(view), times))

    def _visit(self, view: str) -> None:
        _, value = self._signer.value_encode(self._random.choice(self._ids))
        self._browser.cookie = f"{COMMON['key']}={value}"
        self._browser.get(view)

    def memory(self) -> int:
        return memory()


def _answer_questions(
    subject: Subject, application: Callable
) -> Callable[[dict[str, Any]], Any]:
    crowd = Crowd(application)

    def answer(question: dict[str, Any]) -> Any:
        return getattr(crowd, question.pop("method"))(**question)

    return answer


if __name__ == "__main__":
    serve(_answer_questions)
