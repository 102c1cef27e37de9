"""What holds in Zope, and not where Plone is installed."""

from importlib.util import find_spec

import pytest


zope_alone = pytest.mark.skipif(
    find_spec("Products.CMFPlone") is not None,
    reason=(
        "Plone has a page for each error, and rewrites those of users who are "
        "logged in."
    ),
)
