"""The sessions of one user: listed and ended, over an index or without."""

from types import SimpleNamespace

import pytest
import sqlalchemy
from redis import Redis

from collective.beaker.ids import new_id
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.users import end_session_of_user
from collective.beaker.maintenance.users import end_sessions_of_user
from collective.beaker.maintenance.users import list_sessions_of_user
from collective.beaker.maintenance.users import sessions_of_user
from collective.beaker.session.moves import make_tombstone
from collective.beaker.stores import base
from collective.beaker.stores.lock_files import hold
from collective.beaker.tests.helpers.records import engine_of
from collective.beaker.tests.helpers.servers import redis_server
from collective.beaker.tests.helpers.sessions import open_stored
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stored_sessions import last
from collective.beaker.tests.helpers.stored_sessions import options_of
from collective.beaker.tests.helpers.stores import store_fixture


ANNA, BERT = "/acl_users\0anna", "/acl_users\0bert"

kept_in = store_fixture("memory", "file", "redis")
indexed_in = store_fixture("file", "sqlite", "redis")
in_database = store_fixture("sqlite")
in_dbm = store_fixture("dbm")


class SessionsOfUsers(Sessions):
    """Sessions in a store, each of which may be a user's."""

    def make_for(self, user, client="Firefox on Linux", **values):
        """Store a session as a request of a user does; return its id."""
        session = open_stored(**self.options)
        session.data.update(values)
        session.belong_to(self.mark(user), client)
        session.save()
        return session.id

    def move(self, id):
        """Give a session a new id, as a request does."""
        session = open_stored(id, **self.options)
        session.regenerate_id()
        session.save()

    def mark(self, user):
        return self.session.policy.owners.mark(user)

    def ids_of(self, user):
        return {each.id for each in sessions_of_user(self.options, user)}


def sessions_in(store, **more):
    options = {"timeout": 3600, "secret": "a-long-secret-of-the-tests"}
    return SessionsOfUsers({**options_of(store), **options, **more}).alone()


@pytest.fixture
def sessions(kept_in):
    return sessions_in(kept_in)


@pytest.fixture
def indexed(indexed_in):
    return sessions_in(indexed_in)


def test_a_user_s_sessions_are_listed_the_one_last_used_first(sessions, clock):
    before = sessions.make_for(ANNA, "Safari on iPhone")
    clock(60)
    after = sessions.make_for(ANNA)
    sessions.make_for(BERT)
    sessions.make()

    first, second = list_sessions_of_user(sessions.options, ANNA)
    assert (first.id, first.client) == (after, "Firefox on Linux")
    assert (second.id, second.client) == (before, "Safari on iPhone")
    assert first.created - second.created == 60
    assert first.last_used - second.last_used == 60
    assert first.token != second.token
    assert before not in repr(second) + second.token


def test_an_expired_session_is_not_listed(sessions, clock):
    sessions.make_for(ANNA)
    clock(3601)

    assert sessions.ids_of(ANNA) == set()


def test_a_session_that_expires_in_a_request_is_ended_with_the_others(
    sessions, clock
):
    id = sessions.make_for(ANNA)
    session = open_stored(id, **sessions.options)
    clock(3601)
    assert last(end_sessions_of_user(sessions.options, ANNA)) == 0

    session.save()
    assert sessions.ids() == set()


def test_the_token_of_a_session_ends_it(sessions):
    kept, ended = sessions.make_for(ANNA), sessions.make_for(ANNA)
    tokens = {
        each.id: each.token
        for each in sessions_of_user(sessions.options, ANNA)
    }

    assert end_session_of_user(sessions.options, ANNA, tokens[ended])
    assert sessions.ids() == {kept}
    assert not end_session_of_user(sessions.options, ANNA, tokens[ended])


def test_the_token_of_somebody_else_s_session_ends_nothing(sessions):
    ids = {sessions.make_for(ANNA), sessions.make_for(BERT)}
    (berts,) = sessions_of_user(sessions.options, BERT)

    for given in (berts.token, berts.id, "", "\N{SNOWMAN}"):
        assert not end_session_of_user(sessions.options, ANNA, given)
    assert sessions.ids() == ids


def test_all_sessions_but_one_are_ended(sessions):
    kept, *_ = (sessions.make_for(ANNA) for _ in range(3))
    berts = sessions.make_for(BERT)

    assert last(end_sessions_of_user(sessions.options, ANNA, {kept})) == 2
    assert sessions.ids() == {kept, berts}
    assert last(end_sessions_of_user(sessions.options, ANNA)) == 1
    assert sessions.ids() == {berts}


