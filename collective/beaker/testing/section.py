"""A "fake" beaker section of zope.conf for the ZCML to read."""

from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextlib import contextmanager
from typing import Any

from App.config import getConfiguration
from beaker.cache import cache_managers
from beaker.cache import cache_regions
from beaker.container import MemoryNamespaceManager

from collective.beaker.caching.factory import clear_memory


@contextmanager
def _beakerSection(settings: Mapping[str, Any]) -> Iterator[None]:
    """Provide these settings, as if zope.conf had a beaker section."""
    config = getConfiguration()
    missing = not hasattr(config, "product_config")
    if missing:
        config.product_config = {}
    sections = config.product_config
    before = sections.get("beaker")
    sections["beaker"] = dict(settings)
    try:
        yield
    finally:
        if before is None:
            sections.pop("beaker", None)
        else:
            sections["beaker"] = before
        if missing and not sections:
            del config.product_config


@contextmanager
def _beakerState() -> Iterator[None]:
    """Restore the cache regions, the caches and the values in memory."""
    regions, managers = dict(cache_regions), dict(cache_managers)
    memory = MemoryNamespaceManager.namespaces.dict
    names = set(memory)
    try:
        yield
    finally:
        for mapping, before in (
            (cache_regions, regions),
            (cache_managers, managers),
        ):
            mapping.clear()
            mapping.update(before)
        for name in memory.keys() - names:
            # Region decorators still refer to it, so it must be emptied, too.
            memory.pop(name).clear()
        clear_memory()


@contextmanager
def _configured(settings: Mapping[str, Any]) -> Iterator[None]:
    with _beakerSection(settings), _beakerState():
        yield


_pushed: list[AbstractContextManager[None]] = []
"""The settings that are provided now, the latest last."""


def pushBeakerConfig(settings: Mapping[str, Any]) -> None:
    """Provide settings, as if zope.conf had them, until they are popped.

    Call this before the ZCML is processed.  Each call needs a call of
    ``popBeakerConfig``.
    """
    configured = _configured(settings)
    configured.__enter__()
    _pushed.append(configured)


def popBeakerConfig() -> None:
    """Restore the state before the last push.

    Raises RuntimeError if there was none.
    """
    if not _pushed:
        raise RuntimeError(
            "popBeakerConfig was called more often than pushBeakerConfig: "
            "call a layer's setUp before its tearDown."
        )
    _pushed.pop().__exit__(None, None, None)


class BeakerConfigLayer:
    """A layer that provides "fake" zope.conf settings.

    Mix it in before the layer that processes ZCML::

        class MyLayer(BeakerConfigLayer, SiteLayer):
            pass

    For settings of your own, write a subclass with another ``zconfigData`` and
    mix that in.  ``zconfigData`` on ``MyLayer`` itself would be too late: a
    test runner sets up its bases first, including the site.

    Caches in memory are emptied after each test.

    With the layers of plone.testing, use ``BEAKER_FIXTURE``.
    """

    zconfigData: Mapping[str, Any] = {
        "cache.type": "memory",
        "cache.regions": "short, long",
        "cache.short.expire": "3",
        "cache.long.expire": "10",
        "session.type": "memory",
        "session.key": "beaker.session",
        "session.auto": "off",
    }

    # zope.testrunner calls these for the layer, and again for each subclass
    # that inherits them; pushes and pops still come in pairs.

    @classmethod
    def setUp(cls) -> None:
        pushBeakerConfig(cls.zconfigData)

    @classmethod
    def tearDown(cls) -> None:
        popBeakerConfig()

    @classmethod
    def testTearDown(cls) -> None:
        clear_memory()
