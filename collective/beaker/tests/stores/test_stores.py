"""The stores: one contract for all kinds of backends."""

import os
import pickle
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mongomock
import pytest
import sqlalchemy
from beaker.cache import clsmap
from beaker.exceptions import MissingCacheParameter
from beaker.ext.sqla import SqlaNamespaceManager
from beaker.ext.sqla import make_cache_table
from memcache import Client
from pymemcache.client import base as pymemcache_client
from pymemcache.exceptions import MemcacheServerError
from pymongo.errors import DocumentTooLarge
from redis import Redis
from redis import RedisCluster
from redis.connection import Connection
from redis.connection import ConnectionPool
from sqlalchemy import exc
from zope.interface.verify import verifyObject

from collective.beaker.ids import new_id
from collective.beaker.interfaces import IStore
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.interfaces import StoreLocked
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.session import Session
from collective.beaker.stores import base
from collective.beaker.stores import find_store
from collective.beaker.stores.generic import GenericStore
from collective.beaker.stores.sql import _connect_arguments
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.servers import memcached_server
from collective.beaker.tests.helpers.stores import make_store
from collective.beaker.tests.helpers.stores import text


@pytest.fixture
def store(every_store):
    options = dict(vars(every_store))
    del options["folder"]
    return make_store(options.pop("type"), **options)


@pytest.fixture
def id():
    return new_id()


@pytest.fixture
def record(store, id):
    """A record that is stored under the id."""
    assert store.swap(id, None, "first")
    return store.load(id)


def test_a_store_keeps_the_contract(store):
    assert verifyObject(IStore, store)


def test_the_same_options_give_the_same_store(every_store):
    options = dict(vars(every_store))
    del options["folder"]
    kind = options.pop("type")

    assert make_store(kind, **options) is make_store(kind, **options)


def test_an_unknown_id_has_no_record(store, id):
    assert store.load(id) is None


def test_what_was_stored_is_loaded(store, id, record):
    assert store.payload(record) == "first"


def test_a_record_is_made_once(store, id, record):
    assert not store.swap(id, None, "second")
    assert text(store, id) == "first"


def test_a_record_that_is_as_it_was_is_replaced(store, id, record):
    assert store.swap(id, record, "second")
    assert text(store, id) == "second"


def test_a_record_that_was_changed_is_not_replaced(store, id, record):
    store.swap(id, record, "second")

    assert not store.swap(id, record, "third")
    assert text(store, id) == "second"


def test_a_record_that_is_gone_is_not_replaced(store, id, record):
    store.delete(id)

    assert not store.swap(id, record, "second")
    assert store.load(id) is None


def test_a_record_that_is_as_it_was_is_removed(store, id, record):
    assert store.swap(id, record, None)
    assert store.load(id) is None
    assert store.swap(id, None, "again")
    assert text(store, id) == "again"


def test_a_record_that_was_changed_is_not_removed(store, id, record):
    store.swap(id, record, "second")

    assert not store.swap(id, record, None)
    assert text(store, id) == "second"


def test_delete_removes_whatever_is_there(store, id, record):
    store.delete(id)
    assert store.load(id) is None
    store.delete(id)


def test_records_of_others_stay(store, id, record):
    other = new_id()
    store.swap(other, None, "other")
    store.delete(id)

    assert text(store, other) == "other"


def test_large_records(store, id):
    large = "0123456789abcdef" * 3000
    store.swap(id, None, large)
    assert text(store, id) == large
    assert store.swap(id, store.load(id), large + "!")


def test_walk_yields_each_session(store, id, record):
    try:
        found = dict(store.walk())
    except NotImplementedError:
        assert store.kind == "ext:memcached"
        return

    assert store.payload(found[id]) == "first"
    with store.lock(id):
        assert all(len(other) == 32 for other, _ in store.walk())


def test_one_at_a_time_holds_a_lock(store, id):
    order = []
    entered, left = threading.Event(), threading.Event()

    def second():
        entered.wait(30)
        with store.lock(id):
            order.append("second")
        left.set()

    thread = threading.Thread(target=second)
    thread.start()
    with store.lock(id):
        entered.set()
        # The other one has every chance to come in between.
        assert not left.wait(0.05)
        order.append("first")
    thread.join(30)

    assert order == ["first", "second"]


def test_the_lock_of_a_session_keeps_nobody_from_another(
    store, id, monkeypatch
):
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)

    def lock_another():
        with store.lock(new_id()):
            return True

    with store.lock(id), ThreadPoolExecutor(1) as threads:
        assert threads.submit(lock_another).result(30)


