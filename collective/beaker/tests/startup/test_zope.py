"""Zope started as an administrator starts it, with settings to check."""

import subprocess
from http.client import HTTPConnection

import pytest

from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import serve
from collective.beaker.tests.helpers.zope import zope_server


def test_zope_does_not_start_with_a_wrong_setting(tmp_path):
    zope_ini = make_instance(tmp_path / "instance", "session.timeout  ten")
    run = subprocess.run(
        serve(zope_ini), capture_output=True, text=True, timeout=SECONDS
    )

    assert run.returncode != 0
    assert (
        "session.timeout is 'ten'; it must be a whole number of seconds"
        in run.stderr
    )


def status_of(zope):
    """Return the status of a Zope's start page."""
    connection = HTTPConnection("127.0.0.1", zope.port, timeout=SECONDS)
    connection.request("GET", "/")
    return connection.getresponse().status


@pytest.mark.parametrize(
    "settings",
    [
        "",
        "session.type  ext:redis\nsession.url  redis://127.0.0.1:1/0",
    ],
    ids=["no section", "server that is down"],
)
def test_zope_starts(tmp_path, settings):
    zope_ini = make_instance(tmp_path / "instance", settings)
    with zope_server(zope_ini) as zope:
        assert status_of(zope) == 200


def test_zope_logs_a_warning_and_starts(tmp_path):
    settings = "session  type file\nsession.auto  on"
    with zope_server(make_instance(tmp_path / "instance", settings)) as zope:
        log = zope.log.read_text()
        assert status_of(zope) == 200

    assert "session type in the beaker section is ignored" in log


def test_zope_warns_of_a_folder_that_any_local_user_can_write_to(tmp_path):
    folder = tmp_path / "sessions"
    folder.mkdir()
    folder.chmod(0o777)
    settings = f"session.data_dir  {folder}"
    with zope_server(make_instance(tmp_path / "instance", settings)) as zope:
        log = zope.log.read_text()
        assert status_of(zope) == 200

    assert f"{str(folder)!r}, which any local user can write to" in log
