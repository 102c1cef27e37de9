"""A relational database: its engine, its tables, and its errors."""

import os
import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeVar

import sqlalchemy
from sqlalchemy import URL
from sqlalchemy import Connection
from sqlalchemy import Engine
from sqlalchemy import ExceptionContext
from sqlalchemy import LargeBinary
from sqlalchemy import Table
from sqlalchemy import TypeDecorator
from sqlalchemy import event
from sqlalchemy import exc

from collective.beaker.hidden import HiddenBytes
from collective.beaker.settings.addresses import sqlite_file
from collective.beaker.stores.container import UNREADABLE
from collective.beaker.stores.failures import reason_of
from collective.beaker.stores.private import file_id
from collective.beaker.stores.private import make_file
from collective.beaker.stores.private import make_folder
from collective.beaker.stores.sql_waits import limit_waits


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

_STALE_SECONDS = 0.9
"""The time within which a stale connection shows that it is stale.

The shortest socket_timeout is 1, which drivers measure by other clocks: what
they say took too long may have taken a millisecond less.
"""

_MOST_ATTEMPTS = 20
"""How often a statement that conflicts with others is executed."""

_CONFLICTS = frozenset([1205, 1213, "40001", "40P01"])
"""The codes of conflicts: lock waits and deadlocks of MySQL and MariaDB, and
serialization failures and deadlocks in standard SQL and PostgreSQL."""

_WAITS = frozenset([1205, 1969, 3024, "55P03", "57014"])
"""The codes of a lock, or of a statement, that took longer than the server
allows: of MySQL and MariaDB, and of PostgreSQL."""

_REFUSALS = frozenset([1290, 1836, "25006"])
"""The codes of a server of MySQL, MariaDB or PostgreSQL that may be read only:
another one may have taken its part."""

_TOO_LONG = frozenset([1153, 1406, "22001"])
"""The codes of a value that is too long for a packet or its column: of MySQL
and MariaDB, and in standard SQL."""

_SQLITE_BUSY = "database is locked"
"""The error of SQLite if another process holds the lock for too long.  Before
Python 3.11, it has no code."""

_CODES = ("sqlstate", "pgcode", "sqlite_errorname")
"""The attributes in which drivers of PostgreSQL and SQLite keep the code of an
error.  SQLite's exists since Python 3.11."""

TIME_OUTS = (TimeoutError, exc.TimeoutError)
"""What is raised, or is a cause, if somebody waited for a database in vain."""

AUTOCOMMIT = {"isolation_level": "AUTOCOMMIT"}
"""The option of an engine that commits each statement at once."""

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


class Database:
    """A table of a database, and how to use it."""

    def __init__(self, engine: Engine, table: Table):
        self._engine = engine
        self._table = table
        self._table_exists = False
        # SQLite would create the file readable by everyone.
        self._file = sqlite_file(engine.url)
        self._found_file: Hashable = None

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
        if self._file and not self._has_file(self._file):
            return False
        if not self._table_exists:
            self._table_exists = self.run(self._finds_table)
        return self._table_exists

    def _has_file(self, file: str) -> bool:
        """Tell whether there is a file of SQLite; leave a former one."""
        found = file_id(file)
        if self._found_file not in (None, found):
            self._table_exists = False
            self._engine.dispose()
        self._found_file = found
        return found is not None

    def _finds_table(self, use: Connection) -> bool:
        name, schema = self._table.name, self._table.schema
        return sqlalchemy.inspect(use).has_table(name, schema=schema)

    def make_table(self) -> None:
        if self.has_table():
            return
        if self._file:
            make_folder(os.path.dirname(self._file))
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
        which is then executed again.  Who waited for a lock in vain, or for a
        connection, gets an error caused by a TimeoutError.
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
                elif str(error.orig) == _SQLITE_BUSY or (
                    late and (error.statement is None or _waited(error))
                ):
                    # Without a statement it failed to connect.  Not all
                    # drivers say that this took too long.
                    raise error from TimeoutError()
                elif attempts > _MOST_ATTEMPTS or not _is_conflict(error):
                    # Somebody may have removed the table.
                    self._table_exists = False
                    raise


def leave_read_only_servers(engine: Engine) -> None:
    """Replace all connections to a server once it refuses to write.

    Only for what this engine executes: code that has another one on the same
    connections may want to read only.
    """

    def leave(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        codes = _codes(error) if isinstance(error, exc.DBAPIError) else []
        if context.engine is engine and not _REFUSALS.isdisjoint(codes):
            context.is_disconnect = True

    event.listen(engine, "handle_error", leave)


def _connect(
    dialect: Any,
    record: Any,
    arguments: Sequence[Any],
    parameters: Mapping[str, Any],
) -> Any:
    """Connect; a driver may raise anything for wrong parameters."""
    try:
        return dialect.connect(*arguments, **parameters)
    except (dialect.loaded_dbapi.Error, OSError, MemoryError):
        raise
    except Exception as error:
        raise exc.ArgumentError(type(error).__name__) from error


def sql_reason_of(error: BaseException) -> str:
    """Return why a database fails, with the codes of its errors."""
    codes = _codes(error) if isinstance(error, exc.DBAPIError) else []
    return ": ".join([reason_of(error), *map(str, codes)])


def says_too_long(error: exc.DBAPIError) -> bool:
    """Tell whether a value is too long for the server or its column."""
    return not _TOO_LONG.isdisjoint(_codes(error))


def _is_conflict(error: exc.DBAPIError) -> bool:
    return not _CONFLICTS.isdisjoint(_codes(error))


def _waited(error: exc.DBAPIError) -> bool:
    return not _WAITS.isdisjoint(_codes(error))


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
    has_own_pool = not engine_options.keys().isdisjoint(["pool", "poolclass"])
    is_in_memory = parsed.get_backend_name() == "sqlite" and not sqlite_file(
        parsed
    )
    if not (has_own_pool or is_in_memory):
        # Each thread has one connection at a time.  If it had to wait for that
        # of another, it would wait twice for a database that hangs.  Other
        # pools do not know these options, nor does that of SQLite in memory.
        engine_options.setdefault("max_overflow", -1)
        engine_options.setdefault("pool_timeout", socket_timeout)
    engine = sqlalchemy.create_engine(
        parsed,
        **{
            "connect_args": _connect_arguments(parsed, socket_timeout),
            "hide_parameters": True,
            "skip_autocommit_rollback": True,
            **AUTOCOMMIT,
        }
        | engine_options,
    )
    event.listen(engine, "do_connect", _connect)
    leave_read_only_servers(engine)
    if parsed.get_driver_name() in _POSTGRESQL:
        limit_waits(engine, socket_timeout)
    return engine


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
