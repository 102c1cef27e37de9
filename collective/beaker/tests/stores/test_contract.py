"""The stores: one contract for all kinds of backends."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from pymemcache.client import base as pymemcache_client
from pymemcache.client.base import Client
from redis import Redis
from redis.connection import Connection
from zope.interface.verify import verifyObject

from collective.beaker.ids import new_id
from collective.beaker.interfaces import IStore
from collective.beaker.interfaces import StoreLocked
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.survey import survey
from collective.beaker.stores import base
from collective.beaker.tests.helpers.forks import in_fork
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.stored_sessions import last
from collective.beaker.tests.helpers.stores import make_store
from collective.beaker.tests.helpers.stores import text
from collective.beaker.tests.helpers.waiting import SECONDS


@pytest.fixture
def store(every_store):
    options = dict(vars(every_store))
    del options["folder"]
    return make_store(options.pop("type"), **options)


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


def test_its_place_tells_nothing_about_a_server_that_hung(store, impatient):
    place = store.place
    store._circuit.open()

    assert store.place == place
    assert store._circuit.is_open
    store._circuit.close()


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
        entered.wait(SECONDS)
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
    thread.join(SECONDS)

    assert order == ["first", "second"]


def test_the_lock_of_a_session_keeps_nobody_from_another(
    store, id, monkeypatch
):
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)

    def lock_another():
        with store.lock(new_id()):
            return True

    with store.lock(id), ThreadPoolExecutor(1) as threads:
        assert threads.submit(lock_another).result(SECONDS)


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
        thread.join(SECONDS)

    assert text(store, id) == "80"


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


def connections_to(kind, server):
    """Return how many connections a server has had, but for that of asking."""
    if kind == "redis":
        with closing(Redis.from_url(server.url)) as client:
            return client.info("stats")["total_connections_received"] - 1
    with closing(Client(server.url)) as client:
        return client.stats()[b"total_connections"] - 1


@pytest.mark.parametrize("kind", ["redis", "memcached"])
def test_a_store_that_is_kept_across_a_fork_has_a_connection_of_its_own(
    request, kind, id
):
    server = request.getfixturevalue(kind)
    server.start()
    store = make_store(f"ext:{kind}", url=server.url)
    store.swap(id, None, "first")

    def in_child():
        before = connections_to(kind, server)
        found = text(store, id)
        # One for the store, and one for asking before.
        return found, connections_to(kind, server) - before

    assert in_fork(in_child) == ("first", 2)
    assert text(store, id) == "first"


def test_a_lock_that_is_kept_across_a_fork_is_the_parent_s(
    redis, id, monkeypatch
):
    redis.start()
    store = make_store("ext:redis", url=redis.url)
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)
    lock = store.lock(id)
    lock.__enter__()

    def let_go_and_lock():
        lock.__exit__(None, None, None)
        with pytest.raises(StoreLocked):
            store.lock(id).__enter__()
        return True

    assert in_fork(let_go_and_lock)
    lock.__exit__(None, None, None)


def test_of_several_records_those_that_are_as_they_were_are_removed(
    sessions,
):
    same, changed, gone = (sessions.make() for _ in range(3))
    records = [(id, sessions.store.load(id)) for id in (same, changed, gone)]
    assert sessions.store.swap(changed, records[1][1], "changed")
    sessions.store.delete(gone)

    assert sessions.store.remove(records) == 1
    assert sessions.ids() == {changed}
    assert sessions.store.remove([]) == 0


# Whose turn it is


def test_the_turn_is_one_process_s_until_its_time_is_over(sessions, clock):
    store = sessions.store

    assert store.take_turn("mine", 60)
    assert not store.take_turn("theirs", 60)
    assert store.take_turn("mine", 60)
    clock(61)
    assert store.take_turn("theirs", 60)
    assert not store.take_turn("mine", 60)


def test_the_turn_is_no_session(sessions):
    sessions.store.take_turn("mine", 60)

    assert sessions.ids() == set()
    assert last(survey(sessions.options)).sessions == 0
