"""What a request changed in a session, merged with what others changed.

These are pure functions over dictionaries.  Different keys never collide.  Of
two changes to one key, the later one holds.  A nested change is a change to
its key.
"""

import pickle
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from typing import Any


_COMPARABLE = frozenset([str, bytes, int, bool, type(None)])
"""Types whose equal values are also stored alike."""

_IMMUTABLE = _COMPARABLE | {float, date, datetime, time, timedelta}
"""Types whose values cannot be changed in place."""


@dataclass(frozen=True, repr=False)
class Changes:
    """The keys that were set, with their values, and those removed."""

    values: Mapping[Any, Any]
    removed: frozenset[Any]

    def __bool__(self) -> bool:
        return bool(self.values or self.removed)

    def keys(self) -> set[Any]:
        return self.values.keys() | self.removed


def difference(
    base: Mapping[Any, Any],
    mine: Mapping[Any, Any],
    dumps: Callable[[Any], bytes] = pickle.dumps,
    loads: Callable[[bytes], Any] = pickle.loads,
) -> Changes:
    """Return the changes that turn ``base`` into ``mine``.

    The two must not share values that can be changed in place.  Such values
    are compared in the form in which ``dumps`` stores them.  ``base`` was
    loaded, which may change this form.
    """
    return Changes(
        values={
            key: value
            for key, value in mine.items()
            if key not in base or not _same(base[key], value, dumps, loads)
        },
        removed=frozenset(base.keys() - mine.keys()),
    )


def merge(theirs: Mapping[Any, Any], changes: Changes) -> dict[Any, Any]:
    """Return ``theirs`` with the changes made to it."""
    kept = {
        key: value
        for key, value in theirs.items()
        if key not in changes.removed
    }
    return {**kept, **changes.values}


def may_change_inside(values: Iterable[Any]) -> bool:
    """Tell whether a value might be changed in place."""
    return not _IMMUTABLE.issuperset(map(type, values))


def _same(
    loaded: Any,
    other: Any,
    dumps: Callable[[Any], bytes],
    loads: Callable[[bytes], Any],
) -> bool:
    if loaded is other:
        return True
    if type(loaded) is type(other) and type(loaded) in _COMPARABLE:
        return bool(loaded == other)
    try:
        stored = dumps(other)
        form = dumps(loaded)
        # A set is in another order once it is loaded, and JSON has no tuples.
        return stored == form or dumps(loads(stored)) == form
    except Exception:
        # What cannot be stored was not loaded.  Storing it raises the error.
        return False
