"""Sessions that move to a new id, and requests that still know the former."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from beaker.session import Session

from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.revoke import revoke
from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.survey import survey
from collective.beaker.maintenance.sweep import sweep
from collective.beaker.session.moves import has_moved
from collective.beaker.session.opening import open_by_id
from collective.beaker.session.policy import MOVED_SECONDS
from collective.beaker.session.policy import policy_for
from collective.beaker.stores.base import Store
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.overlapping import overlap
from collective.beaker.tests.helpers.records import records_of
from collective.beaker.tests.helpers.sessions import open_stored
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stored_sessions import last
from collective.beaker.tests.helpers.stored_sessions import options_of
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import delete
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.visitors import session_cookie
from collective.beaker.tests.helpers.visitors import session_id


def log_in(request):
    session = ISession(request)
    session["user"] = "alice"
    session.regenerate_id()
    session.save()
    return session.id


def invalidate(request):
    ISession(request).invalidate()


def begin_anew(request):
    """Log in as code does that takes the data along."""
    session = ISession(request)
    session.invalidate()
    session["user"] = "alice"
    session.save()
    return session.id


moves = pytest.mark.parametrize("move", [log_in, begin_anew])
ends = pytest.mark.parametrize("end", [delete, invalidate])


def is_stored(config, id):
    """Tell whether there is a session under an id."""
    return open_by_id(policy_for(config), id) is not None


def header_of(visitor):
    return {"Cookie": f"{COOKIE}={visitor.cookies[COOKIE]}"}


# An end follows a move


@ends
@moves
@pytest.mark.parametrize("transactional", [False, True])
def test_a_logout_that_overlaps_a_login_ends_the_session(
    server_store, config, visitor, move, end, transactional
):
    config["transactional"] = transactional
    visitor.visit(count)
    login, _ = overlap(visitor, move, end)

    assert not is_stored(config, login.text)


@ends
@moves
def test_a_logout_that_follows_a_login_ends_the_session(
    server_store, config, visitor, move, end
):
    visitor.visit(count)
    former = header_of(visitor)
    id = visitor.visit(move).text
    visitor.visit(end, headers=former)

    assert not is_stored(config, id)


def test_a_logout_that_follows_a_login_removes_the_cookie(visitor):
    visitor.visit(count)
    former = header_of(visitor)
    visitor.visit(log_in)

    assert session_cookie(visitor.visit(delete, headers=former))["expires"]


@pytest.mark.parametrize("secret", ["a secret of the tests", None])
def test_an_end_follows_several_moves(visitor, config, secret):
    config["secret"] = secret
    visitor.visit(count)
    former = header_of(visitor)
    visitor.visit(log_in)
    id = visitor.visit(log_in).text
    visitor.visit(delete, headers=former)

    assert not is_stored(config, id)


def test_an_end_follows_a_move_that_a_former_secret_has_noted(visitor, config):
    visitor.visit(count)
    former = header_of(visitor)
    id = visitor.visit(log_in).text
    config.update(secret="another secret", secret_fallbacks=[config["secret"]])
    visitor.visit(delete, headers=former)

    assert not is_stored(config, id)


@pytest.mark.parametrize("end", ["delete", "invalidate"])
@pytest.mark.parametrize("saves", [False, True])
def test_a_session_that_moves_while_it_is_ended_by_its_id_is_ended(
    server_store, config, visitor, other_visitor, end, saves
):
    def end_other(request):
        other = ISession(request).get_by_id(former)
        with ThreadPoolExecutor(1) as thread:
            moved.append(thread.submit(visitor.visit, log_in).result().text)
        if saves:
            other.save()
        getattr(other, end)()

    moved = []
    visitor.visit(count)
    former = session_id(visitor)
    other_visitor.visit(end_other)

    assert not is_stored(config, moved[0])


def test_revoke_follows_a_move(server_store, config, visitor):
    visitor.visit(count)
    former = session_id(visitor)
    id = visitor.visit(log_in).text

    assert revoke(config, former)
    assert records_of(server_store).read(id) is None
    assert not revoke(config, former)


def test_a_request_that_moved_the_session_and_ends_it_ends_it(config, visitor):
    def log_in_and_out(request):
        log_in(request)
        delete(request)

    visitor.visit(count)
    former = session_id(visitor)
    visitor.visit(log_in_and_out)

    assert policy_for(config).store.load(former) is None


def test_an_end_does_not_go_round_in_circles(config):
    policy = policy_for(config)
    ids = ["0" * 32, "1" * 32]
    for id, other in (ids, reversed(ids)):
        policy.store.delete(id)
        session = open_stored(id, **config)
        session.save()
        session.opened.id = other
        session.save()

    assert not revoke(config, ids[0])


# A cookie does not follow


@moves
@pytest.mark.parametrize("transactional", [False, True])
def test_a_late_request_with_the_former_id_does_not_replace_the_cookie(
    server_store, config, visitor, caplog, move, transactional
):
    caplog.set_level(logging.INFO, "collective.beaker")
    config["transactional"] = transactional
    visitor.visit(count)
    former = header_of(visitor)
    visitor.visit(move)
    before = records_of(server_store).ids()
    response = visitor.visit(count, headers=former)

    assert response.text == "1"
    assert session_cookie(response) is None
    assert records_of(server_store).ids() == before
    [record] = log_of(caplog)
    assert record.levelno == logging.INFO
    assert former["Cookie"][-32:] not in record.getMessage()


@pytest.mark.parametrize("view", [read_count, count])
@pytest.mark.parametrize("transactional", [False, True])
def test_a_cookie_of_a_former_secret_is_not_renewed_during_a_login(
    server_store, config, visitor, view, transactional
):
    visitor.visit(count)
    config.update(
        transactional=transactional,
        secret="another secret of the tests",
        secret_fallbacks=[config["secret"]],
    )
    _, late = overlap(visitor, log_in, view)

    assert session_cookie(late) is None


@ends
def test_a_cookie_of_a_former_secret_is_not_renewed_during_a_logout(
    config, visitor, end
):
    visitor.visit(count)
    config.update(
        secret="another secret of the tests",
        secret_fallbacks=[config["secret"]],
    )
    _, late = overlap(visitor, end, read_count)

    assert session_cookie(late) is None


@moves
def test_a_late_request_with_the_former_id_reads_nothing(visitor, move):
    visitor.visit(count)
    former = header_of(visitor)
    visitor.visit(move)

    assert visitor.visit(read_count, headers=former).text == "None"


def test_a_late_login_with_the_former_id_does_not_replace_the_cookie(visitor):
    visitor.visit(count)
    former = header_of(visitor)
    visitor.visit(log_in)

    assert session_cookie(visitor.visit(log_in, headers=former)) is None


def test_a_late_request_that_begins_anew_gets_a_cookie(visitor):
    visitor.visit(count)
    former = header_of(visitor)
    visitor.visit(log_in)
    response = visitor.visit(begin_anew, headers=former)

    assert session_cookie(response) is not None


def test_beaker_finds_an_empty_session_under_the_former_id(
    server_store, config, visitor
):
    visitor.visit(count)
    former = session_id(visitor)
    id = visitor.visit(log_in).text
    options = options_of(server_store)
    found = Session({}, id=former, use_cookies=False, **options)

    assert {"count", "user"}.isdisjoint(found)
    assert id not in str(dict(found))


def test_get_by_id_does_not_follow(visitor):
    def look(request):
        return str(ISession(request).get_by_id(former))

    visitor.visit(count)
    former = session_id(visitor)
    visitor.visit(log_in)

    assert visitor.visit(look).text == "None"


@pytest.mark.parametrize("skew", [1, -1])
def test_the_former_id_is_like_any_other_after_a_while(visitor, clock, skew):
    visitor.visit(count)
    former = header_of(visitor)
    visitor.visit(log_in)
    clock(skew * MOVED_SECONDS)

    assert session_cookie(visitor.visit(count, headers=former)) is not None


def test_a_tombstone_does_not_show_the_new_id(visitor, config):
    visitor.visit(count)
    former = session_id(visitor)
    id = visitor.visit(log_in).text
    policy = policy_for(config)
    text = policy.store.payload(policy.store.load(former))

    assert id not in str(policy.codec.decode(text))


@pytest.mark.parametrize(
    "moved", [None, 1, "no id", "é", "abc", b"ab", "", "ab"]
)
def test_a_tombstone_that_was_tampered_with_leads_nowhere(
    visitor, config, moved, clock, tmp_path
):
    config.update(type="file", data_dir=str(tmp_path))
    visitor.visit(count)
    former = session_id(visitor)
    id = visitor.visit(log_in).text
    policy = policy_for(config)
    record = policy.store.load(former)
    data = policy.codec.decode(policy.store.payload(record))
    tampered = policy.codec.encode({**data, "_moved": moved})
    assert policy.store.swap(former, record, tampered)

    assert not revoke(config, former)
    assert policy.store.load(id) is not None


@pytest.mark.parametrize("time", [None, "now", float("nan"), 10**400])
def test_a_tombstone_without_a_time_is_none(time):
    assert not has_moved({"_moved": "0" * 32, "_accessed_time": time})


def test_a_key_of_code_makes_no_tombstone(visitor):
    def plant(request):
        session = ISession(request)
        session["_moved"] = "0" * 32
        session.save()

    visitor.visit(plant)

    assert visitor.visit(count).text == "1"
    assert visitor.visit(count).text == "2"


# What maintenance makes of tombstones


@pytest.fixture
def moved(listing_store, config, visitor):
    """The sessions of a store: one, which has moved."""
    sessions = Sessions(options_of(listing_store)).alone()
    visitor.visit(count)
    visitor.visit(log_in)
    return sessions


def test_a_sweep_leaves_a_tombstone_for_a_while(moved, clock):
    ids = moved.ids()
    swept = last(sweep(moved.options))
    assert (swept.removed, swept.kept) == (0, 1)
    assert moved.ids() == ids
    clock(MOVED_SECONDS)

    assert last(sweep(moved.options)).empty == 1
    assert len(moved.ids()) == 1


def test_a_tombstone_does_not_count_as_a_session(moved):
    counted = last(survey(moved.options))

    assert (counted.sessions, counted.empty) == (1, 1)


def test_to_revoke_all_counts_no_tombstone(moved):
    assert last(revoke_all(moved.options)) == 1
    assert moved.ids() == set()


def test_redis_forgets_a_tombstone_by_itself(redis, config, visitor):
    redis.start()
    config.update(type="ext:redis", url=redis.url, timeout=None)
    visitor.visit(count)
    former = session_id(visitor)
    id = visitor.visit(log_in).text
    client = policy_for(config).store._client

    assert client.ttl(f"beaker_cache:{id}:session") == -1
    assert 0 < client.ttl(f"beaker_cache:{former}:session") <= 180


# When the store goes


def test_a_move_whose_last_command_fails_keeps_the_session(
    visitor, config, monkeypatch, caplog
):
    swap = Store.swap

    def fail_at_the_tombstone(store, id, *arguments):
        if id == former:
            raise StoreUnavailable(store.kind, store.address, "it is down")
        return swap(store, id, *arguments)

    visitor.visit(count)
    former = session_id(visitor)
    monkeypatch.setattr(Store, "swap", fail_at_the_tombstone)
    response = visitor.visit(log_in)
    monkeypatch.undo()

    assert session_cookie(response) is not None
    assert visitor.visit(read_count).text == "1"
    [record] = log_of(caplog)
    assert record.levelno == logging.ERROR
    assert former not in record.getMessage()


def test_a_copy_that_cannot_be_removed_fails_no_request(
    visitor, config, monkeypatch, caplog
):
    def fail(store, id):
        raise StoreUnavailable(store.kind, store.address, "it is down")

    visitor.visit(count)
    monkeypatch.setattr(Store, "delete", fail)
    _, response = overlap(visitor, delete, log_in)

    assert session_cookie(response) is None
    assert "it is down" in caplog.text
