import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from types import SimpleNamespace

import pytest

from collective.beaker.tests.clients import SECONDS
from collective.beaker.tests.scaleout.views import PROCESS
from collective.beaker.tests.scaleout.views import ZCML
from collective.beaker.tests.servers import Server
from collective.beaker.tests.servers import free_port
from collective.beaker.tests.servers import running
from collective.beaker.tests.zope import make_instance
from collective.beaker.tests.zope import zope_server


PAGE = Path(__file__).parents[4] / "docs" / "scaleout.rst"

ZOPES = 3


class Browser:
    """A visitor's browser, like WebTest's, that goes through the network."""

    def __init__(self, port: int):
        self._port = port
        self.cookies: SimpleCookie = SimpleCookie()

    def get(self, path: str, status: str = "") -> SimpleNamespace:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
        cookie = self.cookies.output([], header="", sep=";").strip()
        connection.request("GET", path, headers={"Cookie": cookie})
        response = connection.getresponse()
        text = response.read().decode()
        self.cookies.load(response.headers.get("Set-Cookie", ""))
        connection.close()
        return SimpleNamespace(
            status_int=response.status,
            text=text,
            process=response.headers.get(PROCESS),
        )


def block_of_page(language: str, beginning: str) -> str:
    """Return a code block of the documentation."""
    start = rf"(?m)^\.\. code-block:: {language}\n(?:    :.*\n)*\n"
    for block in re.findall(rf"{start}((?:    .*\n|\n)+)", PAGE.read_text()):
        text = re.sub("(?m)^    ", "", block)
        if text.startswith(beginning):
            return text
    raise AssertionError(f"{PAGE.name} has no block that begins {beginning}.")


class Site:
    """Several Zopes behind one proxy."""

    def __init__(self, zopes: list[Server], proxy: Server):
        self.zopes = zopes
        self.port = proxy.port
        self.open_browser = partial(Browser, proxy.port)

    def wait_until_served_by(self, number: int) -> None:
        """Return once so many of the Zopes answer requests."""
        give_up = time.monotonic() + SECONDS
        while len(self._processes()) != number:
            assert time.monotonic() < give_up

    def _processes(self) -> set[str]:
        """Return the processes that answer some requests."""
        browser = self.open_browser()
        answers = [browser.get("/@@show") for _ in range(4 * ZOPES)]
        return {answer.process for answer in answers} - {None}


@contextmanager
def zopes_on(folder: Path, kind: str, url: str) -> Iterator[list[Server]]:
    """Run Zopes with the settings of the page, on a certain store."""
    section = block_of_page("apacheconf", "<product-config beaker>")
    section = section.replace("ext:redis", kind)
    settings = "\n".join(section.strip().splitlines()[1:-1])
    environment = os.environ | {
        "SESSION_URL": url,
        "CACHE_URL": url,
        "SESSION_SECRET": "a-secret-of-the-tests-of-many-zopes",
    }
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                zope_server(
                    make_instance(folder / f"zope{number}", settings, ZCML),
                    popen={"env": environment},
                )
            )
            for number in range(1, ZOPES + 1)
        ]


@contextmanager
def proxy_before(zopes: list[Server], folder: Path) -> Iterator[Server]:
    """Run HAProxy as the page configures it."""
    port = free_port()
    text = block_of_page("text", "defaults").replace(":8080", f":{port}")
    for number, zope in enumerate(zopes, 8081):
        text = text.replace(f":{number} ", f":{zope.port} ")
    config = folder / "haproxy.cfg"
    config.write_text(text)
    command = ["haproxy", "-db", "-f", str(config)]
    with running(command, port, folder / "haproxy.log") as server:
        yield server


KINDS = {
    "redis": "ext:redis",
    "postgresql": "ext:database",
    "memcached": "ext:memcached",
}


@pytest.fixture(scope="module", params=KINDS)
def whole_site(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    store = request.getfixturevalue(request.param)
    with (
        zopes_on(folder, KINDS[request.param], store.url) as zopes,
        proxy_before(zopes, folder) as proxy,
    ):
        yield Site(zopes, proxy)


@pytest.fixture
def site(whole_site):
    """A site whose Zopes are all there; a test may have ended one."""
    for zope in whole_site.zopes:
        zope.start()
    whole_site.wait_until_served_by(ZOPES)
    return whole_site


@pytest.fixture
def shared_caches(site, request):
    """The site, unless each of its Zopes reads the cache only once."""
    if "postgresql" in request.node.callspec.id:
        pytest.skip("Beaker reads a cache in a database once a process.")
    return site
