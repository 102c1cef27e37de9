"""Two Zopes that serve one Plone site."""

import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from http.client import HTTPResponse
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from collective.beaker.tests.helpers.plone_views import PASSWORD
from collective.beaker.tests.helpers.plone_views import SITE
from collective.beaker.tests.helpers.plone_views import USER
from collective.beaker.tests.helpers.plone_views import ZCML
from collective.beaker.tests.helpers.servers import Server
from collective.beaker.tests.helpers.servers import redis_server
from collective.beaker.tests.helpers.shared_database import use_database
from collective.beaker.tests.helpers.shared_database import zeo_database
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import zope_server


SETTINGS = """
    cache.type         ext:redis
    cache.url          {url}
    cache.regions      long
    cache.long.expire  3600
    cache.memoize      long
"""

_NAME_AND_PASSWORD = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
CREDENTIALS = {"Authorization": f"Basic {_NAME_AND_PASSWORD}"}
"""The header of an editor's requests."""


class PloneZopes:
    """A layer for zope.testrunner: ``zopes`` are two clients of one site.

    Their database is served by ZEO, and their caches are in one Redis.
    """

    zopes: list["Client"]

    @classmethod
    def setUp(cls) -> None:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            cls.zopes = _start_zopes(stack, folder)
            cls._stack = stack.pop_all()

    @classmethod
    def tearDown(cls) -> None:
        cls._stack.close()


def _start_zopes(stack: ExitStack, folder: Path) -> list["Client"]:
    settings = SETTINGS.format(
        url=stack.enter_context(redis_server(folder)).url
    )
    database = stack.enter_context(zeo_database(folder))
    threads = stack.enter_context(ThreadPoolExecutor())
    zopes: list[Client] = []
    for number in range(2):
        instance = folder / f"zope{number}"
        zope_ini = make_instance(instance, settings, ZCML)
        use_database(instance / "etc" / "zope.conf", database)
        zopes.append(Client(stack.enter_context(zope_server(zope_ini))))
        if number == 0:
            # While the other Zope starts.
            made = threads.submit(zopes[0].get, "/@@make-site")
    made.result(SECONDS)
    return zopes


class Client:
    """Makes requests to a Zope over one connection."""

    def __init__(self, zope: Server):
        self._zope = zope
        self.url = f"http://127.0.0.1:{zope.port}"
        self._connection = HTTPConnection(
            "127.0.0.1", zope.port, timeout=SECONDS
        )

    def another(self) -> "Client":
        """Return a client for another thread."""
        return Client(self._zope)

    def get(self, path: str) -> str:
        """Return the page at a path of Zope."""
        return self.request("GET", path).read().decode()

    def get_as_editor(self, path: str) -> str:
        """Return the page that an editor sees."""
        return self.request("GET", path, headers=CREDENTIALS).read().decode()

    def post_as_editor(self, path: str, **form: str) -> None:
        """Send a form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        headers = CREDENTIALS | kind
        self.request("POST", path, urlencode(form), headers).read()

    def edit(self, path: str, **values: str) -> None:
        """Change content of the site."""
        kind = {
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        headers = CREDENTIALS | kind
        self.request(
            "PATCH", f"/{SITE}/{path}", json.dumps(values), headers
        ).read()

    def request(
        self,
        method: str,
        path: str,
        body: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> HTTPResponse:
        """Return a response; fail if it is an error."""
        self._connection.request(method, path, body, headers or {})
        response = self._connection.getresponse()
        if response.status >= 400:
            raise AssertionError(response.status, self._zope.log.read_text())
        return response
