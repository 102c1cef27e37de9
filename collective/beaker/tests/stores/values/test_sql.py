"""Values in a relational database."""

import os

import pytest
import sqlalchemy
from sqlalchemy import event

from collective.beaker.stores import find_store
from collective.beaker.stores.values import find_value_store
from collective.beaker.stores.values import sql
from collective.beaker.tests.helpers.records import engine_of
from collective.beaker.tests.helpers.stores import OPTIONS
from collective.beaker.tests.helpers.stores import on_each


@pytest.fixture(params=on_each("sqlite", "postgresql", "mariadb"))
def options(request, tmp_path):
    return OPTIONS[request.param](request, tmp_path)


@pytest.fixture
def values(options, region):
    return find_value_store(options, region)


def number_of_rows(options):
    with engine_of(options["url"]).connect() as connection:
        table = sqlalchemy.table("beaker_cache_values")
        query = sqlalchemy.select(sqlalchemy.func.count()).select_from(table)
        return connection.execute(query).scalar()


def test_values_have_a_table_of_their_own(values, options, id):
    sessions = find_store(options)
    values.put("v:1", b"first", 60)
    sessions.swap(id, None, "a session")
    assert values.clear() == 1

    assert [found for found, _ in sessions.walk()] == [id]
    assert number_of_rows(options) == 0


def test_without_a_table_there_is_nothing(tmp_path, region):
    url = f"sqlite:///{tmp_path}/a.db"
    values = find_value_store({"type": "ext:database", "url": url}, region)

    assert values.get(["v:1"]) == {}
    assert list(values.walk()) == list(values.sweep()) == []
    assert values.size().entries == values.clear() == 0
    values.delete(["v:1"])
    assert list(tmp_path.iterdir()) == []


def test_the_file_of_sqlite_is_for_zopes_user_only(tmp_path, region, umask):
    file = tmp_path / "a.db"
    url = f"sqlite:///{file}"
    values = find_value_store({"type": "ext:database", "url": url}, region)
    values.put("v:1", b"first", 60)

    assert os.stat(file).st_mode & 0o777 == 0o600


def test_a_sweep_leaves_rows_that_are_claimed(values, options, clock):
    values.put("v:1", b"first", 60)
    values.put("v:2", b"first", 60)
    claim, _ = values.claim("v:1", ["v:1"], 120)
    values.claim("v:3", ["v:3"], 60)
    clock(61)

    # The claim on v:3 has ended, and is no record.
    assert sum(values.sweep(dry_run=True)) == 1
    assert sum(values.sweep()) == 1
    assert number_of_rows(options) == 1
    assert values.settle(claim, b"second", 60)


def test_a_sweep_removes_more_than_it_reads_at_once(
    tmp_path, region, clock, monkeypatch
):
    monkeypatch.setattr(sql, "_BATCH", 2)
    url = f"sqlite:///{tmp_path}/b.db"
    values = find_value_store({"type": "ext:database", "url": url}, region)
    for number in range(3):
        values.put(f"v:{number}", b"record", 60)
    assert len(list(values.walk())) == 3
    clock(61)

    assert list(values.sweep(dry_run=True)) == [2, 1]
    assert list(values.sweep()) == [2, 1]


def test_no_statement_removes_all_rows_of_a_large_table(
    tmp_path, region, monkeypatch
):
    """It would take longer than anyone waits for a server."""
    monkeypatch.setattr(sql, "_BATCH", 2)
    url = f"sqlite:///{tmp_path}/d.db"
    values = find_value_store({"type": "ext:database", "url": url}, region)
    for number in range(5):
        values.put(f"v:{number}", b"record", 60)
    values.put("w:1", b"record", 60)
    removed = []
    event.listen(
        values._database._engine,
        "after_cursor_execute",
        lambda *arguments: removed.append(arguments[1].rowcount),
    )

    assert values.clear("v:") == 5
    assert list(values.walk()) == ["w:1"]
    assert max(removed) == 2


def test_what_is_kept_is_not_written_each_time(values, options, clock):
    values.put("v:1", b"first", 60, {"t:1": b"tag"})
    before = _end_of(options, "t:1")
    clock(50)
    values.put("v:1", b"first", 60, {"t:1": b"tag"})
    assert _end_of(options, "t:1") == before
    clock(50)
    values.put("v:1", b"first", 60, {"t:1": b"tag"})

    assert _end_of(options, "t:1") == before + 100


@pytest.fixture
def statements(values):
    """The statements that are executed, as they come."""
    executed = []
    event.listen(
        values._database._engine,
        "before_cursor_execute",
        lambda *arguments: executed.append(arguments[2]),
    )
    return executed


def test_many_numbers_are_written_by_few_statements(values, statements):
    values.raise_numbers([f"t:{number}" for number in range(150)], 1, 60)

    assert sum("INSERT" in statement for statement in statements) == 2


def _end_of(options, name):
    with engine_of(options["url"]).connect() as connection:
        query = "SELECT ends FROM beaker_cache_values WHERE name = :name"
        found = connection.execute(sqlalchemy.text(query), {"name": name})
        return found.scalar()


def test_a_dialect_that_is_not_known_keeps_no_values(
    tmp_path, region, monkeypatch
):
    monkeypatch.setattr(sql, "_DIALECTS", ("postgresql",))
    url = f"sqlite:///{tmp_path}/c.db"

    with pytest.raises(LookupError, match="and not in sqlite"):
        find_value_store({"type": "ext:database", "url": url}, region)


def test_the_log_of_sqlalchemy_shows_no_values(tmp_path, caplog, region):
    caplog.set_level("DEBUG", "sqlalchemy.engine")
    url = f"sqlite:///{tmp_path}/e.db"
    values = find_value_store({"type": "ext:database", "url": url}, region)
    values.put("v:1", b"a secret", 60)
    assert values.get(["v:1"]) == {"v:1": b"a secret"}

    assert "Row" in caplog.text
    assert "a secret" not in caplog.text
