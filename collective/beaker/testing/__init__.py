"""Support for tests of code that uses sessions and caches.

* ``BeakerConfigLayer``: a layer, or a mixin for one, that provides a "fake"
  beaker section of zope.conf for the ZCML to read.
* ``testingSession`` and ``TestSession``: an adapter for unit tests, and the
  session that it returns.
* ``BEAKER_FIXTURE``, ``BEAKER_INTEGRATION_TESTING`` and
  ``BEAKER_FUNCTIONAL_TESTING``: layers of plone.testing.
"""

from typing import Any

from collective.beaker.testing.section import BeakerConfigLayer
from collective.beaker.testing.section import popBeakerConfig
from collective.beaker.testing.section import pushBeakerConfig
from collective.beaker.testing.session import TestSession
from collective.beaker.testing.session import testingSession


__all__ = [
    "BeakerConfigLayer",
    "TestSession",
    "popBeakerConfig",
    "pushBeakerConfig",
    "testingSession",
]

_LAYERS = {
    "BeakerFixture",
    "BEAKER_FIXTURE",
    "BEAKER_INTEGRATION_TESTING",
    "BEAKER_FUNCTIONAL_TESTING",
}
"""The names that need plone.testing."""


def __getattr__(name: str) -> Any:
    """Import the layers of plone.testing only when they are used."""
    if name not in _LAYERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from collective.beaker.testing import layers
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{__name__}.{name} needs plone.testing ({error}). Install "
            "plone.app.testing for tests with Plone, or plone.testing[zope] "
            "for tests with Zope alone."
        ) from error
    return getattr(layers, name)
