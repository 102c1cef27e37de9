"""A session in a store, which loses nobody's changes and may get a new id."""

import logging
import time
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import Enum
from enum import auto
from typing import Any

from ZODB.POSException import ConflictError

from collective.beaker.ids import is_id
from collective.beaker.ids import new_id
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.interfaces import StoreLocked
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.session.cookies import CookieMaker
from collective.beaker.session.cookies import Scope
from collective.beaker.session.cookies import check_scope
from collective.beaker.session.moves import MOST_ATTEMPTS
from collective.beaker.session.moves import TOMBSTONE_SECONDS
from collective.beaker.session.moves import end_session
from collective.beaker.session.moves import make_tombstone
from collective.beaker.session.moves import read_tombstone
from collective.beaker.session.opened import SessionOfCopy
from collective.beaker.session.policy import warn_of_unreadable_session
from collective.beaker.session.times import ACCESSED
from collective.beaker.session.times import CREATED
from collective.beaker.session.working_copy import DOMAIN
from collective.beaker.session.working_copy import PATH
from collective.beaker.session.working_copy import USER
from collective.beaker.session.working_copy import Data
from collective.beaker.session.working_copy import is_empty
from collective.beaker.stores import Record
from collective.beaker.stores import Store


logger = logging.getLogger("collective.beaker")

_MINUTE = 60


class _Step(Enum):
    """What ``save`` has to do."""

    DROP = auto()
    END = auto()
    CREATE = auto()
    MOVE = auto()
    UPDATE = auto()
    TOUCH = auto()
    MAKE_WAY = auto()