def test_the_holder_of_a_lock_may_swap_and_lock_again(store, id, record):
    with store.lock(id), store.lock(id):
        assert store.swap(id, record, "second")


def test_eight_threads_count_exactly(store, id):
    if store.kind == "ext:mongodb":
        pytest.skip("mongomock, unlike MongoDB, finds and updates apart")
    store.swap(id, None, "0")

    def count():
        for _ in range(10):
            while True:
                record = store.load(id)
                following = str(int(store.payload(record)) + 1)
                if store.swap(id, record, following):
                    break

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert text(store, id) == "80"


# A lock that is a record itself


@pytest.fixture
def leasing_stores(redis):
    """Two processes' stores of the same records, as it were."""
    redis.start()
    return [
        make_store("ext:redis", url=redis.url, timeout=timeout)
        for timeout in (100, 200)
    ]


@pytest.fixture
def let_leases_end(monkeypatch):
    def let_leases_end():
        later = base.time.time() + base.LEASE_SECONDS + 1
        monkeypatch.setattr(base.time, "time", lambda: later)

    return let_leases_end


def test_the_lock_of_one_who_was_killed_is_free_after_a_while(
    leasing_stores, id, let_leases_end
):
    killed, other = leasing_stores
    killed.lock(id).__enter__()
    let_leases_end()

    with other.lock(id):
        pass


def test_who_comes_back_late_does_not_free_the_lock_of_another(
    leasing_stores, id, let_leases_end
):
    slow, other = leasing_stores
    late = slow.lock(id)
    late.__enter__()
    let_leases_end()
    with other.lock(id):
        late.__exit__(None, None, None)
        assert other.load(f"{id}-lock") is not None

    assert other.load(f"{id}-lock") is None


def test_nobody_waits_for_long_for_a_lock(leasing_stores, id, monkeypatch):
    slow, other = leasing_stores
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)
    with slow.lock(id), pytest.raises(StoreLocked, match="it is locked"):
        other.lock(id).__enter__()


def test_a_lock_that_cannot_be_read_is_free(leasing_stores, id):
    store, _ = leasing_stores
    store.swap(f"{id}-lock", None, "rubbish")

    with store.lock(id):
        pass


def test_a_lock_shows_none_of_the_data(leasing_stores, id):
    store, _ = leasing_stores
    with store.lock(id, "payload"):
        held = text(store, f"{id}-lock")

    assert "payload" not in held
    assert len(held) > len("payload")


@pytest.mark.parametrize("kind", ["memory", "file", "dbm"])
def test_nobody_waits_for_long_for_a_lock_in_a_process_or_a_folder(
    kind, id, tmp_path, monkeypatch
):
    store = make_store(kind, data_dir=str(tmp_path))
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)

    def take():
        with pytest.raises(StoreLocked, match="it is locked"):
            store.lock(id).__enter__()

    with store.lock(id), ThreadPoolExecutor(1) as threads:
        threads.submit(take).result(30)


# Files


