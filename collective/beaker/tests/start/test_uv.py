"""The page on Plone with uv, followed in an empty folder.

The package comes from this clone, everything else from the package index.
"""

import shutil
from importlib.metadata import distributions

import pytest

from collective.beaker.tests.helpers.newcomers import Newcomer
from collective.beaker.tests.helpers.newcomers import add_file
from collective.beaker.tests.helpers.newcomers import add_plone_site
from collective.beaker.tests.helpers.newcomers import check_visits


PLONE = "6.2.2"

CONSTRAINTS = f"https://dist.plone.org/release/{PLONE}/constraints.txt"
"""What Plone has on a server of its own, and no index has."""


@pytest.fixture
def constraints(tmp_path):
    """The versions that are installed here, in place of Plone's own."""
    pins = {each.name.lower(): each.version for each in distributions()}
    del pins["collective.beaker"]
    pins["plone"] = pins["products.cmfplone"] = PLONE
    path = tmp_path / "constraints.txt"
    path.write_text("".join(f"{n}=={v}\n" for n, v in pins.items()))
    return path


def test_a_plone_site_counts_visits_and_keeps_files(
    environment, constraints, tmp_path
):
    if shutil.which("uv") is None:
        pytest.skip("uv is not installed")
    instead = {CONSTRAINTS: str(constraints)}
    newcomer = Newcomer(tmp_path, environment, instead)
    with newcomer.serve(newcomer.follow("start-plone-pip.rst")) as plone:
        add_plone_site(plone)
        check_visits(plone, "/Plone/visits")
        add_file(plone)
