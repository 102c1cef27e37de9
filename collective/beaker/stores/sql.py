"""Sessions in a table of a relational database."""

import logging
import os
import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any
from typing import TypeVar

import sqlalchemy
from sqlalchemy import URL
from sqlalchemy import BindParameter
from sqlalchemy import Column
from sqlalchemy import ColumnElement
from sqlalchemy import Connection
from sqlalchemy import Engine
from sqlalchemy import Executable
from sqlalchemy import LargeBinary
from sqlalchemy import Table
from sqlalchemy import TypeDecorator
from sqlalchemy import bindparam
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite

from collective.beaker.hidden import HiddenBytes
from collective.beaker.hidden import HiddenText
from collective.beaker.interfaces import Record
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.settings.backends import sqlite_file
from collective.beaker.stores.base import Store
from collective.beaker.stores.base import is_record_name
from collective.beaker.stores.container import UNREADABLE
from collective.beaker.stores.container import pack
from collective.beaker.stores.container import unpack_namespace
from collective.beaker.stores.failures import reason_of
from collective.beaker.stores.private import exists
from collective.beaker.stores.private import make_file
from collective.beaker.stores.sql_waits import limit_waits


logger = logging.getLogger("collective.beaker")

_CONNECT_TIMEOUT = {
    "mysqlconnector": "connection_timeout",
    "mysqldb": "connect_timeout",
    "pg8000": "timeout",
    "psycopg": "connect_timeout",
    "psycopg2": "connect_timeout",
    "pymysql": "connect_timeout",
    "pysqlite": "timeout",
}
"""The argument of each driver for the seconds to wait for a server."""

_POSTGRESQL = ("psycopg", "psycopg2")
"""Drivers that know the options of libpq, and wait for as long as it takes for
a server that is connected and hangs."""

_STALE_SECONDS = 1
"""The time within which a stale connection shows that it is stale."""

_BATCH = 200
"""How many rows are read at once."""

_LARGEST_SHARE = 1024 * 1024
"""How many bytes every server accepts in one statement."""

_MOST_ATTEMPTS = 20
"""How often a statement that conflicts with others is executed."""

_CONFLICTS = frozenset([1205, 1213, "40001", "40P01"])
"""The codes of conflicts: lock waits and deadlocks of MySQL and MariaDB, and
serialization failures and deadlocks in standard SQL and PostgreSQL."""

_SQLITE_BUSY = "database is locked"
"""The error of SQLite if another process holds the lock for too long.  Before
Python 3.11, it has no code."""

_CODES = ("sqlstate", "pgcode", "sqlite_errorname")
"""The attributes in which drivers of PostgreSQL and SQLite keep the code of an
error.  SQLite's exists since Python 3.11."""

_AUTOCOMMIT = {"isolation_level": "AUTOCOMMIT"}

_Values = dict[str, Any]
"""The parameters of a statement."""

_Result = TypeVar("_Result")


class Raw(TypeDecorator[bytes]):
    """Data as they are stored; Beaker's own type would unpickle them.

    They are hidden, since SQLAlchemy logs each row that it reads.  SQLite
    lets a column hold values of any type.
    """

    impl = LargeBinary
    cache_ok = True

    def result_processor(
        self, dialect: Any, coltype: Any
    ) -> Callable[[Any], bytes]:
        return _as_bytes


def _as_bytes(value: Any) -> bytes:
    """Return data as a driver returns them; nothing for other values."""
    is_data = isinstance(value, bytes | bytearray | memoryview)
    return HiddenBytes(value if is_data else UNREADABLE.raw)


class _Id(TypeDecorator[str]):
    """The id of a session."""

    impl = sqlalchemy.String
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> str:
        return HiddenText(value)