@pytest.fixture(params=[0, 0o022, 0o277], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_files_are_for_their_owner_only(kind, id, tmp_path, umask):
    top = tmp_path / "sessions"
    store = make_store(kind, data_dir=str(top))
    store.swap(id, None, "first")
    store.swap(id, store.load(id), "second")
    paths = [top, *top.rglob("*")]

    assert {
        stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()
    } == {0o700}
    assert {
        stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()
    } == {0o600}


@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_looking_for_a_session_makes_no_files(kind, id, tmp_path):
    store = make_store(kind, data_dir=str(tmp_path))
    store.load(id)
    store.delete(id)
    assert list(store.walk()) == []

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_folders_can_be_named_one_by_one(kind, id, tmp_path):
    options = {
        f"{kind}_dir": str(tmp_path / "a"),
        "lock_dir": str(tmp_path / "b"),
    }
    make_store(kind, **options).swap(id, None, "first")

    assert list((tmp_path / "a").rglob(f"{id}*"))
    assert list((tmp_path / "b").rglob("*.lock"))


@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_a_folder_is_needed(kind):
    with pytest.raises(MissingCacheParameter, match=r"session\.data_dir"):
        make_store(kind)


def test_a_failed_write_leaves_the_record_and_no_rubbish(
    id, tmp_path, monkeypatch
):
    store = make_store("file", data_dir=str(tmp_path))
    store.swap(id, None, "first")
    files = set(tmp_path.rglob("*"))

    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(StoreUnavailable, match="No space left on device"):
        store.swap(id, store.load(id), "second")

    assert text(store, id) == "first"
    assert set(tmp_path.rglob("*")) == files


# Stores that cannot be used


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("file", {"data_dir": "{occupied}"}),
        ("dbm", {"data_dir": "{occupied}"}),
        ("ext:database", {"url": "sqlite:////{occupied}/a.db"}),
        ("ext:redis", {"url": "redis://:secret@127.0.0.1:{port}/0"}),
        ("ext:memcached", {"url": "127.0.0.1:{port}"}),
        (
            "ext:database",
            {"url": "postgresql+psycopg://a:secret@127.0.0.1:{port}/a"},
        ),
        (
            "ext:database",
            {"url": "mysql+pymysql://a:secret@127.0.0.1:{port}/a"},
        ),
    ],
    ids=[
        "file",
        "dbm",
        "sqlite",
        "redis",
        "memcached",
        "postgresql",
        "mariadb",
    ],
)
@pytest.mark.parametrize(
    "use",
    [
        lambda store, id: store.load(id),
        lambda store, id: store.swap(id, None, "first"),
        lambda store, id: store.delete(id),
    ],
    ids=["load", "swap", "delete"],
)
def test_a_store_that_cannot_be_used_says_which_and_shows_no_password(
    kind, options, use, id, tmp_path
):
    occupied = tmp_path / "occupied"
    occupied.write_text("")
    filled = {
        name: value.format(occupied=occupied, port=free_port())
        for name, value in options.items()
    }
    store = make_store(kind, **filled)

    with pytest.raises(StoreUnavailable) as raised:
        use(store, id)
    assert kind in str(raised.value)
    assert "secret" not in str(raised.value)
    assert raised.value.__context__ is None


# Backends of other packages


class OtherBackend(clsmap["memory"]):
    """A backend that is none of Beaker's own."""

    def __init__(self, namespace, **options):
        if "socket_timeout" in options:
            raise TypeError("socket_timeout")
        super().__init__(f"other-{namespace}")


@pytest.fixture
def other_store():
    return find_store("other", OtherBackend, {"url": "there"}, 5)


def test_a_backend_of_another_package_is_used_as_it_is(other_store, id):
    assert isinstance(other_store, GenericStore)
    assert other_store.load(id) is None
    assert other_store.swap(id, None, "first")
    assert not other_store.swap(id, None, "second")
    assert other_store.swap(id, other_store.load(id), "second")
    assert text(other_store, id) == "second"
    other_store.delete(id)
    assert other_store.load(id) is None


def test_a_backend_of_another_package_removes_by_swap(other_store, id):
    other_store.swap(id, None, "first")

    assert other_store.swap(id, other_store.load(id), None)
    assert other_store.load(id) is None


def test_a_backend_of_another_package_lists_nothing(other_store):
    with pytest.raises(NotImplementedError):
        list(other_store.walk())


def test_options_without_a_hash_find_their_store():
    first = find_store("other", OtherBackend, {"sa_opts": {"a": []}}, 5)
    second = find_store("other", OtherBackend, {"sa_opts": {"a": []}}, 5)
    third = find_store("other", OtherBackend, {"sa_opts": {"a": [1]}}, 5)

    assert first is second
    assert first is not third


def test_stores_write_nothing_outside_their_folder(id, tmp_path):
    store = make_store("file", data_dir=str(tmp_path / "a"))
    store.swap(id, None, "first")

    assert list(tmp_path.iterdir()) == [Path(tmp_path / "a")]


# Limits


def test_what_is_larger_than_an_item_of_memcached_is_refused(
    memcached_store, id
):
    store = make_store("ext:memcached", url=memcached_store.url)
    store.swap(id, None, "small")
    large = "x" * 2_000_000

    with pytest.raises(RecordTooLarge, match=r"2000\d\d\d bytes.*larger -I"):
        store.swap(id, store.load(id), large)
    with pytest.raises(RecordTooLarge):
        store.swap(new_id(), None, large)
    assert text(store, id) == "small"


def test_what_is_larger_than_a_column_of_mariadb_is_refused(mariadb, id):
    mariadb.start()
    store = make_store("ext:database", url=mariadb.url)
    store.swap(id, None, "small")

    with pytest.raises(RecordTooLarge, match=r"64 kB.*LONGBLOB"):
        store.swap(id, store.load(id), "x" * 70_000)
    assert text(store, id) == "small"


