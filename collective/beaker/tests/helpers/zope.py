"""A real Zope, started from a real zope.conf, for the tests."""

import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from paste.deploy import loadapp
from Products.Five.browser import BrowserView
from webtest import TestApp
from webtest import TestResponse
from zope.component import getGlobalSiteManager
from zope.interface import Interface
from zope.publisher.interfaces.browser import IBrowserRequest
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.tests.helpers.servers import Server
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.servers import running


ZOPE_CONF = """\
%define INSTANCE {instance}
instancehome $INSTANCE
default-zpublisher-encoding utf-8

<zodb_db main>
    <mappingstorage>
    </mappingstorage>
    mount-point /
</zodb_db>

{section}
"""

ZOPE_INI = """\
[app:zope]
use = egg:Zope#main
zope_conf = {instance}/etc/zope.conf

[pipeline:main]
pipeline =
    egg:Zope#httpexceptions
    zope

[server:main]
use = egg:waitress#main
listen = 127.0.0.1:0
"""

SITE_ZCML = """\
<configure
    xmlns="http://namespaces.zope.org/zope"
    xmlns:five="http://namespaces.zope.org/five"
    xmlns:meta="http://namespaces.zope.org/meta">

  <include package="Products.Five" />
  <meta:redefinePermission from="zope2.Public" to="zope.Public" />
  <five:loadProducts file="meta.zcml" />
  <five:loadProducts />
  <five:loadProductsOverrides />

  <include package="{package}" />
  {more}

</configure>
"""


def make_instance(
    folder: Path,
    settings: str = "",
    zcml: str = "",
    package: str = "collective.beaker",
) -> Path:
    """Write the files of a Zope instance; return its zope.ini."""
    etc = folder / "etc"
    etc.mkdir(parents=True)
    section = ""
    if settings:
        section = f"<product-config beaker>\n{settings}\n</product-config>"
    (etc / "zope.conf").write_text(
        ZOPE_CONF.format(instance=folder, section=section)
    )
    (etc / "zope.ini").write_text(ZOPE_INI.format(instance=folder))
    (etc / "site.zcml").write_text(
        SITE_ZCML.format(package=package, more=zcml)
    )
    return etc / "zope.ini"


def serve(zope_ini: Path) -> list[str]:
    """Return the command that starts Zope in a process of its own."""
    return [sys.executable, "-m", "Zope2.Startup.serve", str(zope_ini)]


@contextmanager
def zope_server(zope_ini: Path, **options: Any) -> Iterator[Server]:
    """Run Zope in a process of its own, on a free port."""
    port = free_port()
    text = zope_ini.read_text()
    zope_ini.write_text(text.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    log = zope_ini.with_suffix(".log")
    with running(serve(zope_ini), port, log, **options) as server:
        yield server


def load_application(zope_ini: Path) -> Callable:
    """Start Zope in this process; return its WSGI application."""
    return loadapp(f"config:{zope_ini}")


class Visitor:
    """Someone with a browser of their own, which keeps cookies."""

    def __init__(self, application: Callable):
        self.browser = TestApp(application)

    def visit(
        self,
        view: Callable[[HTTPRequest], Any],
        path: str = "",
        **options: Any,
    ) -> TestResponse:
        """Have Zope publish a function as a view; return the response."""
        with published(view):
            return self.browser.get(f"{path}/@@{VIEW_NAME}", **options)

    def fails(
        self,
        view: Callable[[HTTPRequest], Any],
        path: str = "",
        **options: Any,
    ) -> bool:
        """Tell whether a page ends with an error that it does not handle.

        Plone answers it with an error page; Zope leaves it to the server.
        """
        try:
            return (
                self.visit(view, path, status="*", **options).status_int >= 500
            )
        except Exception:
            return True

    @property
    def cookies(self) -> dict[str, str]:
        return self.browser.cookies


class Browser:
    """Makes many requests, whose cookies are those that it got first.

    It does so at once: WebTest takes longer than Zope.
    """

    def __init__(self, application: Callable):
        self._application = application
        self.cookie = ""

    def get(self, view: str, query: str = "") -> bytes:
        """Return the answer to a request; raise if it is an error."""
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": f"/{view}",
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "8080",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "localhost:8080",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if self.cookie:
            environ["HTTP_COOKIE"] = self.cookie
        chunks = self._application(environ, self._start_response)
        try:
            return b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()

    def _start_response(
        self,
        status: str,
        headers: Iterable[tuple[str, str]],
        failure: Any = None,
    ) -> None:
        if not status.startswith("200"):
            raise RuntimeError(status)
        if self.cookie:
            return
        self.cookie = "; ".join(
            value.partition(";")[0]
            for name, value in headers
            if name.lower() == "set-cookie"
        )


VIEW_NAME = "beaker-test-view"


@contextmanager
def published(
    view: Callable[[HTTPRequest], Any], name: str = VIEW_NAME
) -> Iterator[None]:
    """Publish a function of the request: at every object, for everyone."""

    class View(BrowserView):
        """A published function."""

        __roles__ = None

        def __call__(self) -> Any:
            return view(self.request)

    with registered_view(View, Interface, name):
        yield


@contextmanager
def registered_view(view: type, context: Any, name: str) -> Iterator[None]:
    """Register a view for objects of a kind: an interface or a class."""
    registration = {
        "factory": view,
        "required": (context, IBrowserRequest),
        "provided": Interface,
        "name": name,
    }
    components = getGlobalSiteManager()
    components.registerAdapter(**registration)
    try:
        yield
    finally:
        components.unregisterAdapter(**registration)


@contextmanager
def subscribed(handler: Callable[[Any], Any], event: type) -> Iterator[None]:
    """Subscribe a function to a kind of event."""
    components = getGlobalSiteManager()
    components.registerHandler(handler, (event,))
    try:
        yield
    finally:
        components.unregisterHandler(handler, (event,))


def error_page(page: type) -> AbstractContextManager[None]:
    """Register a view as the error page of Zope."""
    return registered_view(page, Exception, "index.html")
