"""A newcomer, who does word by word what a page of the documentation says."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from json import dumps
from pathlib import Path
from signal import SIG_DFL
from signal import Signals
from signal import signal
from typing import NamedTuple

from collective.beaker.tests.helpers.servers import Server
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.servers import running
from collective.beaker.tests.helpers.sites import Browser


PROJECT = Path(__file__).parents[4]
DOCS = PROJECT / "docs"

SERVERS = (".venv/bin/runwsgi", "bin/instance fg")
"""How the commands begin that start Zope."""

_INCLUDE = re.compile(r"(?m)^\.\. include:: (\S+)\n")

_BLOCK = re.compile(
    r"(?m)^\.\. (?P<directive>code-block|literalinclude):: (?P<argument>\S+)\n"
    r"(?P<options>(?:    :.*\n)*)"
    r"(?P<content>(?:\n|    .*\n)*)"
)


class Step(NamedTuple):
    """A file that a page has its readers write, or commands to type."""

    caption: str
    """The path of the file, and where in it; "" for commands."""

    text: str


def read_page(name: str) -> Iterator[Step]:
    """Yield the steps of a page, in order.

    They are its blocks for the console, and those with the path of a file as
    the caption.
    """
    text = _INCLUDE.sub(
        lambda match: (DOCS / match[1]).read_text(), (DOCS / name).read_text()
    )
    for block in _BLOCK.finditer(text):
        caption = re.search(":caption: (.+)", block["options"])
        if block["directive"] == "literalinclude":
            content = (DOCS / block["argument"]).read_text()
        else:
            content = re.sub("(?m)^    ", "", block["content"]).strip("\n")
            content = f"{content}\n"
        if caption:
            yield Step(caption[1], content)
        elif block["argument"] == "console":
            yield Step("", content)


class Newcomer:
    """Follows pages in a folder.

    ``instead`` has what is taken in place of a text of a page.  Zope listens
    on a port of its own instead of 8080.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        instead: Mapping[str, str] | None = None,
    ):
        self.folder = folder
        self.port = free_port()
        self.environment = environment
        self._instead = {**(instead or {}), "8080": str(self.port)}

    def follow(self, page: str) -> str:
        """Take all steps of a page until it starts Zope; return the command.

        The command is not run.
        """
        for step in read_page(page):
            text = self._adapt(step.text)
            if step.caption:
                self._write(step.caption, text)
                continue
            for command in re.findall(r"(?m)^\$ (.+)", text):
                if command.startswith(SERVERS):
                    return command
                self._run(command)
        raise AssertionError(f"{page} does not start Zope.")

    @contextmanager
    def serve(
        self, command: str, environment: Mapping[str, str] | None = None
    ) -> Iterator[Server]:
        """Start Zope by a command of a page, and end it as Ctrl-C does."""
        for zope_ini in self.folder.glob("*/etc/zope.ini"):
            zope_ini.write_text(self._adapt(zope_ini.read_text()))
        program, *arguments = shlex.split(command)
        with running(
            [str(self.folder / program), *arguments],
            self.port,
            self.folder / "zope.log",
            end=Signals.SIGINT,
            popen={
                "cwd": self.folder,
                "env": environment or self.environment,
                "start_new_session": True,
                # What runs in the background may ignore Ctrl-C.
                "preexec_fn": partial(signal, Signals.SIGINT, SIG_DFL),
            },
        ) as server:
            yield server

    def _adapt(self, text: str) -> str:
        for shown, here in self._instead.items():
            text = text.replace(shown, here)
        return text

    def _write(self, caption: str, text: str) -> None:
        name, _, where = caption.partition(", ")
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines(True) if where else []
        lines.insert(_find_position(where, lines), text)
        path.write_text("".join(lines))

    def _run(self, command: str) -> None:
        result = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}"


def _find_position(where: str, lines: list[str]) -> int:
    """Return the position in a file that a caption tells in words."""
    if where.startswith("below "):
        (found,) = (
            number
            for number, line in enumerate(lines, 1)
            if line.split()[:1] == [where.removeprefix("below ")]
        )
        return found
    return {
        "": 0,
        "at the end": len(lines),
        "above the last line": len(lines) - 1,
    }[where]


def build_wheel(folder: Path) -> Path:
    """Build this package as a release does; return the folder of the wheel."""
    source, wheels = folder / "source", folder / "wheels"
    source.mkdir()
    for pattern in ("*.rst", "*.toml", "*.in", "setup.py"):
        for path in PROJECT.glob(pattern):
            shutil.copy(path, source)
    shutil.copytree(PROJECT / "collective", source / "collective")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel"]
    command += ["--outdir", str(wheels), str(source)]
    build = subprocess.run(command, capture_output=True, text=True)
    assert build.returncode == 0, build.stdout + build.stderr
    return wheels


def environment_with(wheels: Path) -> dict[str, str]:
    """Return an environment in which installers find these wheels, too.

    It is that of a shell, without what this test run has added for itself.
    """
    own = ("PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in os.environ if name not in own}
    links = kept.get("PIP_FIND_LINKS", "").split()
    return kept | {
        "PIP_FIND_LINKS": " ".join([*links, str(wheels)]),
        "UV_FIND_LINKS": str(wheels),
    }


def check_visits(zope: Server, path: str) -> None:
    """Visit the page of the package twice, as each page says at its end."""
    browser = Browser(zope.port)
    first, second = (browser.get(path).text for _ in range(2))
    assert first.startswith("Visit 1. The clock shows"), first
    assert second == first.replace("Visit 1.", "Visit 2."), second


def add_plone_site(zope: Server) -> None:
    """Do what the form does by which an administrator adds a Plone site."""
    post_json(
        zope,
        "/@sites/classic",
        {
            "site_id": "Plone",
            "title": "Plone",
            "default_language": "en",
            "portal_timezone": "UTC",
            "setup_content": False,
        },
    )


def add_file(zope: Server) -> None:
    """Add a file to the Plone site, which keeps it as a blob."""
    file = {"data": "a text", "filename": "a.txt"}
    post_json(zope, "/Plone", {"@type": "File", "title": "A", "file": file})


def post_json(zope: Server, path: str, data: Mapping[str, object]) -> None:
    """Have the administrator post what plone.restapi accepts."""
    connection = HTTPConnection("127.0.0.1", zope.port)
    credentials = b64encode(b"admin:choose-a-password").decode()
    headers = {
        "Accept": "application/json",
        "Authorization": f"Basic {credentials}",
        "Content-Type": "application/json",
    }
    connection.request("POST", path, dumps(data), headers)
    response = connection.getresponse()
    assert response.status in (200, 201), response.read()
    connection.close()