class StoredSession(SessionOfCopy):
    """A session that is stored by compare and swap.

    What is stored is Beaker's own format.

    * Of two requests that overlap the changes of both are kept.
    * An id that is not in the store is not adopted.
    * Reading writes nothing but, now and then, the time of access.
    * ``delete`` leaves nothing under the id once the session is saved, and
      ``invalidate`` and ``regenerate_id`` a tombstone: see moves.py.
    * An unreachable store raises ``StoreUnavailable``.

    Without ``cookies`` none is read and none is sent.
    """

    id: str
    _record: Record | None = None
    """What was loaded, until it is replaced."""

    _stored_id: str | None = None
    """The id under which the session is stored."""

    _settled_id: str | None = None
    """The id that can be stored, as the store says."""

    _former: tuple[tuple[str, Record | None], ...] = ()
    """The ids at which ``save`` ends a session, and what was loaded there."""

    _makes_way = False
    """Whether it takes the place of a session that is another user's.

    Other requests may do the same, and may have begun one for this user.
    """

    _vanished_id: str | None = None
    """The id under which another request has ended or moved the session."""

    _unread_ids: tuple[str, ...] = ()
    """What the visitor's cookies name, but is no session to this process.

    It may be one to another, whose clock, keys or classes are different.
    """

    _is_logged = False
    """Whether the log has a line of that."""

    _has_former_key = False
    """Whether the visitor's cookie is signed with a former secret."""

    _lock: AbstractContextManager[None] | None = None
    _has_voted = False
    """Whether others are committed by the time when this is stored."""

    # Opening

    def open_presented(self, values: Sequence[str]) -> None:
        """Load the first session that a cookie names, or begin a new one.

        ``values`` are those of the visitor's cookies.  Raises
        StoreUnavailable.
        """
        moved, unread_ids = None, []
        if self._cookies:
            self._presented = values
            for value in values:
                verified = self._cookies.verify(value)
                if verified is None:
                    self.bad_signature = True
                elif is_id(verified[0]):
                    self.id, position = verified
                    self.load()
                    if not self.is_new:
                        self.bad_signature = False
                        self._has_former_key = position > 0
                        return
                    moved = moved or self._moved_from()
                    if self._record is not None:
                        unread_ids.append(self.id)
        self.id, self._record = new_id(), None
        self._unread_ids = tuple(unread_ids)
        self._begin()
        if moved is not None:
            self._vanished_id, self._sent_scope = moved

    def _moved_from(self) -> tuple[str, Scope] | None:
        """Return the id and the cookie's scope of a session that has moved."""
        tombstone = read_tombstone(self._policy, self._record)
        if tombstone is None:
            return None
        return self.id, (tombstone.get(DOMAIN), tombstone.get(PATH))

    def open_id(self, id: str) -> None:
        """Load the session of an id, or begin a new one under this id.

        Raises StoreUnavailable, and ValueError for what is not an id.
        """
        if not is_id(id):
            raise ValueError("A session id has 32 hexadecimal digits.")
        self.id = self._settled_id = id
        self.load()

    def load(self) -> None:
        """Load what is stored under the id, or begin a new session there."""
        record = self._record = self._policy.store.load(self.id)
        found = self._decode(record)
        if found is None:
            self._stored_id = None
            self._begin()
            return
        data, text = found
        self.last_accessed = data.get(ACCESSED)
        self.owner = data.get(USER)
        self.is_new = False
        self._stored_id = self.id
        self._copy.hold(data, text)
        # As _scope_in does, without one more call in each request.
        self._sent_scope = (
            data.get(DOMAIN, self._policy.domain),
            data.get(PATH, self._policy.path),
        )

    def _decode(
        self, record: Record | None, in_use: bool = False
    ) -> tuple[Data, str] | None:
        """Return the data of a session that has not ended, and its text.

        That of a session ``in_use`` is not over because of its times.
        """
        if record is None:
            return None
        policy = self._policy
        try:
            text = policy.store.payload(record)
            data = {} if text is None else policy.codec.decode(text)
            check_scope(data.get(DOMAIN), data.get(PATH, "/"))
            ended = policy.timeouts.have_ended(data, in_use) or (
                CREATED not in data and is_empty(data)
            )
        except Exception as error:
            if not policy.replaces(error):
                raise
            warn_of_unreadable_session(error)
            return None
        return None if ended or text is None else (data, text)

    def _begin(self) -> None:
        """Hold a new session, whose cookie replaces that of the former."""
        self._copy.begin(self._scope)
        self.last_accessed = self.owner = None
        self.is_new = True
        self.is_deleted = False
        self._vanished_id = None

    # What code sees

    @property
    def stored_id(self) -> str | None:
        return self._stored_id

    def settle_id(self) -> None:
        """Take another id if the server of a new one does not answer."""
        if self.id not in (self._stored_id, self._settled_id):
            self.id = self._policy.store.reachable_id(self.id)
            self._settled_id = self.id

    def invalidate(self) -> None:
        """Begin a new session under a new id, and end the former one."""
        self.was_invalidated = True
        if self._stored_id or self._vanished_id or self._unread_ids:
            self.replaces_another = True
        self._makes_way = False
        self._leave_record()
        self.id = new_id()
        self._begin()

    def make_way(self) -> None:
        """Begin a new session, which is stored only if anything is saved."""
        self.invalidate()
        self._makes_way = True

    def has_changed(self) -> bool:
        if self._makes_way and not self.is_deleted:
            return self._copy.has_changed()
        return super().has_changed()

    def regenerate_id(self) -> None:
        """Go on under a new id; ``save`` moves the record."""
        if self.is_deleted:
            self.invalidate()
        self.id = new_id()
        if self._stored_id is None:
            # What has expired under the former id is not under the new one.
            self._record = None

    def lock(self) -> None:
        """Wait until nobody else has locked the session, and lock it.

        It keeps those apart who lock it; ``unlock`` must follow.
        """
        self._acquire("")

    def _acquire(self, text: str) -> None:
        if self._lock is None:
            id = self._stored_id or self.id
            lock = self._policy.store.lock(id, text)
            lock.__enter__()
            self._lock = lock

    def restore(self, snapshot: Any) -> None:
        # A lock is none of the data.
        lock = self._lock
        super().restore(snapshot)
        self._lock = lock

    def unlock(self) -> None:
        """Let others lock the session."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.__exit__(None, None, None)

    # Storing

    def save(self, everything: bool = True) -> None:
        """Store all changes, or only those inside values.

        Raises StoreUnavailable, RecordTooLarge, and TypeError for a value
        that cannot be serialized.
        """
        step = self._next_step(everything)
        if step is not None:
            self._take(step, everything)
        if self._has_former_key:
            self._sign_anew()

    def _take(self, step: _Step, everything: bool) -> None:
        self._copy.renew_access()
        match step:
            case _Step.DROP:
                self._log_that_it_vanished()
            case _Step.END:
                self._end()
            case _Step.CREATE:
                self.settle_id()
                self._create(everything)
            case _Step.MOVE:
                self.settle_id()
                self._move(everything)
            case _Step.UPDATE:
                self._update(everything)
            case _Step.TOUCH:
                self._touch()
            case _Step.MAKE_WAY:
                self._make_way()
        if self.owner is not None and self._must_be_noted(step):
            self._note(self.owner)
        self._has_new_mark = False
        self._end_former()

    def stores_changes(self, everything: bool) -> bool:
        step = self._next_step(everything)
        return step in (_Step.CREATE, _Step.MOVE, _Step.UPDATE)

    def _sign_anew(self) -> None:
        """Replace a cookie that is signed with a former secret.

        If another request has moved or ended the session in the meantime, the
        visitor has the cookie of that one, or none.
        """
        self._has_former_key = False
        if self._stored_id is None or self.cookie is not None:
            return
        try:
            record = self._policy.store.load(self._stored_id)
        except StoreUnavailable as error:
            # Another request of the visitor can do this, too.
            logger.error("%s", error)
            return
        if self._decode(record, in_use=True) is not None:
            self._send_cookie(self._copy.loaded)

    def _next_step(self, everything: bool) -> _Step | None:
        if self.is_deleted:
            return _Step.END
        if self._vanished_id:
            return _Step.DROP if everything else None
        if self._stored_id is None:
            if self._makes_way and not everything:
                return _Step.MAKE_WAY if self._former else None
            wanted = everything or self.replaces_another
            return _Step.CREATE if wanted else None
        if self.id != self._stored_id:
            return _Step.MOVE
        if everything or self._copy.has_changed_inside():
            return _Step.UPDATE
        timeouts = self._policy.timeouts
        is_due = self._has_new_mark or timeouts.is_access_due(
            self.last_accessed
        )
        if self._record and is_due:
            return _Step.TOUCH
        return None

    def _end(self) -> None:
        self._leave_record()
        if self._cookies and self._presented:
            policy = self._policy
            self._left_scopes += ((policy.domain, policy.path),)
            if len(self._presented) > 1:
                self._leave_others(self._cookies)
            self._change_scope((self.domain, self.path))
            self.cookie = self._cookies.expire(self.id, self.domain, self.path)

    def _leave_others(self, cookies: CookieMaker) -> None:
        """Leave all other sessions that the visitor's cookies name.

        One of them would be next, after a logout.
        """
        left = {id for id, _ in self._former}
        for verified in map(cookies.verify, self._presented):
            if verified and is_id(verified[0]) and verified[0] not in left:
                found = self._decode(self._policy.store.load(verified[0]))
                if found is not None:
                    data, _ = found
                    self._left_scopes += (self._scope_in(data),)
                self._former += ((verified[0], None),)

    def _leave_record(self) -> None:
        if id := self._stored_id or self._vanished_id:
            self._former += ((id, self._record),)
        self._former += tuple(
            (other, None) for other in self._unread_ids if other != id
        )
        self._record = self._stored_id = self._vanished_id = None
        self._unread_ids = ()

    def _end_former(self) -> None:
        """End what was left, by a tombstone if another session follows."""
        scope = self.domain, self.path
        follows = self.is_deleted or not self._makes_way
        while self._former:
            id, record = self._former[-1]
            end_session(
                self._policy, id, record, self._stored_id, scope, follows
            )
            self._former = self._former[:-1]

    def _create(self, everything: bool) -> None:
        """Store a new session, also in place of one that has expired.

        It may be there already, if code has given the id.
        """
        mine = self._copy.to_store(everything)
        text = self._policy.codec.encode(mine)
        if self._takes_place_of(self._record, text):
            self._mark_stored(mine, text)
        else:
            self._record = None
            self._update(everything)
        self._send_cookie(mine)

    def _update(self, everything: bool) -> None:
        """Store changes, together with those of others."""
        mine = self._copy.to_store(everything)
        for data, record in self._attempts(mine, everything):
            text = self._policy.codec.encode(data)
            if self._takes_place_of(record, text):
                if self._scope_in(mine) != self._sent_scope:
                    self._send_cookie(mine)
                self._mark_stored(mine, self._text_of(mine, data, text))
                return

    def _takes_place_of(self, record: Record | None, text: str) -> bool:
        """Store a text; tell whether it took the place of a record."""
        store = self._policy.store
        return store.swap(self.id, record, text) or _is_there(
            store, self.id, text
        )

    def _move(self, everything: bool) -> None:
        """Store the session under its new id, and then a tombstone.

        It is there under one of the two ids at any time.
        """
        store, codec = self._policy.store, self._policy.codec
        mine = self._copy.to_store(everything)
        former_id, moved = self._stored_id or self.id, None
        tombstone = make_tombstone(
            self._policy, former_id, self.id, (self.domain, self.path)
        )
        for data, record in self._attempts(mine, everything):
            text = codec.encode(data)
            store.swap(self.id, moved, text)
            if self._is_replaced(former_id, record, tombstone):
                self._mark_stored(mine, self._text_of(mine, data, text))
                self._send_cookie(mine)
                return
            moved = store.load(self.id)
        self._discard_copy()

    def _discard_copy(self) -> None:
        """Remove what is under the new id, which nobody knows yet."""
        try:
            self._policy.store.delete(self.id)
        except StoreUnavailable as error:
            logger.error("%s", error)

    def _is_replaced(self, id: str, record: Record, text: str) -> bool:
        """Store a tombstone; tell whether it took the place of a record."""
        store = self._policy.store
        try:
            if store.swap(id, record, text, TOMBSTONE_SECONDS):
                return True
        except StoreLocked:
            self._discard_copy()
            raise
        except StoreUnavailable as error:
            # Its visitor would lose the session, which has moved already.
            logger.error(
                "%s A session has got a new id; what it was before may still "
                "be stored under the former one.",
                error,
            )
            return True
        return _is_there(store, id, text)

    def _make_way(self) -> None:
        """End the session of another user, and begin none.

        A request that only reads can do without: nobody is shown it.
        """
        try:
            self._end_former()
        except StoreUnavailable as error:
            logger.error("%s", error)
            self._former = ()

    def _touch(self) -> None:
        """Store the time of access.

        If another request was faster, it has already stored the time.  A
        request that only reads can do without, for example if a disk is full.
        """
        try:
            text = self._text_to_store(False)
            self._policy.store.swap(self.id, self._record, text)
        except (RecordTooLarge, StoreUnavailable) as error:
            logger.error("%s", error)

    def _must_be_noted(self, step: _Step) -> bool:
        """Tell whether the index of users may lack the session.

        It is noted at a new id, with a new mark, and when it is first stored
        in a minute: the index may have lost it, and forgets what is not used.
        The time since the last use would not do, as a session may be used all
        the time.
        """
        if self._has_new_mark or step in (_Step.CREATE, _Step.MOVE):
            return True
        last_accessed = self.last_accessed or 0
        return last_accessed // _MINUTE != time.time() // _MINUTE

    def _note(self, owner: str) -> None:
        """Have the store find the session by its user, if it can.

        What is not noted now is noted later.  A mark has the form of an id;
        what is stored in its place may be anything.
        """
        if self._stored_id is None or not is_id(owner):
            return
        try:
            self._policy.store.add_to_index(owner, self._stored_id)
        except StoreUnavailable as error:
            logger.error("%s", error)

    def _attempts(
        self, mine: Data, everything: bool
    ) -> Iterator[tuple[Data, Record]]:
        """Yield what to store, and the record to replace, again and again.

        It ends when the record has disappeared, which is logged.
        """
        store = self._policy.store
        record, data = self._record, mine
        for _ in range(MOST_ATTEMPTS):
            if record is not None:
                yield data, record
            record = store.load(self._stored_id or self.id)
            found = self._decode(record, in_use=True)
            if found is None or record is None:
                self._log_that_it_vanished()
                self._vanished_id = self._stored_id or self.id
                self._record = self._stored_id = None
                return
            if self._has_voted:
                self._tell_what_is_lost(found[0], everything)
            data = self._copy.merge_into(found[0], everything)
        raise StoreUnavailable(store.kind, store.address, "it never stores")

    def _tell_what_is_lost(self, theirs: Data, everything: bool) -> None:
        """Log what others have changed since the vote, and this one, too.

        It is too late for a conflict.
        """
        if both := self._copy.conflicts_with(theirs, everything):
            logger.critical(
                "The lock of a session was lost between vote and end of a "
                "transaction. What another request has stored meanwhile is "
                "overwritten under these keys: %s",
                ", ".join(sorted(map(_shown_key, both))),
            )

    def _log_that_it_vanished(self) -> None:
        if not self._is_logged:
            self._is_logged = True
            logger.info(
                "A session ended while a request used it. "
                "What the request changed in it is not kept."
            )

    def _text_of(self, mine: Data, stored: Data, text: str) -> str:
        """Return the text of what this request knows to be stored."""
        return text if stored is mine else self._policy.codec.encode(mine)

    def _mark_stored(self, mine: Data, text: str) -> None:
        # A later save in the same request must load the record again.  It
        # compares with what this request knew, not with what others did.
        self._record = None
        self._stored_id = self.id
        self._copy.mark_stored(mine, text)
        self.replaces_another = False

    def _send_cookie(self, stored: Data) -> None:
        if self._cookies:
            self._change_scope(self._scope_in(stored))
            self.cookie = self._cookies.make(self.id, *self._sent_scope)

    @property
    def needs_cookie(self) -> bool:
        if self.is_deleted or self._vanished_id or not self._cookies:
            return False
        return self.id != self._stored_id

    # Storing in two phases.  See participation.py.

    def prepare(self, everything: bool) -> None:
        """Make sure that ``save`` will succeed, and nobody comes between.

        Raises what ``save`` does, and ConflictError if another request has
        changed what this one changed.  ``release`` must follow.
        """
        match self._next_step(everything):
            case None | _Step.DROP | _Step.TOUCH | _Step.MAKE_WAY:
                return
            case _Step.END if not (
                self._stored_id or self._former or self._vanished_id
            ):
                return
            case _Step.CREATE | _Step.MOVE:
                self.settle_id()
        self._lock_and_merge(everything)
        self._has_voted = True

    def _lock_and_merge(self, everything: bool) -> None:
        """Lock the session, and take over what others have stored.

        The lock is as large as what is to be stored, so that the store shows
        whether it takes that.  If others have added to it, the session is
        locked anew.
        """
        text = self._text_to_store(everything)
        while True:
            self._lock_or_conflict(text)
            if not self._take_over(everything):
                return
            merged = self._text_to_store(everything)
            if len(merged) <= len(text):
                return
            self.unlock()
            text = merged

    def _lock_or_conflict(self, text: str) -> None:
        try:
            self._acquire(text)
        except StoreLocked:
            # Others may need what this transaction holds meanwhile.
            raise ConflictError("A session is locked.") from None

    def _text_to_store(self, everything: bool) -> str:
        return self._policy.codec.encode(self._copy.to_store(everything))

    def release(self) -> None:
        """Let others lock the session."""
        self._has_voted = False
        self.unlock()

    def _take_over(self, everything: bool) -> bool:
        """Take over what others have stored since the session was loaded.

        Returns whether there was anything.
        """
        if self._stored_id is None or self.is_deleted:
            return False
        record = self._policy.store.load(self._stored_id)
        if self._record and record and record.raw == self._record.raw:
            self._record = record
            return False
        found = self._decode(record, in_use=True)
        if found is None:
            # It has ended; save will find that out, too.
            return False
        theirs, text = found
        if self._copy.conflicts_with(theirs, everything):
            raise ConflictError(
                "Two requests of one visitor changed the same in the session."
            )
        self._copy.take_over(theirs, text, everything)
        self._record = record
        return True


def _is_there(store: Store, id: str, text: str) -> bool:
    """Tell whether a text is stored, although the store denies it.

    It is if the connection was lost before the answer: the store then did
    the same once more, and found what it had stored itself.  No other request
    stores the same text, as the time is in it.
    """
    found = store.load(id)
    try:
        return found is not None and store.payload(found) == text
    except Exception:
        # Whoever loads a session tells that it cannot be read.
        return False


def _shown_key(key: object) -> str:
    """Return a key as a log may show it: what is no name may be data."""
    return repr(key) if isinstance(key, str) else f"<{type(key).__name__}>"
