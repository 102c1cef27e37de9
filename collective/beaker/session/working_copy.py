"""What one request sees of a session, and what it has changed in it."""

import time
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from typing import Any

from collective.beaker.session.codec import Codec
from collective.beaker.session.merge import Changes
from collective.beaker.session.merge import difference
from collective.beaker.session.merge import may_change_inside
from collective.beaker.session.merge import merge
from collective.beaker.session.times import ACCESSED
from collective.beaker.session.times import CREATED
from collective.beaker.session.times import later


DOMAIN = "_domain"
"""The key of the domain of a session's cookie."""

PATH = "_path"
"""The key of the path of a session's cookie."""

ID = "_id"
"""The key of the id of a session that is kept in a cookie."""

USER = "_user"
"""The key of the mark of the user whose session it is.  See owners.py."""

CLIENT = "_client"
"""The key of the client with which it became the user's.  See clients.py."""

MOVED = "_moved"
"""The key of the new id, in a tombstone."""

OWN_KEYS = frozenset([ACCESSED, CLIENT, CREATED, DOMAIN, ID, PATH, USER])
"""The keys that Beaker or this package needs for itself.

Code sees them among its own keys.  Whatever it does to them, they are
stored with the values that the session has for them.
"""

_LEFT_BY_END = frozenset([ACCESSED, DOMAIN, MOVED, PATH])
"""The keys of what is stored in place of a session that has ended.

Beaker's middleware does so, and a session that moves leaves a tombstone.
"""

Data = dict[Any, Any]

_NOTHING: Data = {}
"""What a working copy holds at first.  Nobody changes it."""