def test_what_is_larger_than_a_document_of_mongodb_is_refused(id, monkeypatch):
    client = mongomock.MongoClient("mongodb://localhost/sessions")
    store = make_store("ext:mongodb", url=client)

    def refuse(*args):
        raise DocumentTooLarge("large")

    monkeypatch.setattr(mongomock.Collection, "insert_one", refuse)
    with pytest.raises(RecordTooLarge, match="16 MB"):
        store.swap(id, None, "large")


# Expiry


@pytest.mark.parametrize("days", [1, 60])
def test_memcached_forgets_after_the_timeout(memcached, id, days):
    memcached.start()
    seconds = days * 24 * 60 * 60
    store = make_store("ext:memcached", url=memcached.url, timeout=seconds)
    store.swap(id, None, "first")
    assert store.swap(id, store.load(id), "second")

    assert text(store, id) == "second"
    [left] = seconds_left(memcached, f"{id}_session")
    assert seconds - 60 < left <= seconds + 60


def seconds_left(memcached, key):
    """Ask a memcached for an item's remaining time."""
    with socket.create_connection(("127.0.0.1", memcached.port)) as connection:
        connection.sendall(f"mg {key} t\r\n".encode())
        answer = connection.recv(100).decode()
    return [int(flag[1:]) for flag in answer.split() if flag[0] == "t"]


def test_redis_forgets_after_the_timeout(redis, id):
    redis.start()
    store = make_store("ext:redis", url=redis.url, timeout=100)
    store.swap(id, None, "first")
    store.swap(id, store.load(id), "second")

    left = Redis.from_url(redis.url).ttl(f"beaker_cache:{id}:session")
    assert 40 < left <= 100


def test_mongodb_is_told_when_a_session_expires(id):
    client = mongomock.MongoClient("mongodb://localhost/sessions")
    store = make_store("ext:mongodb", url=client, timeout=100)
    store.swap(id, None, "first")

    [stored] = client.get_default_database().backer_cache.find()
    assert stored["expiration"] > time.time()


# Several servers


def test_each_of_several_memcached_has_some_sessions(memcached, tmp_path):
    memcached.start()
    with memcached_server(tmp_path) as other:
        store = make_store("ext:memcached", url=f"{memcached.url};{other.url}")
        python_memcached = Client([memcached.url, other.url])
        for _ in range(20):
            id = new_id()
            store.swap(id, None, "first")
            # It looks for the session on the same server.
            assert python_memcached.get(f"{id}_session") == "first"
        alone = make_store("ext:memcached", url=memcached.url)
        store.swap(id, store.load(id), "second")
        found = [alone.load(new_id()) for _ in range(3)]

    assert found == [None] * 3


def test_the_sessions_of_a_memcached_that_is_gone_are_unavailable(
    memcached, tmp_path
):
    memcached.start()
    with memcached_server(tmp_path) as other:
        store = make_store("ext:memcached", url=f"{memcached.url};{other.url}")
        ids = [new_id() for _ in range(20)]
        for id in ids:
            store.swap(id, None, "first")
        other.stop()
        outcomes = {outcome(store, id) for id in ids}

    assert outcomes == {"first", "unavailable"}


def outcome(store, id):
    try:
        return text(store, id)
    except StoreUnavailable:
        return "unavailable"


# SQL


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
        make_store("ext:database", **options, data_dir=name) for name in "ab"
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
    postgresql_store._table.drop(postgresql_store._engine)
    with pytest.raises(StoreUnavailable, match=r": 42P01\.") as raised:
        postgresql_store.load(id)

    assert id not in str(raised.value)


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


def test_an_option_in_the_url_goes_before():
    url = "postgresql+psycopg://a@127.0.0.1:9/a?connect_timeout=2"
    arguments = _connect_arguments(sqlalchemy.make_url(url), 7)

    assert "connect_timeout" not in arguments
    assert arguments["keepalives_idle"] == 7


# Redis


def test_a_client_of_ones_own_will_do(redis, id):
    redis.start()
    store = make_store("ext:redis", url=Redis.from_url(redis.url))
    store.swap(id, None, "first")

    assert text(store, id) == "first"


def test_a_cluster_that_is_gone_is_an_unavailable_store():
    urls = f"redis://:secret@127.0.0.1:{free_port()}"

    with pytest.raises(StoreUnavailable) as raised:
        make_store("ext:rediscluster", urls=urls)
    assert str(raised.value).endswith(" fails: ConnectionError.")
    assert "secret" not in str(raised.value)


