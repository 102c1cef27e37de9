"""Which state of the ZODB a transaction sees: the snapshot in use.

A ZODB connection shows the database as it was at one moment, until the
transaction ends.  The moment has a number: the id of the last transaction
that the connection shows.  These ids only grow, so they tell which of two
snapshots is older.  Each database counts for itself.

Where there is no ZODB, or its storage does not tell, the time takes the place
of an id.  Clocks differ, so there is a margin then.
"""

import time
from typing import Any

import transaction
from persistent.timestamp import TimeStamp
from ZODB.Connection import Connection
from ZODB.utils import u64
from zope.component.hooks import getSite
from zope.globalrequest import getRequest


MARGIN_SECONDS = 5.0
"""How far clocks may differ, where the time takes the place of an id."""

Others = tuple[tuple[str, int | None], ...]
"""The names of databases, each with the id of its snapshot."""


class Snapshot:
    """What the current transaction sees of a database.

    ``others`` are the snapshots of other databases, if they matter.
    """

    def __init__(
        self, connection: Connection | None, others: Others | None = None
    ):
        self._connection = connection
        self._others = others

    @property
    def tid(self) -> int:
        """The id of the last transaction that it includes."""
        if self._connection is None:
            return self.time
        tid = _tid_of(self._connection)
        return self.time if tid is None else tid

    @property
    def latest(self) -> int:
        """The id of the last transaction that the storage knows of."""
        if self._connection is None:
            return self.tid
        return max(self.tid, last_committed(self._connection))

    @property
    def time(self) -> int:
        """The time, less the margin, in the form of an id."""
        return number_of_time(time.time() - MARGIN_SECONDS)

    @property
    def is_clean(self) -> bool:
        """Whether the transaction sees only what is committed."""
        return self._connection is None or not has_changes(self._connection)

    @property
    def commit(self) -> int | None:
        """The id, or None without a ZODB."""
        return None if self._connection is None else self.tid

    def is_still_clean(self) -> bool:
        """Tell whether only what is committed was seen until now.

        If others matter, it must also be what was seen of them in the
        beginning.
        """
        if not self.is_clean:
            return False
        if self._others is None:
            return True
        return self._others == other_snapshots(self._connection) and all(
            tid is not None for _, tid in self._others
        )


def snapshot_in_use() -> Snapshot:
    """Return what the current transaction sees."""
    return Snapshot(connection_in_use())


def connection_in_use() -> Connection | None:
    """Return the connection of the site, or else that of the request.

    Code that has neither uses what it has opened in this thread.
    """
    connection = getattr(getSite(), "_p_jar", None)
    if connection is None:
        connection = getattr(_application(), "_p_jar", None)
    return _opened_by_code() if connection is None else connection


def _application() -> Any:
    """Return the root object from which the request was traversed."""
    request = getRequest()
    if request is None:
        return None
    parents = getattr(request, "other", {}).get("PARENTS")
    return parents[-1] if parents else None


def _opened_by_code() -> Connection | None:
    """Return the connection that is open in this thread, if there is one.

    It is not that of a mount point, but the one from which it was opened.
    """
    # An open connection listens to the transactions of its thread.  There is
    # no public way to know who does.
    listeners = transaction.manager.manager._synchs.as_weakref_list()
    opened = [
        next(iter(each.connections.values()))
        for each in (listener() for listener in listeners)
        if isinstance(each, Connection)
    ]
    return min(opened, key=name_of_database, default=None)


def has_changes(connection: Connection) -> bool:
    """Tell whether the transaction has changed something in a database."""
    # With the first change a connection joins the transaction.  There is no
    # public way to know that.
    return not all(
        each._needs_to_join for each in connection.connections.values()
    )


def name_of_database(connection: Connection | None) -> str:
    """Return the name of a database in ``zope.conf``; "" without a ZODB."""
    if connection is None:
        return ""
    name: str = connection.db().database_name
    return name


def other_snapshots(connection: Connection | None) -> Others:
    """Return the ids of the snapshots of other databases in use.

    There are none without mount points.
    """
    if connection is None or len(connection.connections) == 1:
        return ()
    return tuple(
        (name, _tid_of(each))
        for name, each in sorted(connection.connections.items())
        if each is not connection and each.opened is not None
    )


def _tid_of(connection: Connection) -> int | None:
    """Return the id of the snapshot that a connection shows.

    Storages have no public way to tell it.
    """
    if connection.before:
        # A connection to the past shows what is older than this.
        past: int = u64(connection.before) - 1
        return past
    storage = connection._normal_storage
    # ZODB's own adapter, which serves FileStorage and ZEO, shows what is
    # older than this.
    start = getattr(storage, "_start", None)
    if start is not None:
        tid: int = u64(start) - 1
        return tid
    # RelStorage has polled this in the snapshot of its own database.
    visible: int | None = getattr(storage, "highest_visible_tid", None)
    return visible


def last_committed(connection: Connection) -> int:
    """Return the id of the last transaction that a connection knows of.

    Just after a commit it is the id of this, or of a later one.
    """
    last: int = u64(connection._normal_storage.lastTransaction())
    if _tid_of(connection) is None:
        return max(last, number_of_time(time.time()))
    return max(last, _last_in_database(connection._normal_storage))


def _last_in_database(storage: Any) -> int:
    """Return the id of the last transaction in RelStorage's database, or 0.

    RelStorage itself knows only what it sees: what others have committed
    since, it does not tell before the next transaction.  So this asks outside
    of the snapshot, for which there is no public way.  Other storages are
    told by those who commit.
    """
    pool = getattr(storage, "_store_connection_pool", None)
    if pool is None:
        return 0
    try:
        if storage.isReadOnly():
            # Its user may be allowed to read only.
            return int(_asked_once(storage._adapter))
        with pool.borrowing() as borrowed:
            return int(storage._adapter.txncontrol.get_tid(borrowed.cursor))
    except Exception:
        # All that anybody can have committed.  It may be asked after a
        # commit, when nothing may fail any more.
        return number_of_time(time.time())


def _asked_once(adapter: Any) -> int:
    """Return the id of the last transaction, by a connection of its own."""
    connection, cursor = adapter.connmanager.open_for_load()
    try:
        tid: int = adapter.txncontrol.get_tid(cursor)
    finally:
        adapter.connmanager.rollback_and_close(connection, cursor)
    return tid


def number_of_time(seconds: float) -> int:
    """Return what a storage would make of a time: an id."""
    minute = time.gmtime(seconds)[:5]
    number: int = u64(TimeStamp(*minute, seconds % 60).raw())
    return number