class _Statements:
    """All statements on one table, built once: SQLAlchemy is slow at it."""

    def __init__(self, table: Table, dialect: str):
        self._id = id = sqlalchemy.type_coerce(table.c.namespace, _Id)
        self._data = data = sqlalchemy.type_coerce(table.c.data, Raw)
        new = bindparam("new", type_=Raw)
        now: BindParameter[datetime] = bindparam("now")
        # A parameter must not have the name of a column.
        key: BindParameter[str] = bindparam("session_id")
        old: BindParameter[bytes] = bindparam("old")
        this = id == key
        same = self.matches(key, old)
        self.select = sqlalchemy.select(data).where(this)
        self.select_some = (
            sqlalchemy.select(id, data)
            .where(id > bindparam("after"))
            .order_by(id)
            .limit(_BATCH)
        )
        values = {"namespace": key, "data": new}
        values |= {"accessed": now, "created": now}
        self.insert = (
            _insert_into(table, dialect)
            .inline()
            .values(**values)
            .execution_options(preserve_rowcount=True)
        )
        self.update = table.update().where(same).values(data=new, accessed=now)
        self.delete = table.delete().where(this)
        self.delete_same = table.delete().where(same)

    def matches(
        self, id: str | BindParameter[str], data: bytes | BindParameter[bytes]
    ) -> ColumnElement[bool]:
        """Return the condition that a row holds these data."""
        return (self._id == id) & (self._data == data)


class _IndexStatements:
    """The table of the index, and all statements on it."""

    def __init__(self, sessions: Table, dialect: str):
        self.table = Table(
            f"{sessions.name}_users",
            sqlalchemy.MetaData(),
            Column("user_mark", _Id(64), primary_key=True),
            Column("session_id", _Id(64), primary_key=True),
            schema=sessions.schema,
        )
        mark: BindParameter[str] = bindparam("mark")
        id: BindParameter[str] = bindparam("id")
        columns = self.table.c
        self.insert = (
            _insert_into(self.table, dialect)
            .inline()
            .values(user_mark=mark, session_id=id)
        )
        of_mark = columns.user_mark == mark
        self.select = sqlalchemy.select(columns.session_id).where(of_mark)
        ids: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
        self.delete = self.table.delete().where(
            of_mark & columns.session_id.in_(ids)
        )
        row = sqlalchemy.tuple_(columns.user_mark, columns.session_id)
        self.select_some = (
            sqlalchemy.select(columns.user_mark, columns.session_id)
            .where(row > sqlalchemy.tuple_(mark, id))
            .order_by(columns.user_mark, columns.session_id)
            .limit(_BATCH)
        )


def _insert_into(table: Table, dialect: str) -> sqlalchemy.Insert:
    """Return an insert that leaves a row alone that is there already.

    Otherwise, PostgreSQL would write an error to its log, with the id.  The
    statement of MySQL and MariaDB would also cut data that are too large.
    """
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return table.insert()


