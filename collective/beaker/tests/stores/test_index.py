"""The index of a store, which names the sessions of a user without a walk."""

import os
import stat

import pytest
import sqlalchemy
from beaker.ext.database import DatabaseNamespaceManager
from redis import Redis

from collective.beaker.ids import new_id
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores import sql
from collective.beaker.tests.helpers.records import engine_of
from collective.beaker.tests.helpers.stored_sessions import last
from collective.beaker.tests.helpers.stores import SHARED_STORES
from collective.beaker.tests.helpers.stores import make_store
from collective.beaker.tests.helpers.stores import store_fixture


INDEXING_STORES = (*SHARED_STORES, "rediscluster")

indexing_store = store_fixture(*INDEXING_STORES)
database = store_fixture("sqlite", "postgresql", "mariadb")
plain_store = store_fixture("memory", "memcached", "mongodb")


def store_of(options, **more):
    given = {**vars(options), **more}
    del given["folder"]
    return make_store(given.pop("type"), **given)


@pytest.fixture
def store(indexing_store):
    return store_of(indexing_store, timeout=3600)


@pytest.fixture
def mark():
    return new_id()


def test_the_index_has_what_was_noted_for_a_mark(store, mark):
    other_mark = new_id()
    mine, also_mine, other = (new_id() for _ in range(3))
    noted = (mark, mine), (mark, also_mine), (other_mark, other)
    for of_mark, id in noted * 2:
        store.add_to_index(of_mark, id)

    assert store.has_index
    assert sorted(store.find_in_index(mark)) == sorted([mine, also_mine])
    assert store.find_in_index(other_mark) == [other]


def test_the_index_has_nothing_for_an_unknown_mark(store, mark):
    store.add_to_index(mark, new_id())

    assert store.find_in_index(new_id()) == []


def test_what_is_removed_is_no_longer_in_the_index(store, mark):
    other_mark = new_id()
    kept, *removed = (new_id() for _ in range(4))
    for id in (kept, *removed):
        store.add_to_index(mark, id)
    store.add_to_index(other_mark, removed[0])
    store.remove_from_index(mark, removed)
    store.remove_from_index(mark, [])

    assert store.find_in_index(mark) == [kept]
    assert store.find_in_index(other_mark) == [removed[0]]


def test_the_index_is_no_session(store, mark):
    # Others may be ended meanwhile in a store that tests share.
    before = {name for name, _ in store.walk_all()}
    store.add_to_index(mark, new_id())

    assert {name for name, _ in store.walk_all()} <= before


def test_a_store_without_an_index_notes_nothing(plain_store, mark):
    store = store_of(plain_store)
    store.add_to_index(mark, new_id())

    assert not store.has_index
    assert store.find_in_index(mark) is None


# What is no longer needed


def test_a_sweep_removes_what_has_no_session(indexing_store, mark):
    store = store_of(indexing_store)
    alive, gone = new_id(), new_id()
    store.swap(alive, None, "a session")
    for id in (alive, gone):
        store.add_to_index(mark, id)

    last(store.clean_up(dry_run=True))
    assert len(store.find_in_index(mark)) == 2
    last(store.clean_up())
    assert store.find_in_index(mark) == [alive]


def test_redis_forgets_what_has_expired(redis, clock, mark):
    redis.start()
    client = Redis.from_url(redis.url)
    client.flushall()
    store = make_store("ext:redis", url=redis.url, timeout=3600)
    early, late = new_id(), new_id()
    store.add_to_index(mark, early)
    clock(3599)
    store.add_to_index(mark, late)
    assert sorted(store.find_in_index(mark)) == sorted([early, late])
    clock(2)
    store.add_to_index(mark, late)

    assert store.find_in_index(mark) == [late]
    assert client.ttl(f"beaker_user:{mark}") == 3600


def test_redis_forgets_nothing_once_a_timeout_has_been_removed(redis, mark):
    redis.start()
    expiring = make_store("ext:redis", url=redis.url, timeout=3600)
    lasting = make_store("ext:redis", url=redis.url)
    expiring.add_to_index(mark, new_id())
    lasting.add_to_index(mark, new_id())

    client = Redis.from_url(redis.url)
    assert client.ttl(f"beaker_user:{mark}") == -1


def test_the_files_of_the_index_are_for_their_owner_only(
    tmp_path, umask, id, mark
):
    store = make_store("file", data_dir=str(tmp_path))
    store.add_to_index(mark, id)
    folder = tmp_path / "container_file" / "users"

    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert modes == {0o600, 0o700}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["file", "dbm"])
@pytest.mark.parametrize("place", ["", "ab", "ab/{mark}"])
def test_a_sweep_follows_no_link_in_the_index(tmp_path, kind, place):
    mark, elsewhere = "ab" * 16, tmp_path / "elsewhere"
    for folder in (elsewhere, elsewhere / "ab" / mark, elsewhere / mark):
        (folder / new_id()).mkdir(parents=True)
        (folder / "precious").write_text("precious")
    before = set(elsewhere.rglob("*"))
    link = tmp_path / f"container_{kind}/users" / place.format(mark=mark)
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    store = make_store(kind, data_dir=str(tmp_path))

    list(store.clean_up())

    assert set(elsewhere.rglob("*")) == before
    assert store.find_in_index(mark) is None


