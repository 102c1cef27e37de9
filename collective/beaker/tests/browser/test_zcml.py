"""The ZCML that registers the views, for Zope and for Plone."""

import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from http.client import HTTPConnection
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import pytest

import collective.beaker
from collective.beaker.tests.helpers.servers import write
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import zope_server


SITE_ZCML = """\
<configure xmlns="http://namespaces.zope.org/zope">
  <include package="Products.Five" />
  <include package="collective.beaker" />
</configure>
"""
"""As little as a Zope may load beside this package."""

PAGES = {"page", "pages"}
CONTEXT_ATTRIBUTES = {"for", "permission"}
"""What may differ between Zope and Plone."""


def pages_of(file_name: str) -> list[ElementTree.Element]:
    """Return the registrations of pages in a ZCML file of the browser."""
    text = files("collective.beaker.browser").joinpath(file_name).read_text()
    return [
        element
        for element in ElementTree.fromstring(text)
        if element.tag.rpartition("}")[2] in PAGES
    ]


def describe(element: ElementTree.Element) -> Iterator[tuple]:
    """Yield an element and those below it, without what may differ."""
    for each in element.iter():
        attributes = each.attrib.items()
        yield (
            each.tag,
            each.get("permission") == "zope.Public",
            {k: v for k, v in attributes if k not in CONTEXT_ATTRIBUTES},
        )


def test_zope_and_plone_have_the_same_views():
    in_zope, in_plone = (
        [list(describe(page)) for page in pages_of(file_name)]
        for file_name in ("zope.zcml", "plone.zcml")
    )

    assert in_zope == in_plone
    assert in_zope


def test_all_views_of_a_file_have_the_same_context_and_permission():
    for file_name in ("zope.zcml", "plone.zcml"):
        pages = pages_of(file_name)
        permissions = {page.get("permission") for page in pages}
        assert len({page.get("for") for page in pages}) == 1
        assert len(permissions - {"zope.Public"}) == 1


ROOT = Path(collective.beaker.__file__).parent
ZCML_FILES = [
    ".".join(["collective.beaker", *path.relative_to(ROOT).parts[:-1]])
    + f":{path.name}"
    for path in sorted(ROOT.rglob("*.zcml"))
]

INCLUDE = """\
import sys
from zope.configuration import xmlconfig
package, _, file = sys.argv[1].partition(":")
xmlconfig.string(f'''\
<configure xmlns="http://namespaces.zope.org/zope">
  <include package="{package}" file="{file}" />
</configure>''')
"""
"""A program that loads one file."""


@pytest.mark.parametrize("file", ZCML_FILES)
def test_a_zcml_file_can_be_loaded_alone(file):
    if file == "collective.beaker:plone.zcml":
        pytest.importorskip("Products.CMFPlone")
    run = subprocess.run(
        [sys.executable, "-c", INCLUDE, file],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )

    assert run.returncode == 0, run.stderr


def test_the_page_is_rendered_with_five_and_this_package_only(tmp_path):
    zope_ini = make_instance(tmp_path / "zope", "session.type memory")
    write(zope_ini.with_name("site.zcml"), SITE_ZCML)
    write(tmp_path / "zope/inituser", "admin:a password\n")
    user = b64encode(b"admin:a password").decode()
    with zope_server(zope_ini) as zope:
        connection = HTTPConnection("127.0.0.1", zope.port, timeout=SECONDS)
        headers = {"Authorization": f"Basic {user}"}
        connection.request("GET", "/@@beaker", headers=headers)
        response = connection.getresponse()
        page = response.read().decode()

    assert response.status == 200
    assert '<p class="verdict ' in page
    assert "${" not in page