class SqlStore(Store):
    """Keeps records as Beaker's ext:database and ext:sqla do.

    The engine must commit each statement at once.  A swap is an update of the
    row that still holds the old data.

    The index is a table of its own, as Beaker's must stay as it is.  It is
    made when it is first needed.
    """

    failures = (exc.SQLAlchemyError, OSError)

    def __init__(self, kind: str, engine: Engine, table: Table):
        address = engine.url.render_as_string(hide_password=True)
        super().__init__(kind, address)
        self._database = Database(engine, table)
        self._table = table
        self._statements = _Statements(table, engine.dialect.name)
        self._of_index = _IndexStatements(table, engine.dialect.name)
        self._index = Database(engine, self._of_index.table)
        self.has_index = True
        self.time_outs = self._database.time_outs

    def after_fork(self) -> None:
        super().after_fork()
        self._database.after_fork()

    def _reason(self, error: BaseException) -> str:
        return sql_reason_of(error)

    def payload(self, record: Record) -> str | None:
        return unpack_namespace(record.raw)

    def _load(self, id: str) -> Record | None:
        if not self._database.has_table():
            return None
        select = self._statements.select
        values = {"session_id": id}
        row = self._database.run(
            lambda use: use.execute(select, values).first()
        )
        return None if row is None else Record(row[0])

    def _swap(self, id: str, old: Record | None, new: str | None) -> bool:
        if old is None:
            return new is None or self._insert(id, new)
        same = {"session_id": id, "old": old.raw}
        if new is None:
            return self._changes_one(self._statements.delete_same, same)
        values = {"new": _packed(new), "now": datetime.now()}
        return self._changes_one(self._statements.update, same | values)

    def _insert(self, id: str, new: str) -> bool:
        self._database.make_table()
        values = {"session_id": id, "new": _packed(new), "now": datetime.now()}
        try:
            return self._changes_one(self._statements.insert, values)
        except exc.IntegrityError:
            return False

    def _changes_one(self, statement: Executable, values: _Values) -> bool:
        try:
            number = self._database.run(
                lambda use: use.execute(statement, values).rowcount
            )
        except exc.DataError:
            raise RecordTooLarge(
                "A session is larger than the column 'data' of the database "
                "table allows (64 kB in MySQL and MariaDB). Store less in "
                "sessions, or alter the column to LONGBLOB."
            ) from None
        return number == 1

    def _delete(self, id: str) -> None:
        if not self._database.has_table():
            return
        delete, values = self._statements.delete, {"session_id": id}
        self._database.run(lambda use: use.execute(delete, values).rowcount)

    def _walk(self) -> Iterator[tuple[str, Record]]:
        if not self._database.has_table():
            return
        name = ""
        # A table of any size is read in batches.
        while rows := self._rows(self._statements.select_some, after=name):
            for name, raw in rows:
                if is_record_name(name):
                    yield name, Record(raw)

    def _rows(
        self, query: Executable, **values: Any
    ) -> Sequence[Sequence[Any]]:
        return self._database.run(lambda use: use.execute(query, values).all())

    def _add_to_index(self, mark: str, id: str) -> None:
        if not self._can_make_index():
            return
        insert, values = self._of_index.insert, {"mark": mark, "id": id}
        # It may be there already.
        with suppress(exc.IntegrityError):
            self._index.run(partial(_execute, insert, values))

    def _can_make_index(self) -> bool:
        """Make the table of the index; tell whether it is there."""
        try:
            self._index.make_table()
        except exc.SQLAlchemyError as error:
            # This raises another error if the database does not answer.
            self.has_index = self._index.has_table()
            if not self.has_index:
                logger.warning(
                    "The table %s cannot be made (%s). Until it is there and "
                    "Zope is restarted, all sessions are read to find those "
                    "of one user.",
                    self._of_index.table.fullname,
                    self._reason(error),
                )
        return self.has_index

    def _find_in_index(self, mark: str) -> Sequence[str] | None:
        if not self._index.has_table():
            return None
        return [id for (id,) in self._rows(self._of_index.select, mark=mark)]

    def _remove_from_index(self, mark: str, ids: Sequence[str]) -> None:
        if not self._index.has_table():
            return
        delete = self._of_index.delete
        for start in range(0, len(ids), _BATCH):
            values = {"mark": mark, "ids": ids[start : start + _BATCH]}
            self._index.run(partial(_execute, delete, values))

    def _walk_index(self) -> Iterator[tuple[str, Sequence[str]]]:
        if not self._index.has_table():
            return
        mark = id = ""
        query = self._of_index.select_some
        while rows := self._rows(query, mark=mark, id=id):
            mark, id = rows[-1]
            for of_mark, found in groupby(rows, itemgetter(0)):
                yield of_mark, [id for _, id in found]

    @property
    def place(self) -> Hashable:
        return self._database.place

    def _remove_unchanged(self, records: Sequence[tuple[str, Record]]) -> int:
        # One statement for many, since each is a slow transaction.
        return sum(map(self._remove_share, _shares(records)))

    def _remove_share(self, records: Sequence[tuple[str, Record]]) -> int:
        same = (
            self._statements.matches(name, record.raw)
            for name, record in records
        )
        delete = self._table.delete().where(sqlalchemy.or_(*same))
        return self._database.run(lambda use: use.execute(delete).rowcount)

    def _estimate(self) -> int:
        if not self._database.has_table():
            return 0
        query = sqlalchemy.select(sqlalchemy.func.count())
        number: int
        ((number,),) = self._rows(query.select_from(self._table))
        return number


