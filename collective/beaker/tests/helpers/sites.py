"""Sites that several Zopes serve, behind one proxy."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from http.client import IncompleteRead
from http.cookies import SimpleCookie
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from collective.beaker.tests.helpers.servers import Server
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.servers import running
from collective.beaker.tests.helpers.site_views import PROCESS
from collective.beaker.tests.helpers.site_views import ZCML
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.waiting import wait_until
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import zope_server


DOCS = Path(__file__).parents[4] / "docs"

ZOPES = 3

CUT_OFF = 0
"""The status of an answer that ends before its end."""


class Store(NamedTuple):
    """What keeps sessions and caches, as ``zope.conf`` names it."""

    type: str
    option: str = "url"


STORES = {
    "redis": Store("ext:redis"),
    "cluster": Store("ext:rediscluster", "urls"),
    "postgresql": Store("ext:database"),
    "memcached": Store("ext:memcached"),
    "files": Store("file", "data_dir"),
}


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
        status = response.status
        try:
            text = response.read().decode()
        except IncompleteRead:
            status, text = CUT_OFF, ""
        self.cookies.load(response.headers.get("Set-Cookie", ""))
        connection.close()
        return SimpleNamespace(
            status_int=status,
            text=text,
            process=response.headers.get(PROCESS),
        )


def block_of_page(
    language: str, beginning: str, page: str = "scaleout.rst"
) -> str:
    """Return a code block of the documentation."""
    content = (DOCS / page).read_text()
    start = rf"(?m)^\.\. code-block:: {language}\n(?:    :.*\n)*\n"
    for block in re.findall(rf"{start}((?:    .*\n|\n)+)", content):
        text = re.sub("(?m)^    ", "", block)
        if text.startswith(beginning):
            return text
    raise AssertionError(f"{page} has no block that begins {beginning}.")


class Site:
    """Several Zopes behind one proxy."""

    def __init__(self, zopes: list[Server], proxy: Server):
        self.zopes = zopes
        self.port = proxy.port
        self.open_browser = partial(Browser, proxy.port)

    def wait_until_served_by(self, number: int) -> None:
        """Return once so many of the Zopes answer requests."""
        wait_until(lambda: len(self._processes()) == number)

    def _processes(self) -> set[str]:
        """Return the processes that answer some requests."""
        browser = self.open_browser()
        answers = [browser.get("/@@show") for _ in range(4 * ZOPES)]
        return {answer.process for answer in answers} - {None}


@contextmanager
def zopes_on(
    folder: Path, store: Store, address: str
) -> Iterator[list[Server]]:
    """Run Zopes with the settings of the page, on a certain store."""
    section = block_of_page("apacheconf", "<product-config beaker>")
    section = section.replace("ext:redis", store.type)
    section = section.replace(".url ", f".{store.option} ")
    settings = "\n".join(section.strip().splitlines()[1:-1])
    environment = os.environ | {
        "SESSION_URL": address,
        "CACHE_URL": address,
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
def proxy_before(
    zopes: list[Server],
    folder: Path,
    certificate: Path | None = None,
    checks_health: bool = False,
) -> Iterator[Server]:
    """Run HAProxy as the page configures it, for https with a certificate."""
    port = free_port()
    text = block_of_page("text", "defaults")
    if certificate:
        https = block_of_page("text", "frontend site", "recipes.rst")
        https = https.replace("/etc/haproxy/site.pem", str(certificate))
        text = re.sub("(?s)frontend site.*(?=backend zopes\n)", https, text)
    if checks_health:
        backend = block_of_page("text", "backend zopes", "operations.rst")
        text = re.sub("(?sm)^backend zopes\n.*", backend, text)
    text = re.sub(r"bind 127.0.0.1:\d+", f"bind 127.0.0.1:{port}", text)
    for number, zope in enumerate(zopes, 8081):
        text = text.replace(f":{number} ", f":{zope.port} ")
    config = folder / "haproxy.cfg"
    config.write_text(text)
    command = ["haproxy", "-db", "-f", str(config)]
    with running(command, port, folder / "haproxy.log") as server:
        yield server


def on_stores(*names: str) -> pytest.MarkDecorator:
    """Run a test for the site on some stores only."""
    return pytest.mark.parametrize("whole_site", names, indirect=True)
