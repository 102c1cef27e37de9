"""The page on Zope with pip, followed in an empty folder.

The package comes from this clone, everything else from the package index.
"""

import os
from configparser import ConfigParser

import pytest

from collective.beaker.tests.helpers.newcomers import Newcomer
from collective.beaker.tests.helpers.newcomers import check_visits
from collective.beaker.tests.helpers.newcomers import read_page


SECRET = "replace-this-by-a-long-random-text"


@pytest.fixture(scope="module")
def newcomer(environment, tmp_path_factory):
    return Newcomer(tmp_path_factory.mktemp("zope"), environment)


@pytest.fixture(scope="module")
def runwsgi(newcomer):
    """The command that starts Zope when the page was followed so far."""
    return newcomer.follow("start-zope-pip.rst")


def test_zope_counts_visits(newcomer, runwsgi):
    with newcomer.serve(runwsgi) as zope:
        check_visits(zope, "/visits")


def test_a_service_takes_its_secret_from_a_file(newcomer, runwsgi):
    zope_conf = newcomer.folder / "instance" / "etc" / "zope.conf"
    text = zope_conf.read_text()
    zope_conf.write_text(text.replace(SECRET, "$(SESSION_SECRET)"))
    files = dict(read_page("recipes.rst"))
    unit = ConfigParser(interpolation=None)
    unit.read_string(files["/etc/systemd/system/zope.service"])
    service = unit["Service"]
    secrets = files[service["EnvironmentFile"]]
    assert service["WorkingDirectory"] == "/srv/zope"
    command = service["ExecStart"].removeprefix("/srv/zope/")

    variables = dict(line.split("=", 1) for line in secrets.splitlines())
    with newcomer.serve(command, {"PATH": os.defpath, **variables}) as zope:
        check_visits(zope, "/visits")
