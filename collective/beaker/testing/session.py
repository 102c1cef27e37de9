"""A session for unit tests, and the adapter that returns it."""

import time
import uuid
from collections.abc import ItemsView
from collections.abc import Iterator
from collections.abc import KeysView
from collections.abc import ValuesView
from typing import Any

from zope.component import adapter
from zope.interface import implementer
from zope.publisher.interfaces import IRequest

from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISession
from collective.beaker.session.mapping import DictionaryMethods


@implementer(ISession)
class TestSession(DictionaryMethods):
    """A session for unit tests, which is not stored anywhere.

    It records how it was used: ``_saved``, ``_deleted`` and ``_invalidated``
    are true once ``save``, ``delete`` and ``invalidate`` have been called.
    Each dictionary operation sets ``last_accessed`` to the current time.

    It holds what the test puts in, without any keys of Beaker's own.  Its
    ``id`` is ``"test-session"`` until ``invalidate`` or ``regenerate_id``
    makes another.
    """

    __test__ = False  # otherwise pytest would collect it

    _saved = False
    _deleted = False
    _invalidated = False

    is_deleted = False
    """Whether it was deleted, and not begun anew; for request.SESSION."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._data: dict[str, Any] = dict(*args, **kwargs)
        self.domain: str | None = None
        self.path = "/"
        self.id = "test-session"
        self._begin()

    def _begin(self) -> None:
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
        self._deleted = self.is_deleted = True

    def invalidate(self) -> None:
        self.regenerate_id()
        self._begin()
        self.clear()
        self._invalidated = True
        self.is_deleted = False

    def regenerate_id(self) -> None:
        self.id = uuid.uuid4().hex

    def get_by_id(self, id: str) -> "TestSession | None":
        """Return the session itself if it has this id: there is no other."""
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

    A ZPublisher request keeps it in ``environ``, like the real session; other
    requests keep it in their annotations.
    """
    kept = getattr(request, "environ", None)
    if kept is None:
        kept = request.annotations
    session = kept.get(ENVIRON_KEY)
    if not isinstance(session, TestSession):
        session = kept[ENVIRON_KEY] = TestSession()
    return session


testingSession.__test__ = False  # otherwise pytest would collect it