def _execute(statement: Executable, values: _Values, use: Connection) -> None:
    use.execute(statement, values)


class Database:
    """A table of a database, and how to use it."""

    def __init__(self, engine: Engine, table: Table):
        self._engine = engine
        self._table = table
        self._table_exists = False
        # SQLite would create the file readable by everyone.
        self._file = sqlite_file(engine.url)
        self.time_outs: tuple[type[Exception], ...] = (
            TimeoutError,
            exc.TimeoutError,
            *_time_outs_of(engine),
        )

    def after_fork(self) -> None:
        """Leave connections to the process that was forked."""
        # What SQLite has in memory only is gone without its connection.
        if self._file or self._engine.dialect.name != "sqlite":
            self._engine.dispose(close=False)

    @property
    def place(self) -> Hashable:
        url, table = self._engine.url, self._table
        server = (url.host, url.port, url.database)
        file = self._file and os.path.realpath(self._file)
        return file or server, table.schema, table.name

    def has_table(self) -> bool:
        if self._file and not exists(self._file):
            return False
        if not self._table_exists:
            self._table_exists = self.run(self._finds_table)
        return self._table_exists

    def _finds_table(self, use: Connection) -> bool:
        name, schema = self._table.name, self._table.schema
        return sqlalchemy.inspect(use).has_table(name, schema=schema)

    def make_table(self) -> None:
        if self.has_table():
            return
        if self._file:
            make_file(self._file)
        try:
            self.run(self._table.create)
        except exc.SQLAlchemyError:
            # Another process may have been faster.
            if not self.has_table():
                raise

    def run(self, work: Callable[[Connection], _Result]) -> _Result:
        """Do what needs a connection.

        A stale connection, for example after a restart of the server, is
        replaced once, and SQLAlchemy replaces all others that are as old.  It
        fails at once, so a request that had to wait for the failure does not
        wait again.  If two statements conflict, the database may refuse one,
        which is then executed again.  Who waited for the lock of SQLite in
        vain gets an error caused by a TimeoutError.
        """
        deadline = time.monotonic() + _STALE_SECONDS
        attempts, stale = 0, False
        while True:
            attempts += 1
            try:
                with self._engine.connect() as connection:
                    return work(connection)
            except exc.DBAPIError as error:
                late = time.monotonic() > deadline
                if error.connection_invalidated and not (stale or late):
                    stale = True
                elif str(error.orig) == _SQLITE_BUSY:
                    raise error from TimeoutError()
                elif attempts > _MOST_ATTEMPTS or not _is_conflict(error):
                    raise


def _time_outs_of(engine: Engine) -> Iterator[type[Exception]]:
    """Yield what a driver raises if connecting takes too long."""
    errors = getattr(engine.dialect.dbapi, "errors", None)
    if time_out := getattr(errors, "ConnectionTimeout", None):
        yield time_out


def sql_reason_of(error: BaseException) -> str:
    """Return why a database fails, with the codes of its errors."""
    codes = _codes(error) if isinstance(error, exc.DBAPIError) else []
    return ": ".join([reason_of(error), *map(str, codes)])


def _is_conflict(error: exc.DBAPIError) -> bool:
    return not _CONFLICTS.isdisjoint(_codes(error))


def _codes(error: exc.DBAPIError) -> list[int | str]:
    """Return the codes that a driver gives an error.

    Unlike its message, they quote nothing.
    """
    cause = error.orig
    first = cause.args[0] if cause is not None and cause.args else None
    if isinstance(first, dict):
        first = first.get("C")  # pg8000
    elif not isinstance(first, int):
        first = None
    named = (getattr(cause, name, None) for name in _CODES)
    return [code for code in (first, *named) if code]


