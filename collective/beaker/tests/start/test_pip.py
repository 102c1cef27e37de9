"""The page on Zope with pip, followed in an empty folder.

The package comes from this clone, everything else from the package index.
"""

import pytest

from collective.beaker.tests.helpers.newcomers import Newcomer
from collective.beaker.tests.helpers.newcomers import check_visits


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
