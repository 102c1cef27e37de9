"""What a cached value was made from, and how it is dropped.

A tag is a text, such as that of an object.  Its record in each store holds
the id of the last transaction that dropped it, and a value holds the id of
the snapshot that it was computed from.  The value is valid as long as its
snapshot is not older than any of its tags.  So nobody gets a value from
before a commit that they see, even if a Zope that does not see the commit yet
stores the value afterwards.

Ids of several databases cannot be compared.  So a tag has a record for each
database, and one for what was dropped at some time, without a commit.
"""

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from threading import local
from time import time
from typing import Any
from typing import NamedTuple

import transaction
from transaction.interfaces import IDataManagerSavepoint
from transaction.interfaces import ISavepointDataManager
from transaction.interfaces import ITransaction
from ZODB.Connection import Connection
from zope.interface import implementer

from collective.beaker.caching.debts import owe_number
from collective.beaker.caching.factory import regions_in_force
from collective.beaker.caching.names import name_of_tag
from collective.beaker.caching.region import MARK_SECONDS
from collective.beaker.caching.snapshots import connection_in_use
from collective.beaker.caching.snapshots import last_committed
from collective.beaker.caching.snapshots import name_of_database
from collective.beaker.caching.snapshots import number_of_time
from collective.beaker.interfaces import StoreUnavailable


Undo = Callable[[int | None], object]
"""Makes one value invalid, given the id of the commit that did it."""


def drop(*tags: str) -> None:
    """Drop all values with one of these tags, if the transaction commits.

    This holds for all regions and in all processes that share their stores.
    It is exact for what was read from the ZODB: no request that sees the
    commit gets a value from before it.  In a transaction that changes nothing
    there, the time of the commit counts instead of its id: values that were
    computed less than five seconds after it are dropped, too.

    Raises TypeError for a tag that is not a text.
    """
    for tag in tags:
        check_tag(tag)
    pending().tags.update(tags)


def check_tag(tag: Any) -> None:
    """Raise TypeError for a tag that is not a text."""
    if not isinstance(tag, str):
        raise TypeError(f"A tag is a text, and not {type(tag).__name__}.")


class Names(NamedTuple):
    """The names by which tags are dropped."""

    by_commit: tuple[str, ...]
    """By commits in one database; none without a database."""

    by_time: tuple[str, ...]
    """Without a commit."""


@lru_cache(maxsize=10_000)
def names_of_tags(tags: tuple[Any, ...], database: str) -> Names:
    """Return the names of tags; raise TypeError if one is not a text.

    They are remembered: the tags of one function are few.
    """
    for tag in tags:
        check_tag(tag)
    return Names(
        tuple(_names_by_commit(tags, database)),
        tuple(_names_by_time(tags)),
    )


def _names_by_commit(tags: Iterable[str], database: str) -> Iterator[str]:
    return (f"{database}\0{tag}" for tag in tags if database)


def _names_by_time(tags: Iterable[str]) -> Iterator[str]:
    return (f"\0{tag}" for tag in tags)


class _Ours(local):
    """The drops of the transactions that this thread is in.

    There is one at most, unless somebody has a transaction manager of their
    own.
    """

    def __init__(self) -> None:
        self.drops: list[PendingDrops] = []


ours = _Ours()
"""To look at before ``is_pending``, since it is empty most of the time."""


def pending() -> "PendingDrops":
    """Return the drops of the current transaction, which join it now."""
    connection = connection_in_use()
    manager = getattr(connection, "transaction_manager", None)
    current = (manager or transaction.manager).get()
    for drops in ours.drops:
        if drops.transaction is current:
            return drops
    drops = PendingDrops(current)
    current.join(drops)
    ours.drops.append(drops)
    return drops


def is_pending(tags: Iterable[str], value: Hashable) -> bool:
    """Tell whether the transaction has dropped a tag or a value.

    Then it has to see its own changes, which nobody else may see yet.
    """
    return any(
        value in drops.values or not drops.tags.isdisjoint(tags)
        for drops in ours.drops
    )


@implementer(ISavepointDataManager)
class PendingDrops:
    """What a transaction drops if, and only if, it commits."""

    transaction_manager = transaction.manager

    def __init__(self, current: ITransaction):
        self.transaction = current
        self.tags: set[str] = set()
        self.values: dict[Hashable, tuple[Connection | None, Undo]] = {}
        """How each value is made invalid, and where it was computed from."""

        self._changed: list[Connection] = []

    def tpc_begin(self, transaction: ITransaction) -> None:
        """Nothing is done before all others have voted."""

    def commit(self, transaction: ITransaction) -> None:
        """See tpc_begin."""

    def tpc_vote(self, transaction: ITransaction) -> None:
        """Drop what is older than the commit will be.

        So nobody who sees the commit finds such a value, not even in the
        moment until ``tpc_finish``, or if this process is killed in it.
        """
        self._changed = _changed_in(transaction)
        self._drop_before(lambda connection: last_committed(connection) + 1)

    def tpc_finish(self, transaction: ITransaction) -> None:
        """Drop what was stored since, from snapshots without the commit."""
        if self._changed:
            self._drop_before(last_committed)
        else:
            names = _names_by_time(self.tags)
            raise_tags(names, number_of_time(time()))
        for connection, undo in self.values.values():
            if connection not in self._changed:
                # It takes no note of an earlier commit away.
                undo(connection and last_committed(connection))
        self._forget()

    def tpc_abort(self, transaction: ITransaction) -> None:
        self._forget()

    def abort(self, transaction: ITransaction) -> None:
        self._forget()

    def sortKey(self) -> str:
        # The last, so that the databases have committed before.
        return "~~collective.beaker.caching"

    def savepoint(self) -> "DropsSavepoint":
        return DropsSavepoint(self)

    def _drop_before(self, number_of: Callable[[Connection], int]) -> None:
        for connection in self._changed:
            number = number_of(connection)
            database = name_of_database(connection)
            raise_tags(_names_by_commit(self.tags, database), number)
            for computed_from, undo in self.values.values():
                if computed_from is connection:
                    undo(number)

    def _forget(self) -> None:
        self.tags.clear()
        self.values.clear()
        with suppress(ValueError):
            ours.drops.remove(self)


@implementer(IDataManagerSavepoint)
class DropsSavepoint:
    """What was dropped until some time."""

    def __init__(self, drops: PendingDrops):
        self._drops = drops
        self._tags = set(drops.tags)
        self._values = dict(drops.values)

    def rollback(self) -> None:
        self._drops.tags = set(self._tags)
        self._drops.values = dict(self._values)


def _changed_in(current: ITransaction) -> list[Connection]:
    """Return the connections with changes that a transaction commits."""
    # It has no public way to list what has joined it.
    return [
        resource
        for resource in current._resources
        if isinstance(resource, Connection)
    ]


def raise_tags(names: Iterable[str], number: int) -> None:
    """Make values from snapshots before this number invalid.

    Nothing is raised.  If a store fails, that is logged, and it is told as
    soon as it is back.
    """
    records = [name_of_tag(name) for name in names]
    if not records:
        return
    done: set[int] = set()
    for region in regions_in_force():
        try:
            if id(region.store) in done:
                continue
            done.add(id(region.store))
            region.store.raise_numbers(records, number, MARK_SECONDS)
        except StoreUnavailable as error:
            region.failed("keeps values that were dropped", str(error))
            owe_number(region, records, number, MARK_SECONDS)
