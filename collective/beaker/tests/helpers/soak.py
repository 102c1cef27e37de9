"""A Zope that many visitors come to once, each of whom leaves a session.

It prints how many bytes of memory it has after so many visitors as its
arguments say.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import Browser
from collective.beaker.tests.helpers.zope import load_application
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import published


SETTINGS = """
    session.type     memory
    session.timeout  1
    session.secret   a secret of the soak test
"""


def come_once(request: HTTPRequest) -> str:
    session = ISession(request)
    session["came"] = True
    session.save()
    return "welcome"


def memory() -> int:
    """Return the bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main(folder: Path, milestones: list[int]) -> None:
    application = load_application(make_instance(folder / "zope", SETTINGS))
    with published(come_once):
        visitors = 0
        for milestone in milestones:
            while visitors < milestone:
                Browser(application).get(f"@@{VIEW_NAME}")
                visitors += 1
            print(memory(), flush=True)


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        main(Path(folder), [int(number) for number in sys.argv[1:]])
