"""Sessions in a table of a relational database."""

import os
import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import URL
from sqlalchemy import Column
from sqlalchemy import Engine
from sqlalchemy import LargeBinary
from sqlalchemy import Table
from sqlalchemy import TypeDecorator
from sqlalchemy import bindparam
from sqlalchemy import exc

from collective.beaker.hidden import HiddenBytes
from collective.beaker.hidden import HiddenText
from collective.beaker.ids import is_id
from collective.beaker.ids import is_lease
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.stores.base import Record
from collective.beaker.stores.base import Store
from collective.beaker.stores.container import pack
from collective.beaker.stores.container import unpack_namespace
from collective.beaker.stores.private import exists
from collective.beaker.stores.private import make_file


# The argument by which a driver takes the seconds to wait for a server.
_CONNECT_TIMEOUT = {
    "mysqlconnector": "connection_timeout",
    "mysqldb": "connect_timeout",
    "pg8000": "timeout",
    "psycopg": "connect_timeout",
    "psycopg2": "connect_timeout",
    "pymysql": "connect_timeout",
    "pysqlite": "timeout",
}

_POSTGRESQL = ("psycopg", "psycopg2")
"""Drivers that take the options of libpq."""

_STALE_SECONDS = 1

_BATCH = 200
"""So many rows are read at once."""

_LARGEST_SHARE = 1024 * 1024
"""So many bytes any server takes in one statement."""

_MOST_ATTEMPTS = 20
"""So often a statement is executed that others are in the way of."""

_IN_THE_WAY = frozenset([1205, 1213, "40001", "40P01"])
"""Lock waits and deadlocks of MySQL and MariaDB, and states of SQL's
standard: serialization failures and deadlocks."""

_CODES = ("sqlstate", "pgcode", "sqlite_errorname")
"""The attributes of errors by which drivers of PostgreSQL and SQLite, the
latter since Python 3.11, name them."""

_AUTOCOMMIT = {"isolation_level": "AUTOCOMMIT"}

Values = dict[str, Any]


class _Raw(TypeDecorator):
    """Data as they are stored: Beaker's own type would unpickle them.

    SQLAlchemy's log has each row that is read.
    """

    impl = LargeBinary
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> bytes:
        return HiddenBytes(value)


class _Id(TypeDecorator):
    """The id of a session."""

    impl = sqlalchemy.String
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> str:
        return HiddenText(value)


class _Statements:
    """All statements on one table, made once: that takes SQLAlchemy long."""

    def __init__(self, table: Table):
        self._id = id = sqlalchemy.type_coerce(table.c.namespace, _Id)
        self._data = data = sqlalchemy.type_coerce(table.c.data, _Raw)
        new, now = bindparam("new", type_=_Raw), bindparam("now")
        # Names that are none of a column.
        key = bindparam("session_id")
        this = id == key
        same = self.matches(key, bindparam("old"))
        self.select = sqlalchemy.select(data).where(this)
        self.select_ids = sqlalchemy.select(id)
        self.select_some = (
            sqlalchemy.select(id, data)
            .where(id > bindparam("after"))
            .order_by(id)
            .limit(_BATCH)
        )
        self.insert = (
            table.insert()
            .inline()
            .values(namespace=key, data=new, accessed=now, created=now)
        )
        self.update = table.update().where(same).values(data=new, accessed=now)
        self.delete = table.delete().where(this)
        self.delete_same = table.delete().where(same)

    def matches(self, id: Any, data: Any) -> Any:
        """Return the condition that a row holds these data."""
        return (self._id == id) & (self._data == data)


