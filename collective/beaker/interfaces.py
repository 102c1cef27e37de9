"""The public contracts of collective.beaker.

This module is the reference: it says what each component does, when a method
is called and what it raises.  Implementations only name the interface that
they provide.
"""

# Methods of an interface have neither a self nor a body.
# mypy: disable-error-code="misc, empty-body"

import math
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import Any
from typing import NamedTuple

from beaker.cache import Cache
from zope.interface import Attribute
from zope.interface import Interface
from zope.interface.common.collections import IMutableMapping


ENVIRON_KEY = "beaker.session"
"""The key of a request's session in ``request.environ``.

It is the key that Beaker's ``SessionMiddleware`` uses, so that code written
for the middleware finds the session of this package, too.
"""


class StoreUnavailable(Exception):
    """A store of sessions or of a cache cannot be used at the moment.

    The message names the backend, its address without credentials, and the
    reason.
    """

    def __init__(self, kind: str, address: str, reason: str):
        super().__init__(kind, address, reason)

    def __str__(self) -> str:
        kind, address, reason = self.args
        return f"The store {kind} ({address}) fails: {reason}."


class StoreLocked(StoreUnavailable):
    """Another request holds the lock of a session for too long."""


class StoreFull(StoreUnavailable):
    """The disk of a store takes nothing more."""


class RecordTooLarge(ValueError):
    """A session is larger than its store allows.

    The message names the limit, the size and the remedy.
    """