def change_secret(sessions):
    sessions.options |= {
        "secret": "another-secret-of-the-tests",
        "secret_fallbacks": sessions.options["secret"],
    }


def test_the_secret_may_have_changed_meanwhile(sessions):
    former = sessions.make_for(ANNA)
    change_secret(sessions)

    assert sessions.ids_of(ANNA) == {former}


def test_a_token_ends_its_session_though_the_secret_has_changed(sessions):
    _, moved = sessions.make_for(ANNA), sessions.make_for(ANNA)
    shown = list(sessions_of_user(sessions.options, ANNA))
    sessions.move(moved)
    change_secret(sessions)

    assert all(
        end_session_of_user(sessions.options, ANNA, each.token)
        for each in shown
    )
    assert sessions.ids_of(ANNA) == set()


# With an index


def test_an_index_makes_it_unnecessary_to_read_all_sessions(
    indexed, monkeypatch
):
    id = indexed.make_for(ANNA)
    monkeypatch.setattr(indexed.store, "walk_all", None)

    assert indexed.ids_of(ANNA) == {id}


def test_what_the_index_has_wrong_is_left_out_and_removed(indexed):
    mine, berts = indexed.make_for(ANNA), indexed.make_for(BERT)
    gone, mark = new_id(), indexed.mark(ANNA)
    for id in (berts, gone, "no id"):
        indexed.store.add_to_index(mark, id)

    assert indexed.ids_of(ANNA) == {mine}
    assert indexed.store.find_in_index(mark) == [mine]


def test_where_the_table_of_the_index_is_missing_all_sessions_are_read(
    in_database,
):
    """After an upgrade, or where Zope may not make a table."""
    sessions = sessions_in(in_database)
    mine = sessions.make_for(ANNA)
    with engine_of(in_database.url).begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE beaker_cache_users"))
    sessions.session.policy.store._index._table_exists = False

    assert sessions.ids_of(ANNA) == {mine}


def test_what_cannot_be_read_here_stays_in_the_index(indexed):
    """Another process may have the class that is missing here."""
    id = indexed.make_for(ANNA)
    store = indexed.session.policy.store
    store.swap(id, store.load(id), "no session")

    assert indexed.ids_of(ANNA) == set()
    assert store.find_in_index(indexed.mark(ANNA)) == [id]


def test_what_cannot_be_read_here_is_ended_by_the_index(indexed, clock):
    """It may be a session to a process whose clock is right."""
    indexed.make_for(ANNA)
    (ended,) = sessions_of_user(indexed.options, ANNA)
    other = indexed.make_for(ANNA)
    berts = indexed.make_for(BERT)
    clock(-600)

    assert end_session_of_user(indexed.options, ANNA, ended.token)
    assert indexed.ids() == {other, berts}
    assert last(end_sessions_of_user(indexed.options, ANNA)) == 1
    assert indexed.ids() == {berts}


def forget(indexed, *ids):
    indexed.store.remove_from_index(indexed.mark(ANNA), ids)


def test_the_index_is_not_told_of_each_change(indexed, clock):
    id = indexed.make_for(ANNA)
    forget(indexed, id)
    for after, found in ((0, set()), (600, {id})):
        clock(after)
        session = open_stored(id, **indexed.options)
        session.data["city"] = "Lisbon"
        session.save()
        assert indexed.ids_of(ANNA) == found


def test_a_session_in_use_all_the_time_stays_in_the_index(redis, clock):
    """However often it is stored: a new password must find it."""
    redis.start()
    options = SimpleNamespace(type="ext:redis", url=redis.url, folder=None)
    sessions = sessions_in(options, timeout=60)
    id = sessions.make_for(ANNA)
    for _ in range(40):
        clock(5)
        session = open_stored(id, **sessions.options)
        session["count"] = session.get("count", 0) + 1
        session.save()
    # What has expired in the index is removed when another one is noted.
    other = sessions.make_for(ANNA)

    assert sessions.ids_of(ANNA) == {id, other}


def test_what_the_index_has_lost_is_back_once_it_is_used(indexed, clock):
    id = indexed.make_for(ANNA)
    forget(indexed, id)
    session = open_stored(id, **indexed.options)
    session.save(everything=False)
    assert indexed.ids_of(ANNA) == set()
    clock(600)
    session = open_stored(id, **indexed.options)
    session.save(everything=False)

    assert indexed.ids_of(ANNA) == {id}


def test_a_search_finds_what_the_index_has_lost_and_puts_it_back(indexed):
    id = indexed.make_for(ANNA)
    forget(indexed, id)

    (found,) = sessions_of_user(indexed.options, ANNA, search_all=True)
    assert found.id == id
    assert indexed.ids_of(ANNA) == {id}