def test_a_cluster_client_of_ones_own_will_do(cluster_urls, id):
    first = cluster_urls.split(",")[0]
    client = RedisCluster.from_url(first)
    store = make_store("ext:rediscluster", urls=client)
    store.swap(id, None, "first")

    assert text(store, id) == "first"


# Processes


def test_a_forked_process_has_connections_of_its_own(postgresql):
    postgresql.start()
    store = make_store("ext:database", url=postgresql.url)
    script = subprocess.run(
        [sys.executable, "-c", FORK, postgresql.url],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert script.stdout == "another\n", script.stderr
    assert store is make_store("ext:database", url=postgresql.url)


FORK = """
import os, sys
from beaker.cache import clsmap
from collective.beaker.stores import find_store
def store():
    options = {"url": sys.argv[1]}
    return find_store("ext:database", clsmap["ext:database"], options, 5)
before = store()
child = os.fork()
if child:
    os.waitpid(child, 0)
else:
    print("the same" if store() is before else "another", flush=True)
    os._exit(0)
"""


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
    execute = store._execute

    def refuse_thrice(*arguments):
        if refuse:
            raise refuse.pop()
        return execute(*arguments)

    monkeypatch.setattr(store, "_execute", refuse_thrice)
    assert store.swap(id, record, "second")
    assert text(store, id) == "second"


def test_a_statement_that_is_refused_again_and_again_is_an_outage(
    id, tmp_path, monkeypatch
):
    store = make_store("ext:database", url=f"sqlite:///{tmp_path}/b.db")
    store.swap(id, None, "first")

    def refuse(*arguments):
        raise exc.OperationalError("", {}, Refusal(1213))

    monkeypatch.setattr(store, "_execute", refuse)
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


def test_a_folder_may_be_named_from_where_zope_was_started(
    id, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    store = make_store("file", data_dir="sessions")
    store.swap(id, None, "first")

    assert list(tmp_path.rglob(f"{id}.cache"))


def test_an_error_of_memcached_is_an_outage(memcached, id, monkeypatch):
    memcached.start()
    store = make_store("ext:memcached", url=memcached.url)

    def refuse(*args, **options):
        raise MemcacheServerError(b"out of memory storing object")

    monkeypatch.setattr(pymemcache_client.Client, "add", refuse)
    with pytest.raises(StoreUnavailable, match="MemcacheServerError"):
        store.swap(id, None, "first")


def test_a_container_without_a_session_holds_none(id, tmp_path):
    store = make_store("file", data_dir=str(tmp_path))

    assert store.payload(base.Record(pickle.dumps({"a": "b"}))) is None


def test_a_new_id_takes_along_what_was_saved_in_between(id):
    first = Session({}, id=id, use_cookies=False)
    first.save()
    session = Session({}, id=id, use_cookies=False)
    session.regenerate_id()
    first["a"] = 1
    first.save()
    session.save()

    assert Session({}, id=session.id, use_cookies=False)["a"] == 1
    assert Session({}, id=id, use_cookies=False).is_new


class Interruption(BaseException):
    """What ends a thread in the middle of its work."""


@pytest.mark.parametrize("kind", ["redis", "memcached"])
def test_an_answer_nobody_waited_for_is_not_taken_for_the_next(
    request, kind, id, monkeypatch
):
    server = request.getfixturevalue(kind)
    server.start()
    store = make_store(f"ext:{kind}", url=server.url)
    other = new_id()
    store.swap(id, None, "mine")
    store.swap(other, None, "yours")

    def interrupt(*arguments, **options):
        raise Interruption

    with monkeypatch.context() as patches:
        if kind == "redis":
            patches.setattr(Connection, "read_response", interrupt)
        else:
            patches.setattr(pymemcache_client, "_recv", interrupt)
        with pytest.raises(Interruption):
            store.load(id)

    assert text(store, other) == "yours"


def test_a_client_that_code_gives_asks_for_connections_by_itself(redis, id):
    redis.start()

    class FindsItsServer(ConnectionPool):
        """A pool that knows the server only when it connects."""

        def get_connection(self, *arguments, **options):
            asked.append(1)
            return super().get_connection(*arguments, **options)

    asked = []
    client = Redis(connection_pool=FindsItsServer.from_url(redis.url))
    store = make_store("ext:redis", url=client)
    store.swap(id, None, "first")

    assert text(store, id) == "first"
    assert len(asked) >= 2
