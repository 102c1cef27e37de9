"""Sessions in a table of a relational database."""

import logging
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

import sqlalchemy
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

from collective.beaker.hidden import HiddenText
from collective.beaker.interfaces import Record
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.stores.base import Store
from collective.beaker.stores.base import is_record_name
from collective.beaker.stores.container import pack
from collective.beaker.stores.container import unpack_namespace
from collective.beaker.stores.sql_database import AUTOCOMMIT
from collective.beaker.stores.sql_database import TIME_OUTS
from collective.beaker.stores.sql_database import Database
from collective.beaker.stores.sql_database import Raw
from collective.beaker.stores.sql_database import leave_read_only_servers
from collective.beaker.stores.sql_database import make_engine
from collective.beaker.stores.sql_database import says_too_long
from collective.beaker.stores.sql_database import sql_reason_of


logger = logging.getLogger("collective.beaker")

_BATCH = 200
"""How many rows are read at once."""

_LARGEST_SHARE = 1024 * 1024
"""How many bytes every server accepts in one statement."""

_Values = dict[str, Any]
"""The parameters of a statement."""


class _Id(TypeDecorator[str]):
    """The id of a session."""

    impl = sqlalchemy.String
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        # SQLite lets a column hold values of any type.  One that is made a
        # text has another place in the order, and a walk would never end.
        return HiddenText(value) if isinstance(value, str) else value


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
        later = of_mark & (columns.session_id > id)
        # Rows are not compared as such: for that, MariaDB and MySQL would
        # read the table from its beginning.
        self.select_some = (
            sqlalchemy.select(columns.user_mark, columns.session_id)
            .where(
                columns.user_mark >= mark, (columns.user_mark > mark) | later
            )
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
    time_outs = TIME_OUTS
    has_index = True

    def __init__(self, kind: str, engine: Engine, table: Table):
        address = engine.url.render_as_string(hide_password=True)
        super().__init__(kind, address)
        self._database = Database(engine, table)
        self._table = table
        self._statements = _Statements(table, engine.dialect.name)
        self._of_index = _IndexStatements(table, engine.dialect.name)
        self._index = Database(engine, self._of_index.table)
        self._may_make_index = True

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

    def _swap(
        self, id: str, old: Record | None, new: str | None, seconds: int | None
    ) -> bool:
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
        except exc.DBAPIError as error:
            if not says_too_long(error):
                raise
        else:
            return number == 1
        raise RecordTooLarge(
            "A session is larger than the column 'data' of the database "
            "table allows (64 kB in MySQL and MariaDB), or their "
            "max_allowed_packet. Store less in sessions, or alter the column "
            "to LONGBLOB and raise max_allowed_packet."
        )

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
        query = self._statements.select_some
        while rows := _rows(self._database, query, after=name):
            for name, raw in rows:
                if is_record_name(name):
                    yield name, Record(raw)

    def _add_to_index(self, mark: str, id: str) -> None:
        if not self._finds_or_makes_index():
            return
        insert, values = self._of_index.insert, {"mark": mark, "id": id}
        # It may be there already.
        with suppress(exc.IntegrityError):
            self._index.run(partial(_execute, insert, values))

    def _finds_or_makes_index(self) -> bool:
        """Tell whether the table of the index is there, or could be made.

        A second attempt could be one of many that a database refuses.  But
        another process may make it, and rely on it.
        """
        if not self._may_make_index:
            return self._index.has_table()
        try:
            self._index.make_table()
        except exc.SQLAlchemyError as error:
            # This raises another error if the database does not answer.
            if self._index.has_table():
                return True
            self._may_make_index = False
            logger.warning(
                "The table %s cannot be made (%s). Until another process, or "
                "Zope after a restart, has made it, all sessions are read to "
                "find those of one user.",
                self._of_index.table.fullname,
                self._reason(error),
            )
        return self._may_make_index

    def _find_in_index(self, mark: str) -> Sequence[str] | None:
        if not self._index.has_table():
            return None
        rows = _rows(self._index, self._of_index.select, mark=mark)
        return [id for (id,) in rows]

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
        while rows := _rows(self._index, query, mark=mark, id=id):
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
        ((number,),) = _rows(self._database, query.select_from(self._table))
        return number


def _execute(statement: Executable, values: _Values, use: Connection) -> None:
    use.execute(statement, values)


def _rows(
    database: Database, query: Executable, **values: Any
) -> Sequence[Sequence[Any]]:
    """Return rows of the table of a database, which learns if it is gone."""
    return database.run(lambda use: use.execute(query, values).all())


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
        # Nothing here needs a number, but Beaker does.  Each new record takes
        # one, and each lock, so that those of 32 bits would be used up.  In
        # SQLite, this is how to get 64 bits.
        Column(
            "id",
            sqlalchemy.BigInteger().with_variant(sqlalchemy.Integer, "sqlite"),
            primary_key=True,
        ),
        Column("namespace", sqlalchemy.String(255), nullable=False),
        Column("accessed", sqlalchemy.DateTime, nullable=False),
        Column("created", sqlalchemy.DateTime, nullable=False),
        Column("data", LargeBinary, nullable=False),
        sqlalchemy.UniqueConstraint("namespace"),
        schema=schema_name or None,
    )
    return SqlStore(kind, engine, table)


def sqla_store(kind: str, bind: Engine, table: Table) -> SqlStore:
    """Return the store of ext:sqla: an engine and a table."""
    engine = bind.execution_options(**AUTOCOMMIT)
    engine.hide_parameters = True
    leave_read_only_servers(engine)
    return SqlStore(kind, engine, table)
