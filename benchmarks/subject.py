"""One subject of a benchmark: a Zope in a process of its own.

As a program it reads jobs from standard input and answers each with one line,
both as JSON.  A job makes many requests, one after the other, through Zope's
WSGI publisher.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from contextlib import nullcontext
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import transaction
import Zope2
from beaker.middleware import SessionMiddleware
from zope.component import getGlobalSiteManager
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker import session
from collective.beaker.interfaces import ISession
from collective.beaker.session import ZopeSession
from collective.beaker.tests.helpers.zope import Browser
from collective.beaker.tests.helpers.zope import load_application
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import published


BARE = "Zope alone"
PACKAGE = "collective.beaker"
MIDDLEWARE = "SessionMiddleware"
SESSIONS = "Products.Sessions"
MCDUTILS = "Products.mcdutils"

VIEWS = ("none", "read", "write")
"""What a request does: use no session, read a key, or change one."""

COMMON = {"key": "beaker.session", "secret": "for benchmarks and nothing else"}
"""The session options that this package and Beaker's middleware share."""

_TEMPORARY_STORAGE = """
<zodb_db temporary>
    <temporarystorage>
        name temporary storage for sessions
    </temporarystorage>
    mount-point /temp_folder
    container-class Products.TemporaryFolder.TemporaryContainer
</zodb_db>
"""


@dataclass(frozen=True)
class Job:
    """Requests of one kind: a view, and the number of keys in its session."""

    view: str
    keys: int
    times: int
    registered: bool = True
    """Whether Zope's publisher finds what this package has registered."""


@dataclass(frozen=True)
class Subject:
    """What is measured: an implementation of sessions, and its store."""

    kind: str
    store: str = ""
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    """Beaker's options, or the address of the memcached server."""

    def takes(self, job: Job) -> bool:
        """Tell whether a session is small enough: a cookie holds 4 kB."""
        return self.store != "cookie" or job.keys == 1


@dataclass(frozen=True)
class Cost:
    """Microseconds for one request: elapsed, and CPU time of this process."""

    wall: float
    cpu: float


def make_data(keys: int) -> dict[str, Any]:
    """Return the data of a session: about 100 bytes for each key."""
    return {f"key {number}": f"{number:090}" for number in range(keys)}


# Views

_for_good = ExitStack()
"""Keeps the views published until the process ends."""


def _views(find: Callable[[HTTPRequest], Any]) -> dict[str, Callable]:
    """Return the views; ``find`` returns the session of a request."""

    def save(session: Any) -> None:
        # Sessions in the ZODB are saved with the transaction.
        getattr(session, "save", lambda: None)()

    def fill(request: HTTPRequest) -> str:
        session = find(request)
        for key, value in make_data(int(request.form["keys"])).items():
            session[key] = value
        session["key 0"] = 0
        save(session)
        return "filled"

    def none(request: HTTPRequest) -> str:
        return "no session"

    def read(request: HTTPRequest) -> str:
        return f"{find(request)['key 0']}"

    def write(request: HTTPRequest) -> str:
        session = find(request)
        session["key 0"] = session["key 0"] + 1
        save(session)
        return f"{session['key 0']}"

    return {"fill": fill, "none": none, "read": read, "write": write}


def _publish(views: dict[str, Callable]) -> None:
    for name, view in views.items():
        _for_good.enter_context(published(view, name))


# Zopes


def make_application(subject: Subject, folder: Path) -> Callable:
    """Start the Zope of a subject in this process."""
    makers = {
        BARE: _alone,
        PACKAGE: _with_package,
        MIDDLEWARE: _with_middleware,
        SESSIONS: _with_sessions,
        MCDUTILS: _with_mcdutils,
    }
    return makers[subject.kind](subject, folder)


def _settings(options: dict[str, Any]) -> str:
    return "\n".join(
        f"session.{name} {value}" for name, value in options.items()
    )


def _with_package(subject: Subject, folder: Path) -> Callable:
    settings = _settings(COMMON | subject.options)
    application = load_application(make_instance(folder, settings))
    _publish(_views(ISession))
    return application


def _alone(subject: Subject, folder: Path) -> Callable:
    # Its views do the same with a dictionary, made for each request.
    return _load_alone(folder, lambda request: {"key 0": 0})


def _load_alone(
    folder: Path, find: Callable[[HTTPRequest], Any], conf: str = ""
) -> Callable:
    """Start a Zope without this package, with views for other sessions."""
    ini = make_instance(folder, package="Products.Five")
    with ini.with_name("zope.conf").open("a") as file:
        file.write(conf)
    application = load_application(ini)
    _publish(_views(find))
    return application


def _traversed(request: HTTPRequest) -> Any:
    """Return the session that the root of the ZODB gave to a request."""
    return request["SESSION"]


