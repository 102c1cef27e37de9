"""What tests of code that uses sessions and caches need.

* ``BeakerConfigLayer``: a layer, or a mixin for one, that gives ZCML a
  "fake" beaker section of zope.conf to read.
* ``testingSession`` and ``TestSession``: an adapter for unit tests, and the
  session that it gives.
* ``BEAKER_FIXTURE``, ``BEAKER_INTEGRATION_TESTING`` and
  ``BEAKER_FUNCTIONAL_TESTING``: layers of plone.testing.
"""

import time
import uuid
from collections.abc import ItemsView
from collections.abc import Iterator
from collections.abc import KeysView
from collections.abc import Mapping
from collections.abc import MutableMapping
from collections.abc import ValuesView
from contextlib import AbstractContextManager
from contextlib import contextmanager
from typing import Any

from App.config import getConfiguration
from beaker.cache import cache_managers
from beaker.cache import cache_regions
from beaker.container import MemoryNamespaceManager
from zope.component import adapter
from zope.interface import implementer
from zope.publisher.interfaces import IRequest

from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISession


@contextmanager
def _beakerSection(settings: Mapping[str, Any]) -> Iterator[None]:
    """Have zope.conf seem to hold a beaker section with these settings."""
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
    """Restore the cache regions, the caches and what memory holds."""
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
            # Region decorators hold on to it, so that it must be empty, too.
            memory.pop(name).clear()


@contextmanager
def _configured(settings: Mapping[str, Any]) -> Iterator[None]:
    with _beakerSection(settings), _beakerState():
        yield


_pushed: list[AbstractContextManager[None]] = []


def pushBeakerConfig(settings: Mapping[str, Any]) -> None:
    """Provide settings, as if zope.conf had them, until they are popped.

    Call this before ZCML is processed, and ``popBeakerConfig`` as often.
    """
    configured = _configured(settings)
    configured.__enter__()
    _pushed.append(configured)


def popBeakerConfig() -> None:
    """Put back what was there before the last push."""
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

    For settings of your own make a subclass with another ``zconfigData`` and
    mix in that one.  On ``MyLayer`` itself they come too late: a test runner
    sets up its bases, and the site among them, first.

    Where layers are those of plone.testing, use ``BEAKER_FIXTURE``.
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

    # zope.testrunner calls these for the layer and again for each subclass
    # that inherits them; pushes and pops come in pairs all the same.

    @classmethod
    def setUp(cls) -> None:
        pushBeakerConfig(cls.zconfigData)

    @classmethod
    def tearDown(cls) -> None:
        popBeakerConfig()


@implementer(ISession)
class TestSession(MutableMapping[str, Any]):
    """A session for unit tests, which is stored nowhere.

    It tells how it was used: ``_saved``, ``_deleted`` and ``_invalidated``
    are true once ``save``, ``delete`` and ``invalidate`` have been called.
    Each dictionary operation sets ``last_accessed`` to the current time.

    It holds what the test puts in, and no keys of Beaker's own.
    """

    __test__ = False  # pytest takes it for a test otherwise

    _saved = False
    _deleted = False
    _invalidated = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._data: dict[str, Any] = dict(*args, **kwargs)
        self.domain: str | None = None
        self.path = "/"
        self._begin()

    def _begin(self) -> None:
        self.id = uuid.uuid4().hex
        self.is_new = True
        self.created = time.time()
        self.last_accessed: float | None = None

    def _accessed(self) -> dict[str, Any]:
        self.last_accessed = time.time()
        return self._data

    def accessed(self) -> bool:
        return self.last_accessed is not None

    def save(self) -> None:
        self._saved = True

    def delete(self) -> None:
        self.clear()
        self._deleted = True

    def invalidate(self) -> None:
        self._begin()
        self.clear()
        self._invalidated = True

    def regenerate_id(self) -> None:
        self.id = uuid.uuid4().hex

    def get_by_id(self, id: str) -> "TestSession | None":
        """Return the session itself: it knows no other."""
        return self if id == self.id else None

    def __getitem__(self, key: str) -> Any:
        return self._accessed()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._accessed()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._accessed()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._accessed()

    def __iter__(self) -> Iterator[str]:
        return iter(self._accessed())

    def __len__(self) -> int:
        return len(self._accessed())

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._data!r})"

    def has_key(self, key: str) -> bool:
        return key in self

    def pop(self, key: str, *default: Any) -> Any:
        return self._accessed().pop(key, *default)

    def keys(self) -> KeysView[str]:
        return self._accessed().keys()

    def values(self) -> ValuesView[Any]:
        return self._accessed().values()

    def items(self) -> ItemsView[str, Any]:
        return self._accessed().items()

    def update(self, *args: Any, **kwargs: Any) -> None:
        self._accessed().update(*args, **kwargs)

    def clear(self) -> None:
        self._accessed().clear()


@implementer(ISession)
@adapter(IRequest)
def testingSession(request: Any) -> TestSession:
    """Adapt a request to its TestSession.

    A ZPublisher request keeps it in ``environ``, where the real session is,
    and other requests among their annotations.
    """
    kept = getattr(request, "environ", None)
    if kept is None:
        kept = request.annotations
    session = kept.get(ENVIRON_KEY)
    if not isinstance(session, TestSession):
        session = kept[ENVIRON_KEY] = TestSession()
    return session


testingSession.__test__ = False  # pytest takes it for a test otherwise


_LAYERS = {
    "BeakerFixture",
    "BEAKER_FIXTURE",
    "BEAKER_INTEGRATION_TESTING",
    "BEAKER_FUNCTIONAL_TESTING",
}


def __getattr__(name: str) -> Any:
    """Import the layers of plone.testing only where they are asked for."""
    if name not in _LAYERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from collective.beaker import layers
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{__name__}.{name} needs plone.testing ({error}). Install "
            "plone.app.testing for tests with Plone, or plone.testing[zope] "
            "for tests with Zope alone."
        ) from error
    return getattr(layers, name)
