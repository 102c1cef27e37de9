"""The parts of the containers in ``examples``, run without containers."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree

import pytest

from collective.beaker.tests.helpers.servers import Server
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.servers import redis_server
from collective.beaker.tests.helpers.servers import running
from collective.beaker.tests.helpers.sites import Browser
from collective.beaker.tests.helpers.zope import serve


EXAMPLES = Path(__file__).parents[4] / "examples"
CONTAINERS = EXAMPLES / "containers"

HOME = "/home/zope/"
"""The home of Zope's user in the containers."""

pytestmark = pytest.mark.skipif(
    not EXAMPLES.exists(),
    reason="an installed package comes without its examples",
)


class Containers:
    """Programs that stand for the services of ``compose.yaml``."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.compose = (CONTAINERS / "compose.yaml").read_text()
        self.ports = {
            "zeo:8100": free_port(),
            "zope1:8080": free_port(),
            "zope2:8080": free_port(),
            "bind :8080": free_port(),
        }

    def here(self, text: str) -> str:
        """Return a text with the addresses of this machine."""
        for address, port in self.ports.items():
            local = f"127.0.0.1:{port}"
            bound = address.startswith("bind")
            text = text.replace(address, f"bind {local}" if bound else local)
        return text.replace(HOME, f"{self.folder}/")

    @contextmanager
    def redis(self) -> Iterator[Server]:
        (command,) = re.findall("command: redis-server (.+)", self.compose)
        with redis_server(self.folder, *command.split()) as server:
            self.ports["redis:6379"] = server.port
            yield server

    @contextmanager
    def zeo(self) -> Iterator[Server]:
        pytest.importorskip("ZEO")
        (options,) = re.findall("command: runzeo (.+)", self.compose)
        options = options.replace("0.0.0.0:8100", "zeo:8100")
        options = options.replace("instance/", f"{HOME}instance/")
        command = [sys.executable, "-m", "ZEO.runzeo"]
        command += self.here(options).split()
        log = self.folder / "zeo.log"
        with running(command, self.ports["zeo:8100"], log) as server:
            yield server

    @contextmanager
    def zope(self, name: str) -> Iterator[Server]:
        port = self.ports[f"{name}:8080"]
        zope_ini = self.folder / "instance" / "etc" / f"{name}.ini"
        text = (CONTAINERS / "etc" / "zope.ini").read_text()
        zope_ini.write_text(self.here(text.replace("*:8080", f"{name}:8080")))
        log = self.folder / f"{name}.log"
        environment = os.environ | self.environment()
        with running(
            serve(zope_ini), port, log, popen={"env": environment}
        ) as server:
            yield server

    def environment(self) -> dict[str, str]:
        """Return the variables of a Zope, and what makes its image."""
        pattern = r"(?m)^    environment:\n((?: {6}.+\n)+)"
        (lines,) = re.findall(pattern, self.compose)
        pairs = re.findall(r"(?m)^ +(\w+): (.+)$", self.here(lines))
        return dict(pairs) | {
            "SESSION_SECRET": "a-secret-of-the-tests-of-containers",
            "PYTHONPATH": os.pathsep.join(
                [str(EXAMPLES / "shop" / "src"), *sys.path]
            ),
        }

    def make_instance(self) -> None:
        """Do what the Dockerfile does."""
        instance = self.folder / "instance"
        module = "Zope2.utilities.mkwsgiinstance"
        command = [sys.executable, "-m", module, "--dir", str(instance)]
        subprocess.run([*command, "--user", "admin:admin"], check=True)
        etc = instance / "etc"
        copytree(CONTAINERS / "etc", etc, dirs_exist_ok=True)
        zope_conf = (etc / "zope.conf").read_text()
        (etc / "zope.conf").write_text(self.here(zope_conf))

    @contextmanager
    def haproxy(self) -> Iterator[Server]:
        config = self.folder / "haproxy.cfg"
        config.write_text(self.here((CONTAINERS / config.name).read_text()))
        command = ["haproxy", "-db", "-f", str(config)]
        log = self.folder / "haproxy.log"
        with running(command, self.ports["bind :8080"], log) as server:
            yield server


def test_a_visitor_goes_on_when_one_of_the_zopes_stops(tmp_path):
    containers = Containers(tmp_path)
    containers.make_instance()
    with ExitStack() as stack:
        stack.enter_context(containers.redis())
        stack.enter_context(containers.zeo())
        zopes = [
            stack.enter_context(containers.zope(name))
            for name in ("zope1", "zope2")
        ]
        browser = Browser(stack.enter_context(containers.haproxy()).port)
        answers = [browser.get("/visits").text for _ in range(4)]
        zopes[0].stop()
        answers += [browser.get("/visits").text for _ in range(2)]

    assert [text.partition(".")[0] for text in answers] == [
        f"Visit {number}" for number in range(1, 7)
    ]
    # They share the cache, too: one after the other was asked.
    assert answers[1] == answers[0].replace("Visit 1.", "Visit 2.")
