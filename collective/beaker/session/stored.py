"""A session in a store, which loses nobody's changes."""

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import cache
from functools import cached_property
from functools import partial
from http.cookies import BaseCookie
from typing import Any

import beaker.session
from beaker.cookie import SimpleCookie
from beaker.session import SignedCookie
from ZODB.POSException import ConflictError

from collective.beaker.ids import is_id
from collective.beaker.ids import new_id
from collective.beaker.interfaces import StoreLocked
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.session.content import Content
from collective.beaker.session.content import logger
from collective.beaker.session.cookies import signing_key
from collective.beaker.session.cookies import unsigned
from collective.beaker.session.merge import merge
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.settings.options import former_keys
from collective.beaker.stores import Record
from collective.beaker.stores import Store
from collective.beaker.stores import find_store
from collective.beaker.stores.base import LEEWAY_SECONDS


_MOST_ATTEMPTS = 1000
"""So often others may be faster before a store counts as broken."""

_FOR_REQUESTS = (
    "auto",
    "log_file",
    "session_class",
    "sweep_interval",
    "transactional",
    "webtest_varname",
)
"""Options that neither a session nor its store reads."""


class Session(Content, beaker.session.Session):
    """A Beaker session that is stored by compare and swap.

    What is stored is Beaker's own format.  It differs from Beaker's class:

    * Of two requests that overlap both changes are kept.
    * An id that is not in the store is not adopted.
    * Reading writes nothing but, now and then, the time.
    * ``delete``, ``invalidate`` and ``regenerate_id`` leave nothing under the
      former id once the session is saved.
    * An unreachable store raises ``StoreUnavailable``.

    ``id``, unlike one in a cookie, is adopted.  Raises ValueError if it has
    not the form of an id.
    """

    def __init__(
        self,
        request: dict[str, Any],
        id: str | None = None,
        invalidate_corrupt: bool = False,
        use_cookies: bool = True,
        secret: str | None = None,
        key: str = "beaker.session.id",
        validate_key: str | None = None,
        resolution_seconds: int = SESSION_DEFAULTS["resolution_seconds"],
        absolute_timeout: int | None = None,
        secret_fallbacks: Iterable[str] = (),
        validate_key_fallbacks: Iterable[str] = (),
        socket_timeout: int = SESSION_DEFAULTS["socket_timeout"],
        **options: Any,
    ):
        for name in _FOR_REQUESTS:
            options.pop(name, None)
        self._prepare_content(
            invalidate_corrupt,
            resolution_seconds,
            absolute_timeout,
            [validate_key, *former_keys(validate_key_fallbacks)],
        )
        self._record: Record | None = None
        self._stored_id: str | None = None
        self._former_ids: tuple[str, ...] = ()
        self._lock: AbstractContextManager[None] | None = None
        self._scope: tuple[str | None, str] | None = None
        self._has_cookie = False
        super().__init__(
            {},
            use_cookies=use_cookies,
            secret=secret,
            key=key,
            validate_key=validate_key,
            **options,
        )
        if absolute_timeout and self.timeout is None:
            self.namespace_args["timeout"] = absolute_timeout + LEEWAY_SECONDS
        self._secrets = [secret, *former_keys(secret_fallbacks)]
        # It may need a server, which not every session does.
        self._find_store = cache(
            partial(
                find_store,
                self.type,
                self.namespace_class,
                {"data_dir": self.data_dir, **self.namespace_args},
                socket_timeout,
            )
        )
        self._open(request, id)

    def _open(self, request: dict[str, Any], id: str | None = None) -> None:
        """Load the session of an id, or of a request's cookie, or begin one.

        Raises StoreUnavailable, and ValueError for what is no id.
        """
        if id is not None and not is_id(id):
            raise ValueError("A session id has 32 hexadecimal digits.")
        self._take_request(request)
        if id is not None:
            self.id = id
            self.load()
        elif not (self.use_cookies and self._load_presented()):
            self.id, self._record = new_id(), None
            self._begin()

    @cached_property
    def cookie(self) -> BaseCookie:
        """The cookie to be sent, as Beaker makes it."""
        return SignedCookie(self.secret) if self.secret else SimpleCookie()

    @property
    def store(self) -> Store:
        """Where sessions with these options are stored."""
        return self._find_store()

    def data_of(self, record: Record) -> dict[Any, Any]:
        """Return what any record of the store holds.

        Raises any exception for a record that cannot be read.
        """
        payload = self.store.payload(record)
        return {} if payload is None else self._decode(payload)

    def _load_presented(self) -> bool:
        """Load the session that the visitor's cookie names, if any.

        Returns whether there is one.
        """
        id, position = self._presented_value(), 0
        self._has_cookie = bool(id)
        if id and self.secret:
            position = signing_key(id, self._secrets)
            self.bad_signature = position is None
            id = unsigned(id)
        if self.bad_signature or not is_id(id):
            return False
        self.id = id
        self.load()
        if position and not self.is_new:
            # The cookie is signed with a former secret.
            self._send_cookie()
        return not self.is_new

    # Beaker's own extension points

    def _create_id(self, set_new: bool = True) -> None:
        """Do nothing: an id is made when it is known to be needed."""

    def lock(self) -> None:
        """Wait until nobody else has locked the session, and lock it.

        It keeps those apart who lock it; ``unlock`` must follow.
        """
        self._acquire("")

    def _acquire(self, payload: str) -> None:
        if self._lock is None:
            lock = self.store.lock(self._stored_id or self.id, payload)
            lock.__enter__()
            self._lock = lock

    def unlock(self) -> None:
        """Let others lock the session."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.__exit__(None, None, None)

    def load(self) -> None:
        """Load what is stored under the id, or begin a new session there."""
        self._record = self.store.load(self.id)
        found = self._found(self._record)
        if found is None:
            self._stored_id = None
            self._begin()
            return
        self._hold(*found)
        self._stored_id = self.id
        self._scope = self.domain, self.path

    def invalidate(self) -> None:
        """Begin a new session under a new id, and end the former one."""
        self.was_invalidated = True
        self._started_anew = self._started_anew or self._stored_id is not None
        self._leave_record()
        self.id = new_id()
        self._begin()

    def regenerate_id(self) -> None:
        """Go on under a new id; ``save`` moves the record."""
        if self._deleted:
            self.invalidate()
        self.id = new_id()

    def _leave_record(self) -> None:
        if self._stored_id is not None:
            self._former_ids += (self._stored_id,)
        self._record = self._stored_id = None

    # Storing

    def save(self, accessed_only: bool = False) -> None:
        """Store the changes; with ``accessed_only`` those inside values.

        Raises StoreUnavailable, RecordTooLarge, and TypeError for a value
        that cannot be serialized.
        """
        task = self._task(accessed_only)
        if task is not None:
            task(self._mine(accessed_only))
            self._remove_former()

    def _mine(self, accessed_only: bool) -> dict[Any, Any]:
        return self.accessed_dict if accessed_only else dict(self)

    def _task(self, accessed_only: bool) -> Any:
        """Return the method that stores what there is, or None."""
        if self._deleted:
            return self._end
        if self._vanished:
            return None
        if self._stored_id is None:
            wanted = not accessed_only or self._started_anew
            return self._create if wanted else None
        if self.id != self._stored_id:
            return self._move
        if not accessed_only or self._has_changed_inside():
            return self._update
        due = self._record is not None and self._access_is_due()
        return self._touch if due else None

    def _end(self, mine: dict[Any, Any]) -> None:
        self._leave_record()
        if self.use_cookies and self._has_cookie:
            self._delete_cookie()

    def _remove_former(self) -> None:
        while self._former_ids:
            self.store.delete(self._former_ids[-1])
            self._former_ids = self._former_ids[:-1]

    def _create(self, mine: dict[Any, Any]) -> None:
        """Store a new session, also in place of one that has expired.

        It may be there already, if code has given the id.
        """
        payload = self._encode(mine)
        if self.store.swap(self.id, self._record, payload):
            self._stored(payload)
        else:
            self._record = None
            self._update(mine)
        self._send_cookie()

    def _update(self, mine: dict[Any, Any]) -> None:
        """Store changes, together with those of others."""
        for data, record in self._attempts(mine):
            payload = self._encode(data)
            if self.store.swap(self.id, record, payload):
                if (self.domain, self.path) != self._scope:
                    self._send_cookie()
                self._stored(payload if data is mine else self._encode(mine))
                return

    def _move(self, mine: dict[Any, Any]) -> None:
        """Store the session under its new id and nothing under the old one.

        It is there under one of the two at any time.  Where it was, a record
        says that it has ended, before that is removed, too: so a request
        whose answer was lost on its way can tell its own removal from that
        of somebody else.
        """
        ended = self._encode(
            {"_domain": None, "_path": "/", "_accessed_time": time.time()}
        )
        former_id, moved = self._stored_id, None
        for data, record in self._attempts(mine):
            payload = self._encode(data)
            self.store.swap(self.id, moved, payload)
            if self.store.swap(former_id, record, ended) or self._holds(
                former_id, ended
            ):
                self._former_ids += (former_id,)
                self._stored(payload if data is mine else self._encode(mine))
                self._send_cookie()
                return
            moved = self.store.load(self.id)
        self.store.delete(self.id)

    def _holds(self, id: str, payload: str) -> bool:
        record = self.store.load(id)
        return record is not None and self.store.payload(record) == payload

    def _touch(self, mine: dict[Any, Any]) -> None:
        """Store the time.  Who was faster has stored it, too.

        Who only reads can do without, as where a disk is full.
        """
        try:
            self.store.swap(self.id, self._record, self._encode(mine))
        except StoreUnavailable as error:
            logger.error("%s", error)

    def _attempts(self, mine: dict[Any, Any]) -> Any:
        """Yield what to store, and the record in whose place, again and again.

        It ends when the record has disappeared, which is logged.
        """
        record, data = self._record, mine
        if record is None:
            record = self.store.load(self._stored_id or self.id)
            data = self._merged(record, mine)
        for _ in range(_MOST_ATTEMPTS):
            if data is None:
                logger.info(
                    "A session ended while a request used it. "
                    "What the request changed in it is not kept."
                )
                self._record = self._stored_id = None
                self._vanished = True
                return
            yield data, record
            record = self.store.load(self._stored_id or self.id)
            data = self._merged(record, mine)
        raise StoreUnavailable(
            self.store.kind, self.store.address, "it never stores"
        )

    def _merged(
        self, record: Record | None, mine: dict[Any, Any]
    ) -> dict[Any, Any] | None:
        """Return what others have stored, with my changes; None if nothing."""
        found = self._found(record)
        if found is None:
            return None
        data = merge(found[0], self._difference(mine))
        data["_accessed_time"] = mine["_accessed_time"]
        return data

    def _found(
        self, record: Record | None
    ) -> tuple[dict[Any, Any], str] | None:
        if record is None:
            return None
        return self._read(lambda: self.store.payload(record))

    def _stored(self, payload: str) -> None:
        # A later save in the same request must load the record again.  It
        # compares with what this one knew, not with what others had done.
        self._record = None
        self._stored_id = self.id
        self._payload = payload
        self._started_anew = False
        self._scope = self.domain, self.path

    def _send_cookie(self) -> None:
        if self.use_cookies:
            self._update_cookie_out(set_cookie=True)

    # Storing in two phases.  See transaction.py.

    def prepare(self, accessed_only: bool) -> None:
        """Make sure that ``save`` will succeed, and nobody comes between.

        Raises what ``save`` does, and ConflictError if another request has
        changed what this one changed.  ``release`` must follow.
        """
        if self._task(accessed_only) in (None, self._touch):
            return
        try:
            self._acquire(self._encode(self._mine(accessed_only)))
        except StoreLocked:
            # Others may need what this transaction holds meanwhile.
            raise ConflictError("A session is locked.") from None
        if self._stored_id is not None and not self._deleted:
            record = self.store.load(self._stored_id)
            self._take_in(record, accessed_only)

    def release(self) -> None:
        """Let others come, too."""
        self.unlock()

    def _take_in(self, record: Record | None, accessed_only: bool) -> None:
        """Take in what others have stored since the session was loaded."""
        if self._record and record and record.raw == self._record.raw:
            self._record = record
            return
        found = self._found(record)
        if found is None:
            # It has ended; save will find that out, too.
            return
        theirs, payload = found
        mine = self._mine(accessed_only)
        changes = self._difference(mine)
        if changes.keys() & self._difference(theirs).keys():
            raise ConflictError(
                "Two requests of one visitor changed the same in the session."
            )
        times = {"_accessed_time": mine["_accessed_time"]}
        # What was not saved yet may be saved later.
        everything = merge(theirs, self._difference(dict(self)))
        self.accessed_dict = merge(theirs, changes) | times
        self._fill(everything | times)
        self._record = record
        self._payload = payload
