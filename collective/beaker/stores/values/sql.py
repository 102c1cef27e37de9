"""Values in a table of a relational database.

The table is beside Beaker's own, and has one row for each name: the record,
and the claim on it.  A row may have a claim and no record yet.
"""

import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy
from sqlalchemy import Column
from sqlalchemy import ColumnElement
from sqlalchemy import Engine
from sqlalchemy import Executable
from sqlalchemy import Table
from sqlalchemy import bindparam
from sqlalchemy import case
from sqlalchemy import exc
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite

from collective.beaker.interfaces import Claim
from collective.beaker.interfaces import Size
from collective.beaker.stores.sql_database import TIME_OUTS
from collective.beaker.stores.sql_database import Database
from collective.beaker.stores.sql_database import Raw
from collective.beaker.stores.sql_database import make_engine
from collective.beaker.stores.sql_database import sql_reason_of
from collective.beaker.stores.values.base import ValueStore
from collective.beaker.stores.values.base import latest_end_of_claim
from collective.beaker.stores.values.base import new_token


_NEVER = 1e15
"""The time at which a record without an end ends."""

_NOT_STORED = 0
"""The time at which a record that is not stored yet ended."""

_NOBODY = ""
"""The token of whoever has no claim."""

_BATCH = 1000
"""How many rows are listed or removed at once."""

_MOST_ROWS = 100
"""How many rows one statement writes: it has five parameters for each, and
SQLite once took 999."""

_MYSQL = ("mysql", "mariadb")

_DIALECTS = ("postgresql", "sqlite", *_MYSQL)
"""The dialects whose statement to insert or update is known."""

_New = Any
"""The columns of the row that an insert would have made."""

_Updates = list[tuple[str, Any]]
"""Columns and their new values.  MySQL sets one after the other, and a value
may depend on what was set before; so they are in an order in which none does.
"""


class _Statements:
    """All statements on one table, built once: SQLAlchemy is slow at it."""

    def __init__(self, table: Table, dialect: str):
        self._table = table
        self._dialect = dialect
        columns = table.c
        name = columns.name == bindparam("this")
        names = columns.name.in_(bindparam("names", expanding=True))
        token = bindparam("token", type_=sqlalchemy.String)
        now = bindparam("now", type_=sqlalchemy.Double)
        data = sqlalchemy.type_coerce(columns.data, Raw)
        mine = name & (columns.claimant == token)
        stored = columns.ends > now
        self.select = sqlalchemy.select(columns.name, data).where(
            names, stored
        )
        self.select_with_claims = sqlalchemy.select(
            columns.name, data, columns.ends, columns.claimant
        ).where(names)
        self.renew = (
            table.update().where(mine).values(claim_ends=bindparam("end"))
        )
        self.settle = table.update().where(mine).values(**_settled())
        self.give_up = table.update().where(mine).values(**_unclaimed())
        self.delete = table.delete().where(names)
        # Rows that begin with a prefix, and how many there are
        some = columns.name.between(bindparam("first"), bindparam("last"))
        self.walk = (
            sqlalchemy.select(columns.name)
            .where(some, stored, columns.name > bindparam("after"))
            .order_by(columns.name)
            .limit(_BATCH)
        )
        self.sizes = (
            sqlalchemy.select(
                columns.name, sqlalchemy.func.length(columns.data)
            )
            .where(some, stored, columns.name > bindparam("after"))
            .order_by(columns.name)
            .limit(_BATCH)
        )
        self.select_some = (
            sqlalchemy.select(columns.name, columns.ends, columns.claim_ends)
            .where(some, columns.name > bindparam("after"))
            .order_by(columns.name)
            .limit(_BATCH)
        )
        self.clear = table.delete().where(some)
        # Rows that have ended
        ended = (columns.ends <= now) & (columns.claim_ends <= now)
        self.select_ended = (
            sqlalchemy.select(columns.name, columns.ends)
            .where(ended)
            .limit(_BATCH)
        )
        self.delete_ended = table.delete().where(names, ended)
        # Rows that are there or not
        claimant, claim_ends = columns.claimant, columns.claim_ends
        latest = bindparam("latest", type_=sqlalchemy.Double)
        is_free = (claim_ends <= now) | (claim_ends > latest)
        self.claim = self._upsert(
            {
                "ends": _NOT_STORED,
                "claimant": token,
                "claim_ends": bindparam("end"),
            },
            lambda new: [
                ("claimant", _if(is_free, new.claimant, claimant)),
                ("claim_ends", _if(is_free, new.claim_ends, claim_ends)),
            ],
            is_free,
        )
        self.put = self._upsert(
            _settled(),
            lambda new: [
                ("data", new.data),
                ("ends", new.ends),
                ("claimant", new.claimant),
                ("claim_ends", new.claim_ends),
            ],
        )
        has_ended = self._has_ended = columns.ends <= now
        is_short = columns.ends < bindparam("needed")
        self.keep = self._upsert(
            _settled(),
            lambda new: [
                ("data", _if(has_ended, new.data, columns.data)),
                ("ends", _if(is_short, new.ends, columns.ends)),
            ],
            is_short,
        )
        self.raise_numbers = lru_cache(_MOST_ROWS)(self._raise_numbers)

    def _raise_numbers(self, number_of_names: int) -> Executable:
        """Return a statement for a row of each of the names this0, this1 …"""
        present = self._table.c
        return self._upsert(
            _settled(),
            lambda new: [
                (
                    "data",
                    _if(
                        self._has_ended | (present.data < new.data),
                        new.data,
                        present.data,
                    ),
                ),
                ("ends", _if(present.ends < new.ends, new.ends, present.ends)),
                ("claimant", new.claimant),
                ("claim_ends", new.claim_ends),
            ],
            names=[f"this{number}" for number in range(number_of_names)],
        )

    def _upsert(
        self,
        values: dict[str, Any],
        updates: Callable[[_New], _Updates],
        where: ColumnElement[bool] | None = None,
        names: Iterable[str] = ("this",),
    ) -> Executable:
        """Return a statement that inserts rows, or updates those there.

        The condition spares a database that can use it an update which would
        change nothing.
        """
        update: Executable
        first, *others = (
            {"name": bindparam(name), **values} for name in names
        )
        # SQLAlchemy prepares a statement for several rows anew each time.
        rows = [first, *others] if others else first
        if self._dialect in _MYSQL:
            insert = mysql.insert(self._table).values(rows)
            update = insert.on_duplicate_key_update(updates(insert.inserted))
            return update
        dialect = postgresql if self._dialect == "postgresql" else sqlite
        other = dialect.insert(self._table).values(rows)
        update = other.on_conflict_do_update(
            index_elements=["name"],
            set_=dict(updates(other.excluded)),
            where=where,
        )
        return update


