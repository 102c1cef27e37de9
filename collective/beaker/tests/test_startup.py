"""Zope started as an administrator starts it, with settings to check."""

import subprocess
import sys
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

from collective.beaker.tests.servers import START_SECONDS
from collective.beaker.tests.servers import free_port
from collective.beaker.tests.servers import running
from collective.beaker.tests.zope import make_instance


@contextmanager
def zope(folder, settings, zcml=""):
    """Run Zope in a process of its own; yield what it has logged so far."""
    zope_ini = make_instance(folder / "instance", settings, zcml)
    port = free_port()
    zope_ini.write_text(
        zope_ini.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}")
    )
    log = folder / "zope.log"
    with running(serve(zope_ini), port, log):
        yield port, log.read_text()


def serve(zope_ini):
    return [sys.executable, "-m", "Zope2.Startup.serve", str(zope_ini)]


def test_zope_does_not_start_with_a_wrong_setting(tmp_path):
    zope_ini = make_instance(tmp_path / "instance", "session.timeout  ten")
    run = subprocess.run(
        serve(zope_ini), capture_output=True, text=True, timeout=START_SECONDS
    )

    assert run.returncode != 0
    assert (
        "session.timeout is 'ten'; allowed is a whole number of seconds"
        in run.stderr
    )


@pytest.mark.parametrize(
    "settings",
    [
        "",
        "session  type file",
        "session.type  ext:redis\nsession.url  redis://127.0.0.1:1/0",
    ],
    ids=["no section", "blank for dot", "server that is down"],
)
def test_zope_starts(tmp_path, settings):
    with zope(tmp_path, settings) as (port, _):
        connection = HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
        connection.request("GET", "/")

        assert connection.getresponse().status == 200


def test_zope_logs_a_warning_and_starts(tmp_path):
    with zope(tmp_path, "session  type file\nsession.auto  on") as (_, log):
        assert "session type in the beaker section is ignored" in log
