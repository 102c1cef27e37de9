"""Whether a store works: a test record is stored and removed."""

import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextlib import suppress
from functools import partial
from typing import TypeVar

from collective.beaker.ids import new_id
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.caches import cache_store
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.report.parts import StoreCheck
from collective.beaker.settings.backends import are_stored
from collective.beaker.settings.backends import backend_of
from collective.beaker.stores import Store
from collective.beaker.stores import find_store
from collective.beaker.stores.values import ValueStore


_TEST_SECONDS = 60
"""For how long a test record of a cache is there if it is not deleted."""


def check_stores(
    session: Options | None, caches: Mapping[str, Options]
) -> list[StoreCheck]:
    """Check the stores of sessions, of caches and of each cache region.

    ``caches`` are those of a Configuration.  Sessions in cookies have no
    store.
    """
    found = []
    if session is not None and are_stored(session):
        found.append(
            check_store("session", lambda: SessionInspector(session).store)
        )
    for name, options in caches.items():
        found.append(_check_cache(name, options))
    return found


def _check_cache(name: str, options: Options) -> StoreCheck:
    if backend_of(options).is_foreign:
        return check_store(name, partial(find_store, options))
    region = name.removeprefix("cache").removeprefix(".")
    return check_value_store(name, partial(cache_store, region, options))


def check_store(name: str, find: Callable[[], Store]) -> StoreCheck:
    """Store, load, swap and delete a test record, and time each step.

    Any failure is part of the result; nothing is raised.
    """
    return _checked(name, find, _round_trip)


def check_value_store(name: str, find: Callable[[], ValueStore]) -> StoreCheck:
    """Store, load and delete a test record, and time each step.

    Any failure is part of the result; nothing is raised.
    """
    return _checked(name, find, _round_trip_of_value)


_Store = TypeVar("_Store", Store, ValueStore)


def _checked(
    name: str,
    find: Callable[[], _Store],
    round_trip: Callable[[_Store, dict[str, float]], str | None],
) -> StoreCheck:
    check = StoreCheck(name)
    try:
        store = find()
        check.type, check.address = store.kind, store.address
        check.error = round_trip(store, check.seconds)
    except Exception as error:
        check.error = describe_error(error)
    return check


@contextmanager
def _timed(step: str, seconds: dict[str, float]) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[step] = time.perf_counter() - start


def _round_trip_of_value(
    store: ValueStore, seconds: dict[str, float]
) -> str | None:
    """Time each step; return what went wrong, or None."""
    name = f"c:{new_id()}"
    with _timed("store", seconds):
        # As a value is stored that was computed.
        claim, _ = store.claim(name, [name], _TEST_SECONDS)
        if claim is not None:
            store.settle(claim, b"test", _TEST_SECONDS)
    with _timed("load", seconds):
        found = store.get([name])
    with _timed("delete", seconds):
        store.delete([name])
    if found.get(name) != b"test":
        return "The test record was stored, but not found again."
    return None


def _round_trip(store: Store, seconds: dict[str, float]) -> str | None:
    """Time each step; return what went wrong, or None."""
    id = new_id()

    timed = partial(_timed, seconds=seconds)
    try:
        with timed("store"):
            store.swap(id, None, "first")
        with timed("load"):
            record = store.load(id)
        if record is None or store.payload(record) != "first":
            return "The test record was stored, but not found again."
        with timed("swap"):
            swapped = store.swap(id, record, "second")
        if not swapped:
            return "Something else has changed the test record."
        with timed("delete"):
            store.delete(id)
        return None
    finally:
        if "delete" not in seconds:
            with suppress(StoreUnavailable):
                store.delete(id)


def describe_error(error: Exception) -> str:
    """Return a message that may be shown: nothing from a client library."""
    if isinstance(error, (CannotMaintain, StoreUnavailable)):
        return str(error)
    # Only the type: the message may hold a password.
    return f"It cannot be used ({type(error).__name__})."