def _if(condition: Any, new: Any, present: Any) -> Any:
    return case((condition, new), else_=present)


def _unclaimed() -> dict[str, Any]:
    return {"claimant": _NOBODY, "claim_ends": 0}


def _settled() -> dict[str, Any]:
    data = bindparam("record", type_=Raw)
    return {"data": data, "ends": bindparam("end"), **_unclaimed()}


class SqlValues(ValueStore):
    """Keeps records as rows.  The engine commits each statement at once."""

    failures = (exc.SQLAlchemyError, OSError)
    time_outs = TIME_OUTS

    def __init__(self, kind: str, engine: Engine, table: Table):
        address = engine.url.render_as_string(hide_password=True)
        super().__init__(kind, address)
        self._database = Database(engine, table)
        self._statements = _Statements(table, engine.dialect.name)

    def after_fork(self) -> None:
        super().after_fork()
        self._database.after_fork()

    def _reason(self, error: BaseException) -> str:
        return sql_reason_of(error)

    @property
    def place(self) -> Hashable:
        return self._database.place

    def _get(self, names: Sequence[str]) -> dict[str, Any]:
        rows = self._rows(self._statements.select, names=names)
        return dict(map(tuple, rows))

    def _claim(
        self, name: str, names: Sequence[str], seconds: float
    ) -> tuple[Claim | None, dict[str, Any]]:
        claim, now = Claim(name, new_token()), time.time()
        values = {"this": name, "token": claim.token, "end": now + seconds}
        values["latest"] = latest_end_of_claim(seconds)
        self._write(self._statements.claim, values)
        rows = self._rows(self._statements.select_with_claims, names=names)
        is_ours = any(token == claim.token for *_, token in rows)
        found = {name: record for name, record, end, _ in rows if end > now}
        return claim if is_ours else None, found

    def _renew(self, claim: Claim, seconds: float) -> bool:
        end = time.time() + seconds
        return self._change(self._statements.renew, claim, end=end)

    def _settle(
        self,
        claim: Claim,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> bool:
        self._keep(keep, seconds)
        statement, end = self._statements.settle, _end(seconds)
        return self._change(statement, claim, record=record, end=end)

    def _give_up(self, claim: Claim) -> None:
        self._change(self._statements.give_up, claim)

    def _put(
        self,
        name: str,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> None:
        self._keep(keep, seconds)
        values = {"this": name, "record": record, "end": _end(seconds)}
        self._write(self._statements.put, values)

    def _keep(self, keep: Mapping[str, Any], seconds: float | None) -> None:
        needed = _end(seconds)
        # It lives longer than it must, and is not written each time.
        end = _end(seconds and 2 * seconds)
        for name, record in keep.items():
            values = {"this": name, "record": record, "end": end}
            self._write(self._statements.keep, values | {"needed": needed})

    def _delete(self, names: Sequence[str]) -> None:
        self._remove(self._statements.delete, names=names)

    def _raise_numbers(
        self, names: Sequence[str], number: bytes, seconds: float | None
    ) -> None:
        values = {"record": number, "end": _end(seconds)}
        # In one order, so that no two requests wait for each other.
        ordered = sorted(set(names))
        for first in range(0, len(ordered), _MOST_ROWS):
            some = ordered[first : first + _MOST_ROWS]
            named = {f"this{place}": name for place, name in enumerate(some)}
            statement = self._statements.raise_numbers(len(some))
            self._write(statement, values | named)

    def _walk(self, prefix: str) -> Iterator[str]:
        names = _beginning_with(prefix)
        select, after = self._statements.walk, ""
        # A table of any size is read in batches.
        while rows := self._rows(select, **names, after=after):
            for (after,) in rows:
                yield after

    def _clear(self, prefix: str) -> int:
        number = 0
        for rows in self._pages(prefix):
            first, last = rows[0][0], rows[-1][0]
            self._remove(self._statements.clear, first=first, last=last)
            number += sum(end > _NOT_STORED for _, end, _ in rows)
        return number

    def _sweep(self, dry_run: bool) -> Iterator[int]:
        if dry_run:
            for rows in self._pages(""):
                now = time.time()
                yield sum(
                    _NOT_STORED < end <= now and claim_ends <= now
                    for _, end, claim_ends in rows
                )
            return
        statements = self._statements
        while rows := self._rows(statements.select_ended):
            names = [name for name, _ in rows]
            self._remove(statements.delete_ended, names=names)
            yield sum(end > _NOT_STORED for _, end in rows)

    def _pages(self, prefix: str) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield rows in batches: names, and when records and claims end.

        One statement for all rows of a large table may take longer than
        anyone waits for a server.
        """
        names = _beginning_with(prefix)
        select, after = self._statements.select_some, ""
        while rows := self._rows(select, **names, after=after):
            yield rows
            after = rows[-1][0]

    def _sizes(self, prefix: str) -> Iterator[Size]:
        names = _beginning_with(prefix)
        select, after = self._statements.sizes, ""
        while rows := self._rows(select, **names, after=after):
            yield Size(len(rows), sum(size for _, size in rows))
            after, _ = rows[-1]

    def _rows(
        self, query: Executable, **values: Any
    ) -> Sequence[Sequence[Any]]:
        if not self._database.has_table():
            return []
        values["now"] = time.time()
        return self._database.run(lambda use: use.execute(query, values).all())

    def _write(self, statement: Executable, values: dict[str, Any]) -> None:
        """Insert or update a row, in a table that is made if it is missing."""
        self._database.make_table()
        values["now"] = time.time()
        self._database.run(lambda use: use.execute(statement, values).rowcount)

    def _remove(self, statement: Executable, **values: Any) -> int:
        """Return how many rows a statement has removed or changed."""
        if not self._database.has_table():
            return 0
        values["now"] = time.time()
        return self._database.run(
            lambda use: use.execute(statement, values).rowcount
        )

    def _change(
        self, statement: Executable, claim: Claim, **values: Any
    ) -> bool:
        """Change a row if its claim is still good; tell whether it was."""
        mine = {"this": claim.name, "token": claim.token}
        return self._remove(statement, **mine, **values) == 1


def _beginning_with(prefix: str) -> dict[str, str]:
    """Return the first and the last name that may begin with a prefix."""
    # This character comes after all characters of names.
    return {"first": prefix, "last": f"{prefix}~"}


def _end(seconds: float | None) -> float:
    return _NEVER if seconds is None else time.time() + seconds


def _make_table(name: str, schema: str | None) -> Table:
    """Return the description of a table.

    Names are compared byte by byte.  A blob of MySQL and MariaDB would hold
    64 kB only.
    """
    exact = (
        sqlalchemy.String(120)
        .with_variant(
            mysql.VARCHAR(120, charset="ascii", collation="ascii_bin"), *_MYSQL
        )
        .with_variant(postgresql.VARCHAR(120, collation="C"), "postgresql")
    )
    blob = sqlalchemy.LargeBinary().with_variant(mysql.LONGBLOB(), *_MYSQL)
    return Table(
        name,
        sqlalchemy.MetaData(),
        Column("name", exact, primary_key=True),
        Column("data", blob),
        Column("ends", sqlalchemy.Double, nullable=False, index=True),
        Column("claimant", sqlalchemy.String(32), nullable=False),
        Column("claim_ends", sqlalchemy.Double, nullable=False),
        schema=schema or None,
    )


def sql_values(
    kind: str,
    socket_timeout: int,
    url: str | None = None,
    table_name: str = "beaker_cache",
    schema_name: str | None = None,
    sa_opts: Mapping[str, Any] | None = None,
) -> SqlValues:
    """Return the store of ext:database, whose address is a URL."""
    engine = make_engine(socket_timeout, url, sa_opts)
    if engine.dialect.name not in _DIALECTS:
        raise LookupError(
            f"The type is {kind!r}, which keeps values of caches in "
            f"PostgreSQL, MySQL, MariaDB and SQLite, and not in "
            f"{engine.dialect.name}."
        )
    table = _make_table(f"{table_name}_values", schema_name)
    return SqlValues(kind, engine, table)
