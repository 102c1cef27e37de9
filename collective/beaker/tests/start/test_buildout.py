"""The pages for beginners that use buildout, followed in an empty folder.

The package comes from this clone, everything else from the package index.
"""

import pytest

from collective.beaker.tests.helpers.newcomers import Newcomer
from collective.beaker.tests.helpers.newcomers import add_plone_site
from collective.beaker.tests.helpers.newcomers import check_visits


VERSIONS = "https://dist.plone.org/release/6.2.2/versions.cfg"


@pytest.fixture
def environment(environment, wheels, tmp_path_factory):
    """An environment in which buildout finds the wheel, too."""
    home = tmp_path_factory.mktemp("buildout")
    (home / "default.cfg").write_text(f"[buildout]\nfind-links = {wheels}\n")
    return environment | {"BUILDOUT_HOME": str(home)}


def test_zope_with_buildout(environment, tmp_path):
    newcomer = Newcomer(tmp_path, environment)
    with newcomer.serve(newcomer.follow("start-zope-buildout.rst")) as zope:
        check_visits(zope, "/visits")


def test_plone_with_buildout(environment, tmp_path_factory, tmp_path):
    # The versions of each release are on a server of Plone's.
    versions = tmp_path_factory.mktemp("plone") / "versions.cfg"
    versions.write_text("[versions]\nPlone = 6.2.2\n")
    newcomer = Newcomer(tmp_path, environment, {VERSIONS: str(versions)})
    with newcomer.serve(newcomer.follow("start-plone-buildout.rst")) as plone:
        add_plone_site(plone)
        check_visits(plone, "/Plone/visits")
