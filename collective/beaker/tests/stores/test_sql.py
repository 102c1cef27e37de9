"""Sessions in a database."""

import shutil
import socket
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextlib import closing
from itertools import islice

import pytest
import sqlalchemy
from beaker.ext.database import DatabaseNamespaceManager
from beaker.ext.sqla import SqlaNamespaceManager
from beaker.ext.sqla import make_cache_table
from sqlalchemy import exc
from sqlalchemy.pool import QueuePool

from collective.beaker.ids import lease_name
from collective.beaker.ids import new_id
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores import base
from collective.beaker.stores import sql
from collective.beaker.stores.sql_database import _connect_arguments
from collective.beaker.tests.helpers.forks import in_fork
from collective.beaker.tests.helpers.records import engine_of
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.servers import mariadb_server
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stores import make_store
from collective.beaker.tests.helpers.stores import text


def test_what_is_larger_than_a_column_of_mariadb_is_refused(mariadb, id):
    mariadb.start()
    store = make_store("ext:database", url=mariadb.url)
    store.swap(id, None, "small")

    with pytest.raises(RecordTooLarge, match=r"64 kB.*LONGBLOB"):
        store.swap(id, store.load(id), "x" * 70_000)
    assert text(store, id) == "small"


def test_a_sweep_reads_each_row_of_the_index_in_mariadb_once(
    mariadb, monkeypatch
):
    """To find each batch, it must not read all that comes before."""
    mariadb.start()
    monkeypatch.setattr(sql, "_BATCH", 2)
    # Stores with the same options would share one.
    url = f"{mariadb.url}?charset=ascii"
    store = make_store("ext:database", url=url)
    for number in range(200):
        store.add_to_index(f"{number:064}", new_id())

    def number_of_reads():
        with engine_of(mariadb.url).connect() as connection:
            query = "SHOW GLOBAL STATUS LIKE 'Handler_read%'"
            rows = connection.execute(sqlalchemy.text(query))
            return sum(int(number) for _, number in rows)

    before = number_of_reads()
    assert len(list(store.clean_up(dry_run=True))) >= 200
    assert number_of_reads() - before < 4000


def test_what_is_larger_than_a_packet_of_mariadb_is_refused(id):
    with mariadb_server("--max-allowed-packet=20000") as server:
        store = make_store("ext:database", url=server.url)
        store.swap(id, None, "small")

        with pytest.raises(RecordTooLarge, match="raise max_allowed_packet"):
            store.swap(id, store.load(id), "x" * 30_000)
        assert text(store, id) == "small"


def test_the_file_of_sqlite_is_for_its_owner_only(id, tmp_path, umask):
    file = tmp_path / "sessions.db"
    store = make_store("ext:database", url=f"sqlite:///{file}")
    assert store.load(id) is None
    assert not file.exists()
    store.swap(id, None, "first")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_table_in_memory_will_do(id):
    store = make_store("ext:database", url="sqlite://", table_name="memory")
    store.swap(id, None, "first")

    assert text(store, id) == "first"


def test_two_processes_that_make_the_table_at_once_both_have_it(
    postgresql, id, monkeypatch
):
    postgresql.start()
    options = {"url": postgresql.url, "table_name": f"table_{id}"}
    slow, fast = (
        make_store("ext:database", **options, socket_timeout=seconds)
        for seconds in (4, 5)
    )
    create = slow._table.create

    def create_too_late(engine):
        fast.swap(new_id(), None, "first")
        create(engine)

    monkeypatch.setattr(slow._table, "create", create_too_late)
    assert slow.swap(id, None, "second")
    assert text(fast, id) == "second"


def test_a_table_that_cannot_be_made_is_an_unavailable_store(id, tmp_path):
    url = f"sqlite:///file:{tmp_path}/a.db?mode=ro&uri=true"
    store = make_store("ext:database", url=url)

    with pytest.raises(StoreUnavailable):
        store.swap(id, None, "first")


@pytest.mark.skipif(
    not hasattr(sqlite3, "SQLITE_READONLY"),
    reason="Python 3.11 and later name the errors of SQLite",
)
def test_an_outage_of_sqlite_has_its_reason(id, tmp_path):
    file = tmp_path / "sessions.db"
    make_store("ext:database", url=f"sqlite:///{file}").swap(id, None, "first")
    url = f"sqlite:///file:{file}?mode=ro&uri=true"
    store = make_store("ext:database", url=url)

    with pytest.raises(StoreUnavailable, match=": SQLITE_READONLY"):
        store.swap(id, store.load(id), "second")