def _with_middleware(subject: Subject, folder: Path) -> Callable:
    application = _load_alone(
        folder, lambda request: request.environ["beaker.session"]
    )
    options = COMMON | subject.options
    return SessionMiddleware(
        application,
        {f"session.{name}": value for name, value in options.items()},
    )


def _with_sessions(subject: Subject, folder: Path) -> Callable:
    from Products.Transience.Transience import TransientObjectContainer
    from Products.ZODBMountPoint.MountedObject import manage_addMounts

    application = _load_alone(folder, _traversed, _TEMPORARY_STORAGE)
    with _root() as root:
        _add_managers(root)
        manage_addMounts(root, ["/temp_folder"])
        container = TransientObjectContainer("session_data", timeout_mins=20)
        root.temp_folder._setObject("session_data", container)
    return application


def _with_mcdutils(subject: Subject, folder: Path) -> Callable:
    from Products.mcdutils.proxy import MemCacheProxy
    from Products.mcdutils.sessiondata import MemCacheSessionDataContainer

    application = _load_alone(folder, _traversed)
    with _root() as root:
        _add_managers(root)
        proxy = MemCacheProxy("proxy")
        proxy.servers = (subject.options["url"],)
        root._setObject("proxy", proxy)
        container = MemCacheSessionDataContainer("session_data")
        container.proxy_path = "/proxy"
        root._setObject("session_data", container)
        root.session_data_manager.setContainerPath("/session_data")
    return application


class _root:
    """The root of the ZODB, for a change that is committed."""

    def __enter__(self) -> Any:
        self._application = Zope2.app()
        return self._application

    def __exit__(self, *failure: object) -> None:
        transaction.commit()
        self._application._p_jar.close()


def _add_managers(root: Any) -> None:
    from Products import Sessions

    Sessions.install_browser_id_manager(root)
    Sessions.install_session_data_manager(root)
    root.session_data_manager.updateTraversalData("SESSION")


@contextmanager
def _unregistered() -> Iterator[None]:
    """Take this package away from Zope's publisher for the block.

    It loses the adapter and the subscribers that give requests their session.
    """
    components = getGlobalSiteManager()
    ours = session.__name__
    handlers = [
        (registration.handler, registration.required)
        for registration in components.registeredHandlers()
        if registration.handler.__module__.startswith(ours)
    ]
    components.unregisterAdapter(ZopeSession)
    for handler, required in handlers:
        components.unregisterHandler(handler, required)
    try:
        yield
    finally:
        components.registerAdapter(ZopeSession)
        for handler, required in handlers:
            components.registerHandler(handler, required)


# Requests


def take_times(action: Callable[[], Any], times: int) -> Cost:
    """Do something many times; return the average cost."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        action()
    cpu = time.process_time() - cpu
    wall = time.perf_counter() - wall
    return Cost(wall / times * 1e6, cpu / times * 1e6)


_WARM_UP = 5
"""So many requests are made first, and do not count."""


class Visitors:
    """One visitor for each size of session."""

    def __init__(self, application: Callable, has_sessions: bool):
        self._application = application
        self._has_sessions = has_sessions
        self._browsers: dict[int, Browser] = {}

    def _browser(self, keys: int) -> Browser:
        if keys not in self._browsers:
            browser = Browser(self._application)
            if self._has_sessions:
                assert browser.get("fill", f"keys={keys}") == b"filled"
                assert browser.get("read") == b"0"
            self._browsers[keys] = browser
        return self._browsers[keys]

    def run(self, job: Job) -> Cost:
        browser = self._browser(job.keys)
        with nullcontext() if job.registered else _unregistered():
            # The registry has to look up again what it had found before.
            take_times(lambda: browser.get(job.view), _WARM_UP)
            return take_times(lambda: browser.get(job.view), job.times)


def serve(
    prepare: Callable[[Subject, Callable], Callable[[dict[str, Any]], Any]],
) -> None:
    """Answer the questions on standard input until there are no more.

    ``prepare`` gets the subject and its application, and returns the function
    that answers.
    """
    # Zope's own output must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    subject = Subject(**json.loads(sys.argv[1]))
    with TemporaryDirectory() as folder:
        application = make_application(subject, Path(folder, "zope"))
        answer = prepare(subject, application)
        for line in sys.stdin:
            found = answer(json.loads(line))
            print(json.dumps(found), file=answers, flush=True)


def _run_jobs(
    subject: Subject, application: Callable
) -> Callable[[dict[str, Any]], Any]:
    visitors = Visitors(application, subject.kind != BARE)
    return lambda job: asdict(visitors.run(Job(**job)))


if __name__ == "__main__":
    serve(_run_jobs)