def test_a_session_that_moves_in_a_long_search_is_found(in_dbm, clock):
    sessions = sessions_in(in_dbm)
    first, moving = sorted(sessions.make_for(ANNA) for _ in range(2))
    search = sessions_of_user(sessions.options, ANNA, search_all=True)
    assert next(search).id == first
    session = open_stored(moving, **sessions.options)
    session.opened.id = "0" * 32
    session.save()
    clock(61)

    assert [each.id for each in search] == [session.id]


def test_a_session_that_is_moving_is_found_where_it_goes(indexed):
    former = indexed.make_for(ANNA)
    session = open_stored(former, **indexed.options)
    session.regenerate_id()
    session.save()
    # As if its process had been killed before it told the index.
    forget(indexed, session.id)

    # To list sessions does not hide one from who ends them next.
    for _ in range(2):
        assert indexed.ids_of(ANNA) == {session.id}


def test_a_token_names_a_session_that_has_moved_since(sessions):
    former = sessions.make_for(ANNA)
    (token,) = [
        each.token for each in sessions_of_user(sessions.options, ANNA)
    ]
    sessions.move(former)

    assert not end_session_of_user(sessions.options, BERT, token)
    assert end_session_of_user(sessions.options, ANNA, token)
    assert sessions.ids_of(ANNA) == set()


def renew_mark(indexed, id):
    """Have a request store a session after its secret has changed."""
    indexed.options |= {
        "secret": "another-secret-of-the-tests",
        "secret_fallbacks": indexed.options["secret"],
    }
    session = open_stored(id, **indexed.options)
    current = session.policy.owners.mark(ANNA)
    session.belong_to(current, "")
    session.save(everything=False)
    return current


def test_a_mark_that_is_renewed_is_noted_at_once(indexed):
    """Also in the minute in which the former one was."""
    id = indexed.make_for(ANNA)
    current = renew_mark(indexed, id)

    assert indexed.store.find_in_index(current) == [id]


def test_a_new_mark_is_noted_once(indexed):
    id = indexed.make()
    session = open_stored(id, **indexed.options)
    session.belong_to(indexed.mark(ANNA), "")
    session.save()
    forget(indexed, session.id)
    session.save()

    assert indexed.ids_of(ANNA) == set()


def test_a_session_is_found_while_its_mark_is_renewed(indexed):
    """The index may have been read before the new mark was noted."""
    id = indexed.make_for(ANNA)
    current = renew_mark(indexed, id)
    indexed.store.remove_from_index(current, [id])

    assert last(end_sessions_of_user(indexed.options, ANNA)) == 1


def test_a_session_that_is_noted_for_two_marks_is_listed_once(indexed):
    id = indexed.make_for(ANNA)
    renew_mark(indexed, id)

    (found,) = list_sessions_of_user(indexed.options, ANNA)
    assert found.id == id


def test_where_another_user_s_session_took_its_place_it_is_left_alone(indexed):
    annas = indexed.make_for(ANNA)
    session = open_stored(annas, **indexed.options)
    session.invalidate()
    session.belong_to(indexed.mark(BERT), "")
    session.save()

    assert indexed.ids_of(ANNA) == set()
    assert last(end_sessions_of_user(indexed.options, ANNA)) == 0
    assert indexed.ids_of(BERT) == {session.id}


def test_nobody_s_sessions_are_not_in_the_index(indexed, monkeypatch):
    def note(store, mark, id):
        raise AssertionError("A session that is nobody's was noted.")

    monkeypatch.setattr(type(indexed.store), "add_to_index", note)
    session = open_stored(**indexed.options)
    session.data["city"] = "Lisbon"
    session.save()

    assert indexed.ids() == {session.id}


def test_where_the_index_has_no_room_a_search_ends_all_the_same(
    tmp_path, caplog
):
    with redis_server(tmp_path) as server:
        options = SimpleNamespace(
            type="ext:redis", url=server.url, folder=None
        )
        sessions = sessions_in(options)
        sessions.make_for(ANNA)
        Redis.from_url(server.url).config_set("maxmemory", 1)

        ended = last(
            end_sessions_of_user(sessions.options, ANNA, search_all=True)
        )
        assert ended == 1
        assert sessions.ids() == set()
    assert "OutOfMemory" in caplog.text