class Record(NamedTuple):
    """What a store holds for one session."""

    raw: Any
    """What is stored: bytes, or text if the store keeps text."""

    version: Any = None
    """What a swap compares, if that is not ``raw``."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Leftover(Enum):
    """What killed processes leave behind."""

    LOCK = "lock"
    TEMPORARY_FILE = "temporary file"


class IStore(Interface):
    """A place where sessions are stored, each as one record.

    Reading and decoding are two steps: a store returns what is stored, and
    raises ``StoreUnavailable`` if it cannot be reached.  If it let somebody
    wait in vain, it raises that at once for the next few seconds.  An ``id``
    has the form of session ids.
    """

    kind = Attribute("The name of the backend, such as ext:redis.")
    address = Attribute("Where it is, without credentials.")

    def load(id: str) -> Record | None:
        """Return the record of a session, or None if there is none."""

    def payload(record: Record) -> str | None:
        """Return the text that a record holds, or None if it holds none.

        Nothing in a record is executed.  Raises any exception for a record
        that cannot be read.
        """

    def swap(
        id: str,
        old: Record | None,
        new: str | None,
        seconds: int | None = None,
    ) -> bool:
        """Store the text ``new`` if the record is still ``old``.

        Returns whether it was.  ``old`` comes from ``load``; None means that
        there is no record yet.  If ``new`` is None, the record is removed.
        With ``seconds``, the store may forget it after that time, and not
        after that of sessions.  Raises ``RecordTooLarge``.
        """

    def delete(id: str) -> None:
        """Remove a record, if there is one."""

    def reachable_id(id: str) -> str:
        """Return an id for a new session that can be stored.

        That is the given one, unless it selects one of several servers, and
        that one does not answer.
        """

    def walk() -> Iterator[tuple[str, Record]]:
        """Yield the id and the record of each stored session.

        Raises ``NotImplementedError`` if a store cannot list them.
        """

    def lock(id: str, payload: str = "") -> AbstractContextManager[None]:
        """Return a context in which nobody else holds this lock.

        It only keeps out others who ask for the lock, and stops no swap.  If
        the lock is a record itself, it is as large as ``payload``, so that
        what is too large for the store is refused now.  Raises as ``swap``.
        """

    # An index, which says which sessions are marked as a user's.  It is a
    # hint: a session may be missing, or no longer be there.

    has_index = Attribute(
        "Whether the store has an index. Without one, nothing is noted in it."
    )

    def add_to_index(mark: str, id: str) -> None:
        """Note that the session with this id has this mark.

        It is forgotten no sooner than the session, if that expires.
        """

    def find_in_index(mark: str) -> Sequence[str] | None:
        """Return the ids of the sessions that were noted for a mark.

        None means that there is no index, none yet, or something else in
        its place.
        """

    def remove_from_index(mark: str, ids: Sequence[str]) -> None:
        """Forget some of the sessions that were noted for a mark."""

    # For maintenance

    place = Attribute(
        "A hashable value. It is the same for two stores of one class only if "
        "they keep their records in the same place."
    )

    def walk_all() -> Iterator[tuple[str, Record]]:
        """Yield names and records as ``walk``, including those of locks.

        Some stores may yield a record twice.
        """

    def estimate() -> int | None:
        """Return roughly how many records and files there are, or None."""

    def is_free(lease: Record) -> bool:
        """Tell whether nobody holds a lock, given its record."""

    def remove(records: Sequence[tuple[str, Record]]) -> int:
        """Remove those of several records that have not changed.

        ``records`` are names and records, as ``walk_all`` yields them.
        Returns how many were removed.
        """

    def clean_up(dry_run: bool = False) -> Iterator[Leftover | None]:
        """Remove what killed processes have left beside the records.

        Yields a ``Leftover`` for each item that was removed, or would be with
        ``dry_run``, and None for each item that must stay.
        """

    def take_turn(owner: str, seconds: float) -> bool:
        """Tell whether it is the owner's turn to maintain the store.

        If so, nobody else has a turn for this many seconds.  The same owner
        can take the turn again, which extends it to this many seconds from
        now on.
        """


class Claim(NamedTuple):
    """The right to compute one value, which a store of values gave."""

    name: str
    """The name of the value."""

    token: str
    """By which the store recognises the claim."""

    version: Any = None
    """What the store compares when the claim is settled, if it needs that."""


class Size(NamedTuple):
    """How much a store of values holds."""

    entries: int

    bytes: int | None
    """None if the store cannot tell, or keeps objects, which have no size."""


class IValueStore(Interface):
    """A place where caches keep values, each as one record.

    A name is a short text: at most 120 characters of ``a-z``, ``0-9`` and
    ``:``.  A record is bytes, or any object if the store ``keeps_objects``.
    Records that belong to values, such as tags, are records like any other.

    ``seconds`` say how long a record is kept; None means without an end.  A
    store may forget a record sooner at any time.  Redis and memcached keep
    nothing without an end: None is 30 days there.

    Every method may raise ``StoreUnavailable``, and nothing else if a store
    cannot do what it should: it is down, hangs, is full or read-only, or a
    record is too large for it.

    Who computes a value has a claim on it, so that nobody else computes it.
    A claim ends by itself after some seconds, unless it is renewed.  It is no
    longer good as soon as somebody puts or deletes the value, so that nothing
    is stored which was computed before that.
    """

    kind = Attribute("The name of the backend, such as ext:redis.")
    address = Attribute("Where it is, without credentials.")
    keeps_objects = Attribute("Whether records are objects, and not bytes.")
    place = Attribute(
        "A hashable value. It is the same for two stores of one class only if "
        "they keep their records in the same place."
    )

    def get(names: Sequence[str]) -> dict[str, Any]:
        """Return those of these records that are there and have not ended.

        This is one round trip to a server.
        """

    def claim(
        name: str, names: Sequence[str], seconds: float
    ) -> tuple[Claim | None, dict[str, Any]]:
        """Ask for the right to compute a value, and read records.

        The claim is None if somebody else computes the value.  The records
        are read as by ``get``, and after the claim was made, so that what the
        one before has stored is among them.  ``names`` contain the ``name``.
        """

    def renew(claim: Claim, seconds: float) -> bool:
        """Let a claim last this many seconds from now on.

        Returns False if it is no longer good.
        """

    def settle(
        claim: Claim,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any] = {},
    ) -> bool:
        """Store the value that was computed, and end the claim.

        Stores nothing and returns False if the value was put, deleted or
        settled by somebody else since it was claimed.  A claim that has ended
        without that is good on some stores, and not on others.

        The records to ``keep`` are stored with the value, in the same round
        trip.  One that is there already stays, and lives at least as long as
        the value.
        """

    def give_up(claim: Claim) -> None:
        """End a claim without a value."""

    def put(
        name: str,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any] = {},
    ) -> None:
        """Store a value in any case.

        A claim on it is no longer good.  ``keep`` is as for ``settle``.
        """

    def delete(names: Sequence[str]) -> None:
        """Remove records, if they are there.

        Claims on them are no longer good.
        """

    def raise_numbers(
        names: Sequence[str], number: int, seconds: float | None
    ) -> None:
        """Store a number under each name unless a larger one is there.

        It takes the place of any other record and ends a claim.  It consists
        of 16 hexadecimal digits, is bytes in all stores, and is kept for at
        least ``seconds``.  If it raises, some numbers may be stored already.
        """

    # For maintenance

    def walk(prefix: str = "") -> Iterator[str]:
        """Yield the names of the records that begin with a prefix.

        Raises ``NotImplementedError`` if a store cannot list them.
        """

    def clear(prefix: str = "") -> int:
        """Remove the records that begin with a prefix; return their number.

        Claims on them are no longer good.  Raises ``NotImplementedError`` if
        a store cannot list its records.
        """

    def sweep(dry_run: bool = False) -> Iterator[int]:
        """Remove the records and claims that have ended.

        This goes step by step.  It yields after each step how many records
        were removed, or would be with ``dry_run``.
        """

    def size(prefix: str = "", seconds: float = math.inf) -> Size | None:
        """Return what the records that begin with a prefix amount to.

        None if the store cannot tell, or not within so many seconds.
        """


class ISession(IMutableMapping):
    """The session of one visitor, as seen by one request.

    ``ISession(request)`` returns it, always the same object for one request.
    Nothing is read from the store before the session is first used.

    It is a mutable mapping whose keys are strings by convention.  A change is
    kept if ``save`` is called or the option ``auto`` is on.  A change inside
    a stored value is kept without either.  Changes are stored key by key, so
    that requests that run at the same time keep each other's changes.

    The keys ``_creation_time``, ``_accessed_time``, ``_domain``, ``_path``
    and ``_id`` are Beaker's own, and ``_user`` and ``_client`` are those of
    this package.  They appear among the others, and may be removed like them,
    but are stored all the same.  To assign to one of them raises
    ``ValueError``; ``update`` and ``|=`` leave them out.

    Any use may raise ``zExceptions.HTTPServiceUnavailable``, if the store
    cannot be reached.

    A session is true, even if it is empty or new, so that
    ``if session and key in session`` works.
    """

    id = Attribute("The session's identifier, a string of hexadecimal digits.")
    is_new = Attribute("True if no stored session was found for the visitor.")
    created = Attribute("When the session was created: seconds since 1970.")
    last_accessed = Attribute(
        "When the session was last used before this request: seconds since "
        "1970, or None for a new session. It may lag behind by as many "
        "seconds as the option resolution_seconds says."
    )
    domain = Attribute("The Domain of the cookie, or None. It may be set.")
    path = Attribute("The Path of the cookie. It may be set.")

    def accessed() -> bool:
        """Tell whether this request has used the session."""

    def save() -> None:
        """Keep the changes of this request.

        They are stored when the request ends, whether it succeeds, redirects
        or fails, but not if Zope retries it.  With the option
        ``transactional`` they are stored only if the transaction of the
        request is committed.  After that they are stored at once, also by
        ``delete``, ``invalidate`` and ``regenerate_id``, unless a cookie is
        needed that the response cannot take any more.

        When they are stored, a value that cannot be stored raises
        ``TypeError``, and too much data raises ``RecordTooLarge``.
        """

    def delete() -> None:
        """End the session and remove its cookie from the visitor's browser.

        The record is removed when the request ends.  Values that are assigned
        after this are not kept.
        """

    def invalidate() -> None:
        """End the session and start a new, empty one under a new id.

        The old id no longer leads to a session.  A request that still has it
        stores nothing for a while, as after ``regenerate_id``.
        """

    def regenerate_id() -> None:
        """Give the session a new id and keep its data.

        The old id no longer leads to a session.  A request that still has it
        stores nothing for a while, and ends this session if it ends its own.
        Call this when a visitor logs in, as a protection against session
        fixation (OWASP).
        """

    def get_by_id(id: str) -> "ISession | None":
        """Return another stored session, or None if there is none.

        The result provides ``ISession``, too.  Its ``save``, ``delete`` and
        ``invalidate`` take effect at once, whether or not the request
        succeeds.  For sessions in cookies the result is always None.
        """

    def has_key(key: str) -> bool:
        """Tell whether there is such a key, as ``in`` does."""

    def set(key: str, value: Any) -> None:
        """Assign a value and save, as code for Zope's own sessions expects."""


class ISessionConfig(Interface):
    """The session options: a mutable mapping from option names to values.

    The names are Beaker's, without the prefix ``session.``.  The options are
    looked up when a request first uses its session.  A change takes effect
    from the next request on.  To override the options from zope.conf, register
    another utility, globally or in a local site.
    """


class ICacheManager(Interface):
    """A ``beaker.cache.CacheManager``, configured from zope.conf."""

    def get_cache(name: str, **options: Any) -> Cache:
        """Return the ``beaker.cache.Cache`` with this name.

        Options given here (``type``, ``expire`` in seconds, …) override those
        of zope.conf.
        """

    def get_cache_region(name: str, region: str) -> Cache:
        """Return the cache with this name and the options of a region.

        Raises ``beaker.exceptions.BeakerException`` for an unknown region.
        """