def test_an_outage_of_mariadb_has_the_number_of_its_error(id):
    url = f"mysql+pymysql://127.0.0.1:{free_port()}/sessions"
    store = make_store("ext:database", url=url)

    with pytest.raises(StoreUnavailable, match=r"Connection refused: 2003\."):
        store.load(id)


POSTGRESQL_DRIVERS = pytest.mark.parametrize("driver", ["psycopg", "pg8000"])


@pytest.fixture
def postgresql_store(postgresql, driver, id):
    postgresql.start()
    url = postgresql.url.replace("+psycopg:", f"+{driver}:")
    return make_store("ext:database", url=url, table_name=f"table_{id}")


@POSTGRESQL_DRIVERS
def test_with_each_driver_one_of_two_who_make_a_record_is_told_so(
    postgresql_store, id
):
    assert postgresql_store.swap(id, None, "first")
    assert not postgresql_store.swap(id, None, "second")
    assert text(postgresql_store, id) == "first"


@POSTGRESQL_DRIVERS
def test_with_each_driver_an_outage_of_postgresql_has_its_state_and_no_id(
    postgresql_store, id
):
    postgresql_store.swap(id, None, "first")
    assert text(postgresql_store, id) == "first"
    postgresql_store._table.drop(postgresql_store._database._engine)
    with pytest.raises(StoreUnavailable, match=r": 42P01\.") as raised:
        postgresql_store.load(id)

    assert id not in str(raised.value)


def test_a_table_that_was_removed_is_made_anew_after_one_outage(
    postgresql, id
):
    postgresql.start()
    store = make_store(
        "ext:database", url=postgresql.url, table_name=f"table_{id}"
    )
    store.swap(id, None, "first")
    assert text(store, id) == "first"
    store._table.drop(store._database._engine)
    with pytest.raises(StoreUnavailable):
        store.load(id)

    assert store.load(id) is None
    assert store.swap(id, None, "second")


def test_a_file_of_sqlite_that_was_removed_is_made_anew(id, tmp_path):
    file = tmp_path / "of-a-site" / "sessions.db"
    store = make_store("ext:database", url=f"sqlite:///{file}")
    store.swap(id, None, "first")
    assert text(store, id) == "first"
    shutil.rmtree(file.parent)
    assert store.load(id) is None

    assert store.swap(id, None, "second")
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("SELECT namespace FROM beaker_cache").fetchall()


def test_a_walk_ends_where_sqlite_has_names_that_are_no_text(tmp_path):
    id = "f" * 32
    file = tmp_path / "sessions.db"
    store = make_store("ext:database", url=f"sqlite:///{file}")
    store.swap(id, None, "first")
    with closing(sqlite3.connect(file)) as other, other:
        other.execute(
            "INSERT INTO beaker_cache (namespace, accessed, created, data) "
            "VALUES (x'ff', '', '', '')"
        )

    assert [name for name, _ in islice(store.walk_all(), 2)] == [id]


def begin_read_only(engine):
    """Have the connection of a pool refuse to write.

    As if it were one to a server whose part another has taken.
    """
    with engine.connect() as connection:
        connection.exec_driver_sql("SET default_transaction_read_only = on")
        connection.commit()


def test_a_server_that_refuses_to_write_is_left_for_the_one_there_now(
    postgresql, id
):
    postgresql.start()
    store = make_store("ext:database", url=postgresql.url, socket_timeout=6)
    begin_read_only(store._database._engine)

    assert store.swap(id, None, "first")


@pytest.fixture
def engine_of_ones_own(postgresql):
    postgresql.start()
    engine = sqlalchemy.create_engine(postgresql.url)
    yield engine
    engine.dispose()


@pytest.fixture
def store_on_it(engine_of_ones_own):
    SqlaNamespaceManager._init_dependencies()
    table = make_cache_table(sqlalchemy.MetaData(), f"table_{new_id()}")
    return make_store("ext:sqla", bind=engine_of_ones_own, table=table)