class SqlStore(Store):
    """Keeps records as Beaker's ext:database and ext:sqla do.

    The engine must commit by itself, each statement at once.  A swap is an
    update of the row that still holds the old data.
    """

    failures = (exc.SQLAlchemyError, OSError)

    def __init__(self, kind: str, engine: Engine, table: Table):
        address = engine.url.render_as_string(hide_password=True)
        super().__init__(kind, address)
        self._engine = engine
        self._table = table
        self._statements = _Statements(table)
        self._table_exists = False
        # SQLite would make it for everybody to read.
        self._file = _sqlite_file(engine.url)

    def _reason(self, error: Exception) -> str:
        codes = _codes(error) if isinstance(error, exc.DBAPIError) else []
        return ": ".join([super()._reason(error), *map(str, codes)])

    def payload(self, record: Record) -> str | None:
        return unpack_namespace(record.raw)

    def _load(self, id: str) -> Record | None:
        if not self._has_table():
            return None
        select = self._statements.select
        row = self._run(
            select, {"session_id": id}, lambda result: result.first()
        )
        return None if row is None else Record(row[0])

    def _swap(self, id: str, old: Record | None, new: str | None) -> bool:
        if old is None:
            return new is None or self._insert(id, new)
        same = {"session_id": id, "old": old.raw}
        if new is None:
            return self._changes_one(self._statements.delete_same, same)
        values = {"new": _stored(new), "now": datetime.now()}
        return self._changes_one(self._statements.update, same | values)

    def _insert(self, id: str, new: str) -> bool:
        self._make_table()
        values = {"session_id": id, "new": _stored(new), "now": datetime.now()}
        try:
            self._write(self._statements.insert, values, lambda result: None)
        except exc.IntegrityError:
            return False
        return True

    def _changes_one(self, statement: Any, values: Values) -> bool:
        return self._write(
            statement, values, lambda result: result.rowcount == 1
        )

    def _write(
        self, statement: Any, values: Values, read: Callable[[Any], Any]
    ) -> Any:
        try:
            return self._run(statement, values, read)
        except exc.DataError:
            raise RecordTooLarge(
                "A session is larger than the column 'data' of the database "
                "table takes (64 kB in MySQL and MariaDB). Store less in "
                "sessions, or alter the column to LONGBLOB."
            ) from None

    def _delete(self, id: str) -> None:
        if not self._has_table():
            return
        delete = self._statements.delete
        self._run(delete, {"session_id": id}, lambda result: None)

    def _walk(self) -> Iterator[tuple[str, Record]]:
        if not self._has_table():
            return
        name = ""
        # Not all at once, in any table.
        while rows := self._rows(self._statements.select_some, after=name):
            for name, raw in rows:
                if _is_ours(name):
                    yield name, Record(raw)

    def _rows(self, query: Any, **values: Any) -> list[Any]:
        return self._run(query, values, lambda result: result.all())

    @property
    def place(self) -> Hashable:
        url, table = self._engine.url, self._table
        server = (url.host, url.port, url.database)
        file = self._file and os.path.realpath(self._file)
        return file or server, table.schema, table.name

    def _remove_same(self, records: Sequence[tuple[str, Record]]) -> int:
        # One statement, for each is a transaction, which takes long.
        number = 0
        for some in _not_too_large(records):
            same = (
                self._statements.matches(name, record.raw)
                for name, record in some
            )
            delete = self._table.delete().where(sqlalchemy.or_(*same))
            number += self._run(delete, {}, lambda result: result.rowcount)
        return number

    def _estimate(self) -> int:
        if not self._has_table():
            return 0
        query = sqlalchemy.select(sqlalchemy.func.count())
        ((number,),) = self._rows(query.select_from(self._table))
        return number

    def _clear_caches(self) -> int:
        if not self._has_table():
            return 0
        rows = self._rows(self._statements.select_ids)
        of_caches = [name for (name,) in rows if not _is_ours(name)]
        for name in of_caches:
            self._delete(name)
        return len(of_caches)

    def _has_table(self) -> bool:
        if self._file and not exists(self._file):
            return False
        if not self._table_exists:
            self._table_exists = sqlalchemy.inspect(self._engine).has_table(
                self._table.name, schema=self._table.schema
            )
        return self._table_exists

    def _make_table(self) -> None:
        if self._has_table():
            return
        if self._file:
            make_file(self._file)
        try:
            self._table.create(self._engine)
        except exc.SQLAlchemyError:
            # Another process may have been faster.
            if not self._has_table():
                raise

    def _run(
        self, statement: Any, values: Values, read: Callable[[Any], Any]
    ) -> Any:
        """Execute a statement and read its result.

        Once a connection that has gone stale, as after a restart of the
        server, is replaced.  That shows at once; who had to wait waits no
        more.  Of two statements that are in each other's way the database
        may refuse one; it is executed again.
        """
        give_up = time.monotonic() + _STALE_SECONDS
        stale = False
        for _ in range(_MOST_ATTEMPTS):
            try:
                return self._execute(statement, values, read)
            except exc.DBAPIError as error:
                late = time.monotonic() > give_up
                if error.connection_invalidated and not (stale or late):
                    stale = True
                elif not _was_in_the_way(error):
                    raise
        return self._execute(statement, values, read)

    def _execute(
        self, statement: Any, values: Values, read: Callable[[Any], Any]
    ) -> Any:
        with self._engine.connect() as connection:
            return read(connection.execute(statement, values))