def _packed(payload: str) -> bytes:
    return pack({"session": payload})


def _shares(
    records: Sequence[tuple[str, Record]],
) -> Iterator[list[tuple[str, Record]]]:
    """Split records into shares that a server accepts in one statement."""
    share: list[tuple[str, Record]] = []
    size = 0
    for name, record in records:
        if share and size + len(record.raw) > _LARGEST_SHARE:
            yield share
            share, size = [], 0
        share.append((name, record))
        size += len(record.raw)
    if share:
        yield share


def make_engine(
    socket_timeout: int,
    url: str | None,
    sa_opts: Mapping[str, Any] | None,
) -> Engine:
    """Return an engine that commits each statement at once."""
    engine_options = {
        key.removeprefix("sa."): value
        for key, value in (sa_opts or {}).items()
    }
    parsed = sqlalchemy.make_url(url or engine_options.pop("url"))
    engine_options.pop("url", None)
    if parsed.get_backend_name() != "sqlite":
        # Some pools for SQLite do not know this option.
        engine_options.setdefault("pool_timeout", socket_timeout)
    engine = sqlalchemy.create_engine(
        parsed,
        **{
            "connect_args": _connect_arguments(parsed, socket_timeout),
            "hide_parameters": True,
            "skip_autocommit_rollback": True,
            **_AUTOCOMMIT,
        }
        | engine_options,
    )
    if parsed.get_driver_name() in _POSTGRESQL:
        limit_waits(engine, socket_timeout)
    return engine


def sql_store(
    kind: str,
    socket_timeout: int,
    url: str | None = None,
    table_name: str = "beaker_cache",
    schema_name: str | None = None,
    sa_opts: Mapping[str, Any] | None = None,
) -> SqlStore:
    """Return the store of ext:database, whose address is a URL."""
    engine = make_engine(socket_timeout, url, sa_opts)
    table = Table(
        table_name,
        sqlalchemy.MetaData(),
        Column("id", sqlalchemy.Integer, primary_key=True),
        Column("namespace", sqlalchemy.String(255), nullable=False),
        Column("accessed", sqlalchemy.DateTime, nullable=False),
        Column("created", sqlalchemy.DateTime, nullable=False),
        Column("data", LargeBinary, nullable=False),
        sqlalchemy.UniqueConstraint("namespace"),
        schema=schema_name or None,
    )
    return SqlStore(kind, engine, table)


def _connect_arguments(url: URL, socket_timeout: int) -> dict[str, Any]:
    """Return the arguments for a driver; the URL takes precedence."""
    arguments: dict[str, Any] = {}
    if name := _CONNECT_TIMEOUT.get(url.get_driver_name()):
        arguments[name] = socket_timeout
    if url.get_backend_name() in ("mysql", "mariadb"):
        # Otherwise, a server may be configured to truncate large data.
        arguments["sql_mode"] = "STRICT_ALL_TABLES"
    if url.get_driver_name() == "pymysql":
        arguments["read_timeout"] = arguments["write_timeout"] = socket_timeout
    if url.get_driver_name() in _POSTGRESQL:
        # These limit the wait for a host that is gone, but not for a server
        # that hangs: see limit_waits.
        arguments["keepalives_idle"] = socket_timeout
        arguments["keepalives_interval"] = 1
        arguments["keepalives_count"] = 3
        arguments["tcp_user_timeout"] = socket_timeout * 1000
    return {
        name: value
        for name, value in arguments.items()
        if name not in url.query
    }


def sqla_store(kind: str, bind: Engine, table: Table) -> SqlStore:
    """Return the store of ext:sqla: an engine and a table."""
    engine = bind.execution_options(**_AUTOCOMMIT)
    engine.hide_parameters = True
    return SqlStore(kind, engine, table)