def test_an_engine_of_ones_own_leaves_it_too(
    engine_of_ones_own, store_on_it, id
):
    begin_read_only(engine_of_ones_own)

    assert store_on_it.swap(id, None, "first")


def test_whoever_else_uses_that_engine_stays_with_a_server_to_read_only(
    engine_of_ones_own, store_on_it
):
    begin_read_only(engine_of_ones_own)
    with engine_of_ones_own.connect() as connection:
        with pytest.raises(exc.InternalError, match="read-only"):
            connection.exec_driver_sql("CREATE TABLE theirs (name text)")

        assert not connection.invalidated


def test_an_engine_and_a_table_of_ones_own_will_do(id, tmp_path):
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/sessions.db")
    SqlaNamespaceManager._init_dependencies()
    table = make_cache_table(sqlalchemy.MetaData())
    store = make_store("ext:sqla", bind=engine, table=table)
    store.swap(id, None, "first")
    namespace = SqlaNamespaceManager(id, engine, table, lock_dir=str(tmp_path))
    namespace.acquire_read_lock()

    assert namespace["session"] == "first"


def test_options_of_the_engine_may_hold_the_url(id, tmp_path):
    options = {"sa.url": f"sqlite:///{tmp_path}/sessions.db"}
    store = make_store("ext:database", sa_opts=options)
    store.swap(id, None, "first")

    assert text(store, id) == "first"


def test_options_of_the_engine_may_name_another_pool(id, tmp_path):
    options = {
        "sa.url": f"sqlite:///{tmp_path}/sessions.db",
        "sa.poolclass": sqlalchemy.NullPool,
    }
    store = make_store("ext:database", sa_opts=options)
    store.swap(id, None, "first")

    assert text(store, id) == "first"


def test_an_option_in_the_url_goes_before():
    url = "postgresql+psycopg://a@127.0.0.1:9/a?connect_timeout=2"
    arguments = _connect_arguments(sqlalchemy.make_url(url), 7)

    assert "connect_timeout" not in arguments
    assert arguments["keepalives_idle"] == 7


def test_who_was_not_the_first_leaves_nothing_in_the_log_of_postgresql(
    postgresql, id, monkeypatch
):
    postgresql.start()
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)
    first, second = (
        make_store("ext:database", url=postgresql.url, socket_timeout=seconds)
        for seconds in (8, 9)
    )
    before = len(postgresql.log.read_text())
    assert first.swap(id, None, "first")
    assert not second.swap(id, None, "second")
    with first.lock(id):
        # As if it had not been there at the first look.
        assert not second.swap(lease_name(id), None, "taken")

    assert "ERROR" not in postgresql.log.read_text()[before:]


def test_what_is_noted_again_leaves_nothing_in_the_log_of_postgresql(
    postgresql, id
):
    postgresql.start()
    store = make_store("ext:database", url=postgresql.url)
    mark = new_id()
    store.add_to_index(mark, id)
    before = len(postgresql.log.read_text())
    store.add_to_index(mark, id)

    assert store.find_in_index(mark) == [id]
    assert "ERROR" not in postgresql.log.read_text()[before:]


def test_an_idle_connection_that_was_closed_is_replaced_without_a_table(
    postgresql, id
):
    postgresql.start()
    name = f"idle_{id}"
    store = make_store(
        "ext:database",
        url=f"{postgresql.url}?application_name={name}",
        table_name=f"table_{id}",
    )
    assert store.load(id) is None
    with engine_of(postgresql.url).begin() as connection:
        closed = connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE application_name = '{name}'"
        )
        assert list(closed.scalars()) == [True]

    assert store.load(id) is None


def test_no_thread_waits_for_the_connection_of_another(postgresql, id):
    postgresql.start()
    store = make_store("ext:database", url=postgresql.url, socket_timeout=1)
    with ExitStack() as others:
        for _ in range(20):
            others.enter_context(store._database._engine.connect())

        assert store.load(id) is None


def test_a_server_that_lets_nobody_in_is_waited_for_once(id):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        _, port = silent.getsockname()
        url = f"postgresql+psycopg2://127.0.0.1:{port}/sessions"
        store = make_store("ext:database", url=url, socket_timeout=1)

        with pytest.raises(StoreUnavailable, match="OperationalError"):
            store.load(id)
        with pytest.raises(StoreUnavailable, match="left alone"):
            store.load(id)