@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_a_sweep_leaves_what_has_no_name_of_a_session(tmp_path, kind):
    mark = "ab" * 16
    other = tmp_path / f"container_{kind}/users/ab" / mark / "precious"
    other.parent.mkdir(parents=True)
    other.write_text("precious")

    list(make_store(kind, data_dir=str(tmp_path)).clean_up())

    assert other.exists()


@pytest.mark.parametrize("kind", ["file", "dbm"])
@pytest.mark.parametrize("place", ["a", "a/ab"])
def test_a_sweep_follows_no_link_among_the_sessions(tmp_path, kind, place):
    elsewhere = tmp_path / "elsewhere"
    for folder in (elsewhere, elsewhere / "ab"):
        folder.mkdir()
        for ending in ("temp", "lock"):
            (folder / f"precious.{ending}").write_text("precious")
            os.utime(folder / f"precious.{ending}", (0, 0))
    before = set(elsewhere.rglob("*"))
    for container in (f"container_{kind}", f"container_{kind}_lock"):
        link = tmp_path / container / place
        link.parent.mkdir(parents=True)
        link.symlink_to(elsewhere)

    list(make_store(kind, data_dir=str(tmp_path)).clean_up())

    assert set(elsewhere.rglob("*")) == before


def test_a_user_without_sessions_has_no_folder_in_the_index(
    tmp_path, id, mark
):
    store = make_store("file", data_dir=str(tmp_path))
    store.add_to_index(mark, id)
    store.remove_from_index(mark, [id])

    assert not [*tmp_path.rglob(mark)]
    store.add_to_index(mark, id)
    assert store.find_in_index(mark) == [id]


# The table


def test_beaker_reads_what_is_in_a_database_with_an_index(database, id, mark):
    store = store_of(database)
    store.swap(id, None, "a session")
    store.add_to_index(mark, id)

    beaker = DatabaseNamespaceManager(id, url=database.url)
    beaker.do_open("r", False)
    assert beaker["session"] == "a session"


def test_a_table_of_an_earlier_release_gets_an_index(database, id, mark):
    engine = engine_of(database.url)
    store = store_of(database)
    store.swap(id, None, "a session")
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text("DROP TABLE IF EXISTS beaker_cache_users")
        )
    store._index._table_exists = False

    assert store.find_in_index(mark) is None
    store.add_to_index(mark, id)
    assert store.find_in_index(mark) == [id]


@pytest.fixture
def restricted(postgresql, id):
    """A store that may not make tables, and one that may, of one table.

    As where an administrator has made Beaker's table by hand.
    """
    postgresql.start()
    name = f"table_{id}"
    role, password = f"role_{id}", new_id()
    owner = make_store("ext:database", url=postgresql.url, table_name=name)
    owner.swap(id, None, "a session")
    with engine_of(postgresql.url).begin() as connection:
        for statement in (
            f"CREATE ROLE {role} LOGIN PASSWORD '{password}'",
            "REVOKE CREATE ON SCHEMA public FROM public",
            f"GRANT ALL ON {name} TO {role}",
            f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {role}",
        ):
            connection.execute(sqlalchemy.text(statement))
    url = sqlalchemy.make_url(postgresql.url)
    url = url.set(username=role, password=password)
    url = url.render_as_string(hide_password=False)
    return make_store("ext:database", url=url, table_name=name), owner


def test_without_the_right_to_make_a_table_there_is_no_index(
    restricted, id, caplog, mark
):
    store, _ = restricted

    assert store.find_in_index(mark) is None
    for _ in range(2):
        store.add_to_index(mark, id)

    assert store.find_in_index(mark) is None
    (message,) = [each.getMessage() for each in caplog.records]
    assert f"table_{id}_users cannot be made" in message
    assert "42501" in message


def test_an_index_that_another_process_could_make_has_the_sessions_of_all(
    restricted, id, mark
):
    store, owner = restricted
    store.add_to_index(mark, id)
    owner.add_to_index(new_id(), new_id())

    store.add_to_index(mark, id)
    assert owner.find_in_index(mark) == [id]


def test_an_index_whose_table_is_removed_is_missed_only_once(database, mark):
    store = store_of(database)
    store.add_to_index(mark, id := new_id())
    assert store.find_in_index(mark) == [id]
    store._of_index.table.drop(store._database._engine)
    with pytest.raises(StoreUnavailable):
        store.find_in_index(mark)

    assert store.find_in_index(mark) is None


def test_many_are_removed_a_few_at_a_time(database, monkeypatch, mark):
    monkeypatch.setattr(sql, "_BATCH", 2)
    store = store_of(database)
    ids = [new_id() for _ in range(5)]
    for id in ids:
        store.add_to_index(mark, id)

    store.remove_from_index(mark, ids)

    assert store.find_in_index(mark) == []