class WorkingCopy:
    """The data of a session in one request, in three states.

    * ``data`` is what code sees and changes.  It is always the same object.
    * ``loaded`` has the same values as they were loaded, or stored by this
      request since.  An assignment to a key does not reach it.  A change
      inside a value does, since both hold the same object.  So it is what is
      stored without ``save``.
    * ``text`` is what is stored.  Nothing can change it.  Decoded once more,
      it is what a difference is taken from: between it and ``data`` are all
      changes of this request, between it and ``loaded`` are those inside
      values.  It is None if nothing is stored yet.
    """

    __slots__ = ("_own", "codec", "data", "loaded", "text")

    data: Data
    loaded: Data
    text: str | None
    _own: Data
    """The values of ``OWN_KEYS`` that this request has set."""

    def __init__(self, codec: Codec):
        self.codec = codec
        self.data = {}
        self.loaded = self._own = _NOTHING

    def begin(self, own: Mapping[str, Any]) -> None:
        """Hold a new session; ``own`` are its own keys, except times."""
        now = time.time()
        self._replace({CREATED: now, ACCESSED: now, **own}, None)

    def hold(self, data: Data, text: str) -> None:
        """Hold data that were decoded from a stored text."""
        now = time.time()
        if CREATED not in data:
            data[CREATED] = data.get(ACCESSED) or now
        data[ACCESSED] = now
        # What _replace does, without one more call in each request.
        self.data.clear()
        self.data.update(data)
        self.loaded, self._own, self.text = data, _NOTHING, text

    def empty(self) -> None:
        """Leave nothing but what a cookie is made of."""
        self._replace(_without_times(self.own), self.text)

    def _replace(self, loaded: Data, text: str | None) -> None:
        self._show(loaded)
        self.loaded = loaded
        self._own = _NOTHING
        self.text = text

    def _show(self, data: Data) -> None:
        self.data.clear()
        self.data.update(data)

    @property
    def own(self) -> Data:
        """The values of ``OWN_KEYS`` with which ``data`` is stored."""
        own = {key: self.loaded[key] for key in OWN_KEYS & self.loaded.keys()}
        return own | self._own

    def get_own(self, key: str, default: Any = None) -> Any:
        """Return one of Beaker's own keys."""
        if key in self._own:
            return self._own[key]
        return self.loaded.get(key, default)

    def set_own(self, key: str, value: Any) -> None:
        """Set one of Beaker's own keys."""
        self._own = {**self._own, key: value}
        self.data[key] = value

    def belong_to(self, mark: str, client: str) -> None:
        """Set the user's mark and client, stored even without ``save``."""
        self.data[USER] = self.loaded[USER] = mark
        if client:
            self.data[CLIENT] = self.loaded[CLIENT] = client

    def revert(self) -> None:
        """Take back all changes, also those inside values.

        A session that was given to a user stays that of the user.
        """
        if self.text is None:
            self.begin(_without_times(self.own))
            return
        mark, client = self.loaded.get(USER), self.loaded.get(CLIENT)
        self.hold(self.codec.decode(self.text), self.text)
        if mark is not None:
            self.belong_to(mark, client or "")

    def to_store(self, everything: bool) -> Data:
        """Return the data to be stored.

        That is all of them, or what was loaded, with the changes inside
        values.
        """
        return self.data | self.own if everything else self.loaded

    def renew_access(self) -> None:
        """Set the time of access to that at which it is stored.

        A request may take longer than a session lasts without use.
        """
        self.loaded[ACCESSED] = time.time()

    def mark_stored(self, mine: Data, text: str) -> None:
        """Note that ``mine``, which ``to_store`` returned, is stored now.

        ``text`` is its text.  From now on this is what was loaded: otherwise
        a later store without ``save`` would undo what was saved.
        """
        self.loaded, self.text = mine, text
        self._own = {
            key: value
            for key, value in self._own.items()
            if key not in mine or mine[key] != value
        }

    def has_changed(self) -> bool:
        """Tell whether there is anything that was not stored yet."""
        if self.text is None:
            return bool(self.data.keys() - OWN_KEYS)
        return bool(self.changes(True))

    def has_changed_inside(self) -> bool:
        """Tell whether a value was changed without being set anew.

        Beaker's own keys do not count: a user's new mark can wait.
        """
        return (
            may_change_inside(self.loaded.values())
            and not self.changes(False).keys() <= OWN_KEYS
        )

    def changes(self, everything: bool) -> Changes:
        """Return what this request has changed, times apart."""
        return self._changes_to(self.to_store(everything))

    def _changes_to(self, data: Data) -> Changes:
        stored = {} if self.text is None else self.codec.decode(self.text)
        return difference(
            _without_times(stored),
            _without_times(data),
            self.codec.dumps,
            self.codec.loads,
        )

    def merge_into(self, theirs: Data, everything: bool) -> Data:
        """Return what others have stored, with the changes of this request.

        The time of access only grows.
        """
        mine = self.to_store(everything)
        data = merge(theirs, self._changes_to(mine))
        data[ACCESSED] = later(mine.get(ACCESSED), theirs.get(ACCESSED))
        return data

    def conflicts_with(self, theirs: Data, everything: bool) -> set[Any]:
        """Return the keys that others have changed, and this request, too.

        Requests that give the session the same mark of a user agree.
        """
        mine = self.changes(everything)
        both = mine.keys() & self._changes_to(theirs).keys()
        if mine.values.get(USER) == theirs.get(USER):
            both.discard(USER)
        return both

    def take_over(self, theirs: Data, text: str, everything: bool) -> None:
        """Hold what others have stored, with the changes of this request.

        ``data`` keeps all its changes, since code may save them later.
        """
        data = self.merge_into(theirs, True)
        self.loaded = self.merge_into(theirs, everything)
        self.text = text
        self._show(data)

    def snapshot(self) -> Any:
        """Return all that ``restore`` needs to bring back this state."""
        return _copied(self.data, self.loaded), self._own, self.text

    def restore(self, snapshot: Any) -> None:
        """Bring back an earlier state."""
        copied, self._own, self.text = snapshot
        data, self.loaded = _copied(*copied)
        self._show(data)


def _copied(data: Data, loaded: Data) -> tuple[Data, Data]:
    """Return copies of both, with all that can be copied inside them.

    What cannot, such as a lock, cannot be stored either.  Other code that
    makes a savepoint need not know of it.
    """
    try:
        # Together, since a value may be in both.
        return deepcopy((data, loaded))
    except Exception:
        return _copied_singly(data), _copied_singly(loaded)


def _copied_singly(data: Data) -> Data:
    copied = dict(data)
    for key, value in data.items():
        with suppress(Exception):
            copied[key] = deepcopy(value)
    return copied


def is_empty(data: Data) -> bool:
    """Tell whether data are what is left in place of an ended session."""
    return data.keys() <= _LEFT_BY_END


def _without_times(data: Data) -> Data:
    return {
        key: value
        for key, value in data.items()
        if key not in (ACCESSED, CREATED)
    }