def test_a_driver_may_have_waited_for_a_little_less(id):
    """As libpq does, which has another clock."""

    def opens_the_circuit(_):
        store = make_store("ext:database", url=url, socket_timeout=1)
        with pytest.raises(StoreUnavailable):
            store.load(id)
        return store._circuit.is_open

    with socket.create_server(("127.0.0.1", 0)) as silent:
        _, port = silent.getsockname()
        url = f"postgresql+psycopg2://127.0.0.1:{port}/sessions"
        with ThreadPoolExecutor(60) as threads:
            assert all(threads.map(opens_the_circuit, range(120)))


# Numbers of rows

_LAST_OF_32_BITS = 2**31 - 1


def use_up_numbers(url, table):
    """Leave one number of 32 bits for the next row of a table."""
    with engine_of(url).begin() as connection:
        connection.exec_driver_sql(
            f"SELECT setval('{table}_id_seq', {_LAST_OF_32_BITS - 1})"
            if url.startswith("postgresql")
            else f"ALTER TABLE {table} AUTO_INCREMENT = {_LAST_OF_32_BITS}"
        )


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request):
    """A server and the store in it, whose table has yet to be made."""
    server = request.getfixturevalue(request.param)
    server.start()
    table = f"table_{new_id()}"
    return make_store("ext:database", url=server.url, table_name=table), server


def test_the_numbers_of_a_new_table_have_more_than_32_bits(database, id):
    store, server = database
    store.swap(new_id(), None, "first")
    use_up_numbers(server.url, store._table.name)
    store.swap(new_id(), None, "last of 32 bits")

    assert store.swap(id, None, "next")


_ALTERATIONS = {
    "postgresql": [
        "ALTER TABLE {} ALTER id TYPE bigint",
        "ALTER SEQUENCE {}_id_seq AS bigint",
    ],
    "mysql": ["ALTER TABLE {} MODIFY id BIGINT NOT NULL AUTO_INCREMENT"],
}
"""What the page on stores tells an administrator to do."""


@pytest.fixture
def store_of_beaker(database):
    """A table that Beaker has made, and that can number no more rows."""
    store, server = database
    table = store._table.name
    DatabaseNamespaceManager._init_dependencies()
    DatabaseNamespaceManager(
        "any", server.url, {"sa.poolclass": sqlalchemy.NullPool}, table
    )
    use_up_numbers(server.url, table)
    store.swap(new_id(), None, "last")
    return store


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_numbers_that_are_used_up_are_an_outage_and_no_large_session(
    store_of_beaker, id
):
    with pytest.raises(StoreUnavailable, match=r": DataError: 2200H\."):
        store_of_beaker.swap(id, None, "next")


def test_a_table_of_beaker_has_more_numbers_once_it_is_altered(
    store_of_beaker, id
):
    engine, table = store_of_beaker._database._engine, store_of_beaker._table
    with engine.connect() as connection:
        for statement in _ALTERATIONS[engine.dialect.name]:
            connection.exec_driver_sql(statement.format(table.name))

    assert store_of_beaker.swap(id, None, "next")


# Processes


def test_a_store_that_is_kept_across_a_fork_has_another_connection(
    postgresql, id
):
    postgresql.start()
    store = make_store(
        "ext:database", url=postgresql.url, table_name=f"table_{id}"
    )

    def server_process():
        query = "SELECT pg_backend_pid()"
        return store._database.run(
            lambda use: use.exec_driver_sql(query).scalar()
        )

    assert server_process() == server_process()
    assert in_fork(server_process) != server_process()


# Databases in which statements get into each other's way


class Refusal(Exception):
    """An error as drivers raise it."""

    def __init__(self, code, sqlstate=None):
        super().__init__(code, "Deadlock found")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    "refusal", [Refusal(1213), Refusal(None, "40001"), Refusal(1205)]
)
def test_a_statement_that_was_in_the_way_of_another_is_executed_again(
    id, tmp_path, monkeypatch, refusal
):
    store = make_store("ext:database", url=f"sqlite:///{tmp_path}/a.db")
    store.swap(id, None, "first")
    record = store.load(id)
    refuse = [exc.OperationalError("", {}, refusal)] * 3
    connect = store._database._engine.connect

    def refuse_thrice():
        if refuse:
            raise refuse.pop()
        return connect()

    monkeypatch.setattr(store._database._engine, "connect", refuse_thrice)
    assert store.swap(id, record, "second")
    assert text(store, id) == "second"