def _sqlite_file(url: URL) -> str | None:
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    special = url.database == ":memory:" or url.database.startswith("file:")
    return None if special else url.database


def _was_in_the_way(error: exc.DBAPIError) -> bool:
    return not _IN_THE_WAY.isdisjoint(_codes(error))


def _codes(error: exc.DBAPIError) -> list[Any]:
    """Return the numbers and words by which a driver names an error.

    They quote nothing, unlike its text.
    """
    cause = error.orig
    first = cause.args[0] if cause.args else None
    if isinstance(first, dict):
        first = first.get("C")  # pg8000
    elif not isinstance(first, int):
        first = None
    named = (getattr(cause, name, None) for name in _CODES)
    return [code for code in (first, *named) if code]


def _stored(payload: str) -> bytes:
    return pack({"session": payload})


def _is_ours(name: str) -> bool:
    """Tell the rows of sessions and of their locks from those of caches."""
    return is_id(name) or is_lease(name)


def _not_too_large(
    records: Sequence[tuple[str, Record]],
) -> Iterator[list[tuple[str, Record]]]:
    """Share out records so that a server takes each share at once."""
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


def sql_store(
    kind: str,
    socket_timeout: int,
    url: str | None = None,
    table_name: str = "beaker_cache",
    schema_name: str | None = None,
    sa_opts: Any = (),
) -> SqlStore:
    """Return the store of ext:database, which is named by a URL."""
    engine_options = {
        key.removeprefix("sa."): value for key, value in dict(sa_opts).items()
    }
    parsed = sqlalchemy.make_url(url or engine_options.pop("url"))
    engine_options.pop("url", None)
    if parsed.get_backend_name() != "sqlite":
        # SQLite has kinds of pools that take no such option.
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
    """Return what a driver is told beside the URL, which goes before."""
    arguments: dict[str, Any] = {}
    if name := _CONNECT_TIMEOUT.get(url.get_driver_name()):
        arguments[name] = socket_timeout
    if url.get_backend_name() in ("mysql", "mariadb"):
        # Otherwise a server may be set to cut off what is too large.
        arguments["sql_mode"] = "STRICT_ALL_TABLES"
    if url.get_driver_name() == "pymysql":
        arguments["read_timeout"] = arguments["write_timeout"] = socket_timeout
    if url.get_driver_name() in _POSTGRESQL:
        # They limit the wait for a host that is gone, not for a server that
        # hangs: libpq has no option for that.
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
    """Return the store of ext:sqla, which takes an engine and a table."""
    engine = bind.execution_options(**_AUTOCOMMIT)
    engine.hide_parameters = True
    return SqlStore(kind, engine, table)
