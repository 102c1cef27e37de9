"""The ZCML that registers the views, for Zope and for Plone."""

from collections.abc import Iterator
from importlib.resources import files
from xml.etree import ElementTree


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