def test_a_statement_that_is_refused_again_and_again_is_an_outage(
    id, tmp_path, monkeypatch
):
    store = make_store("ext:database", url=f"sqlite:///{tmp_path}/b.db")
    store.swap(id, None, "first")

    def refuse():
        raise exc.OperationalError("", {}, Refusal(1213))

    monkeypatch.setattr(store._database._engine, "connect", refuse)
    with pytest.raises(StoreUnavailable):
        store.load(id)


def test_without_a_table_there_is_nothing_to_list_or_remove(
    id, tmp_path, caplog
):
    store = make_store("ext:database", url=f"sqlite:///{tmp_path}/c.db")
    store.delete(id)

    assert list(store.walk()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_cannot_be_made_is_an_outage(id, tmp_path, monkeypatch):
    store = make_store("ext:database", url=f"sqlite:///{tmp_path}/d.db")

    def refuse(engine):
        raise exc.ProgrammingError("", {}, Refusal(1142))

    monkeypatch.setattr(store._table, "create", refuse)
    with pytest.raises(StoreUnavailable, match="ProgrammingError"):
        store.swap(id, None, "first")


def test_the_log_of_sqlalchemy_shows_no_ids_of_those_it_lists(
    id, tmp_path, caplog
):
    caplog.set_level("DEBUG", "sqlalchemy.engine")
    store = make_store("ext:database", url=f"sqlite:///{tmp_path}/e.db")
    store.swap(id, None, "first")
    [(found, _)] = store.walk()

    assert found == id
    assert "Row" in caplog.text
    assert id not in caplog.text


def test_a_database_removes_large_records_in_several_statements(
    postgresql, monkeypatch
):
    postgresql.start()
    monkeypatch.setattr(sql, "_LARGEST_SHARE", 100)
    sessions = Sessions({"type": "ext:database", "url": postgresql.url})
    sessions.alone()
    for _ in range(3):
        sessions.make()

    assert sessions.store.remove(list(sessions.store.walk())) == 3


def test_a_lock_of_sqlite_is_waited_for_once(id, tmp_path):
    file = tmp_path / "sessions.db"
    store = make_store(
        "ext:database",
        url=f"sqlite:///{file}",
        sa_opts={"connect_args": {"timeout": 0.01}},
    )
    store.swap(id, None, "first")

    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="OperationalError"):
            store.load(id)
        with pytest.raises(StoreUnavailable, match="left alone"):
            store.load(id)


_IMPATIENT = {
    "postgresql": "options=-c%20lock_timeout%3D1100",
    "mariadb": "init_command=SET%20innodb_lock_wait_timeout%3D1",
}
"""What makes a server give up before the one who waits for it does."""


@pytest.mark.parametrize("name", _IMPATIENT)
def test_a_lock_that_the_server_gives_up_waiting_for_is_waited_for_once(
    request, name, id
):
    server = request.getfixturevalue(name)
    server.start()
    url = f"{server.url}?{_IMPATIENT[name]}"
    store = make_store("ext:database", url=url, table_name=f"table_{id}")
    store.swap(id, None, "first")
    record = store.load(id)

    with engine_of(server.url).connect() as other:
        other.exec_driver_sql(f"SELECT * FROM table_{id} FOR UPDATE")
        with pytest.raises(StoreUnavailable, match="OperationalError"):
            store.swap(id, record, "second")
        with pytest.raises(StoreUnavailable, match="left alone"):
            store.load(id)


def test_a_connection_that_others_do_not_give_back_is_waited_for_once(
    id, tmp_path
):
    engine = sqlalchemy.create_engine(
        f"sqlite:///{tmp_path}/sessions.db",
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.01,
    )
    SqlaNamespaceManager._init_dependencies()
    table = make_cache_table(sqlalchemy.MetaData())
    store = make_store("ext:sqla", bind=engine, table=table)
    store.swap(id, None, "first")

    with engine.connect():
        with pytest.raises(StoreUnavailable, match="TimeoutError"):
            store.load(id)
        with pytest.raises(StoreUnavailable, match="left alone"):
            store.load(id)