def test_where_nothing_can_be_forgotten_an_end_is_one_all_the_same(
    in_database, caplog
):
    sessions = sessions_in(in_database)
    sessions.make_for(ANNA)
    sessions.store.add_to_index(sessions.mark(ANNA), new_id())
    with engine_of(in_database.url).begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "CREATE TRIGGER kept BEFORE DELETE ON beaker_cache_users "
                "BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        )

    assert last(end_sessions_of_user(sessions.options, ANNA)) == 1
    assert sessions.ids() == set()
    assert "IntegrityError" in caplog.text


@pytest.mark.parametrize("planted", [True, "\ud800", "../of others"])
def test_what_is_no_mark_is_not_noted(file_sessions, tmp_path, planted):
    """It would be an error in each request, or a file somewhere else."""
    id = file_sessions.make(idle=120, _user=planted)
    open_stored(id, **file_sessions.options).save()

    assert not [*tmp_path.rglob(id)]


@pytest.mark.parametrize("planted", ["\x1b[2J", "one\ntwo", "\ud800", 5])
def test_what_may_control_a_terminal_is_not_shown_as_a_client(
    file_sessions, planted
):
    mark = file_sessions.session.policy.owners.mark(ANNA)
    file_sessions.make(_user=mark, _client=planted)

    (found,) = list_sessions_of_user(file_sessions.options, ANNA, True)
    assert found.client == ""


# Where it cannot be done


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"type": "cookie", "validate_key": "a" * 32}, "in the visitors'"),
        ({"type": "memory", "login_policy": "off"}, "login_policy is 'off'"),
    ],
)
def test_where_sessions_cannot_be_told_apart_it_says_so(options, told):
    with pytest.raises(CannotMaintain, match=told):
        list_sessions_of_user(options, ANNA)


def test_where_sessions_cannot_be_listed_it_says_so(memcached):
    memcached.start()
    options = {"type": "ext:memcached", "url": memcached.url}

    with pytest.raises(CannotMaintain, match="cannot list its sessions"):
        list_sessions_of_user(options, ANNA)


# What happens meanwhile


@pytest.fixture
def make(file_sessions):
    """Return a function that stores a session of Anna's, and tells its id."""
    mark = file_sessions.session.policy.owners.mark(ANNA)
    return lambda: file_sessions.make(_user=mark)


@pytest.mark.parametrize("times", [1, 2])
def test_a_session_that_moves_meanwhile_is_found(
    file_sessions, make, monkeypatch, times
):
    ids = {make(), make()}
    found = sessions_of_user(file_sessions.options, ANNA, search_all=True)
    (id,) = ids - {next(found).id}
    # The first folders, where the search has been already.
    new_ids = iter(["0" * 32, "1".rjust(32, "0")])
    monkeypatch.setattr(
        "collective.beaker.session.stored.new_id", lambda: next(new_ids)
    )
    for _ in range(times):
        session = open_stored(id, **file_sessions.options)
        session.regenerate_id()
        session.save()
        id = session.id

    assert [each.id for each in found] == [id]


@pytest.fixture
def locked(file_sessions, make, monkeypatch):
    """One of Anna's sessions, which another process does not let go."""
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)
    ids = sorted([make(), make(), make()])
    with hold(file_sessions.store._lock_path(ids[0]), 1):
        yield ids[0]


def test_one_that_cannot_be_ended_keeps_no_other_alive(file_sessions, locked):
    with pytest.raises(StoreUnavailable):
        last(
            end_sessions_of_user(file_sessions.options, ANNA, search_all=True)
        )

    assert file_sessions.ids() == {locked}


@pytest.mark.parametrize("search_all", [False, True])
def test_nor_does_one_that_cannot_be_loaded(in_dbm, monkeypatch, search_all):
    """As in a cluster of Redis of which one node is gone."""
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)
    sessions = sessions_in(in_dbm)
    for _ in range(3):
        sessions.make_for(ANNA)
    _, locked, _ = sessions.store.find_in_index(sessions.mark(ANNA))
    with (
        hold(sessions.store._lock_path(locked), 1),
        pytest.raises(StoreUnavailable),
    ):
        last(
            end_sessions_of_user(sessions.options, ANNA, search_all=search_all)
        )

    assert sessions.ids() == sessions.ids_of(ANNA) == {locked}


def test_nor_does_one_that_is_to_be_revoked_with_all(file_sessions, locked):
    policy, former = file_sessions.session.policy, new_id()
    tombstone = make_tombstone(policy, former, locked, (None, "/"))
    assert file_sessions.store.swap(former, None, tombstone)
    with pytest.raises(StoreUnavailable):
        last(revoke_all(file_sessions.options))

    assert file_sessions.ids() == {former, locked}
