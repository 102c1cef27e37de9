"""Sessions that take part in the request's transaction, in a real Zope.

With ``session.transactional on`` a session is stored if, and only if, the
transaction commits.
"""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import transaction
from OFS.Folder import Folder
from Products.Five.browser import BrowserView
from zExceptions import NotFound
from zExceptions import Redirect
from ZODB.POSException import ConflictError
from ZPublisher.interfaces import IPubBeforeCommit

from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import StoreLocked
from collective.beaker.stores import leases
from collective.beaker.stores.memory import MemoryStore
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.records import records_of
from collective.beaker.tests.helpers.servers import redis_server
from collective.beaker.tests.helpers.stores import store_fixture
from collective.beaker.tests.helpers.views import begin_basket
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import ignore_session
from collective.beaker.tests.helpers.views import look_into_basket
from collective.beaker.tests.helpers.views import put_into_basket
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.views import read_id
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.visitors import session_cookie
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import Visitor
from collective.beaker.tests.helpers.zope import error_page
from collective.beaker.tests.helpers.zope import published
from collective.beaker.tests.helpers.zope import subscribed


@pytest.fixture(autouse=True)
def transactional(config):
    config["transactional"] = True


def count_in_zodb(request):
    """Count in the ZODB, too."""
    root = request["PARENTS"][-1]
    if "counters" not in root.objectIds():
        root._setObject("counters", Folder("counters"))
    counters = root.counters
    counters.number = getattr(counters, "number", 0) + 1


def read_zodb(request):
    return str(getattr(request["PARENTS"][-1].counters, "number", 0))


class Failure(Exception):
    """Something of another package failed."""


class OtherManager:
    """A data manager of another package, which fails in one of its phases."""

    transaction_manager = transaction.manager

    def __init__(self, phase, key):
        self.phase = phase
        self.key = key

    def sortKey(self):
        return self.key

    def _reach(self, phase):
        if phase == self.phase:
            raise Failure(phase)

    def tpc_begin(self, transaction):
        self._reach("tpc_begin")

    def commit(self, transaction):
        self._reach("commit")

    def tpc_vote(self, transaction):
        self._reach("tpc_vote")

    def tpc_finish(self, transaction):
        self._reach("tpc_finish")

    def tpc_abort(self, transaction):
        self._reach("tpc_abort")

    def abort(self, transaction):
        self._reach("abort")


# What is stored, and what is not


def test_what_is_committed_is_stored(any_store, visitor):
    assert session_cookie(visitor.visit(count)) is not None
    assert visitor.visit(count).text == "2"


def test_what_is_aborted_is_not_stored(any_store, visitor):
    def abort(request):
        count(request)
        transaction.abort()

    visitor.visit(count)
    visitor.visit(abort)

    assert visitor.visit(read_count).text == "1"


def test_what_is_saved_and_committed_midway_is_kept(any_store, visitor):
    def commit_midway(request):
        session = ISession(request)
        session["count"] = 10
        session.save()
        transaction.commit()
        session["basket"].append("a book")

    visitor.visit(begin_basket)
    visitor.visit(commit_midway)

    assert visitor.visit(read_count).text == "10"
    assert visitor.visit(look_into_basket).text == "['a book']"


def test_what_is_done_after_an_abort_is_stored(any_store, visitor):
    def abort_and_go_on(request):
        ISession(request)["aborted"] = 1
        transaction.abort()
        session = ISession(request)
        assert "aborted" not in session
        count(request)

    visitor.visit(count)
    visitor.visit(abort_and_go_on)

    assert visitor.visit(read_count).text == "2"


def test_what_is_committed_in_the_middle_is_stored(any_store, visitor):
    def commit_and_abort(request):
        count(request)
        transaction.commit()
        count(request)
        transaction.abort()

    visitor.visit(commit_and_abort)

    assert visitor.visit(read_count).text == "1"


def test_a_session_that_was_ended_and_committed_is_a_new_one(
    any_store, config, visitor, caplog
):
    def end_and_go_on(request):
        ISession(request).delete()
        transaction.commit()
        ISession(request).get("count")
        transaction.abort()
        return ISession(request).get("count")

    config["invalidate_corrupt"] = False
    visitor.visit(count)

    assert visitor.visit(end_and_go_on).text == ""
    assert log_of(caplog) == []


def test_a_session_can_be_committed_twice(any_store, visitor):
    def commit_twice(request):
        count(request)
        transaction.commit()
        count(request)

    visitor.visit(commit_twice)

    assert visitor.visit(read_count).text == "2"


def test_a_doomed_transaction_stores_nothing(any_store, visitor):
    def doom(request):
        count(request)
        transaction.doom()

    visitor.visit(count)
    visitor.visit(doom)

    assert visitor.visit(read_count).text == "1"


def test_a_new_visitor_of_a_doomed_transaction_gets_no_cookie(
    any_store, visitor
):
    def doom(request):
        count(request)
        transaction.doom()

    assert session_cookie(visitor.visit(doom)) is None


@pytest.mark.parametrize(
    ("error", "status"),
    [(Redirect, 302), (NotFound, 404), (ValueError, 500)],
)
def test_a_request_that_fails_stores_nothing(
    any_store, visitor, error, status
):
    def fail(request):
        count(request)
        raise error("/elsewhere")

    visitor.visit(count)
    if status == 500:
        assert visitor.fails(fail)
    else:
        visitor.visit(fail, status=status)

    assert visitor.visit(read_count).text == "1"


def test_a_request_that_is_retried_counts_once(any_store, visitor):
    attempts = []

    def conflict_once(request):
        attempts.append(count(request))
        if len(attempts) == 1:
            raise ConflictError
        return attempts[-1]

    visitor.visit(count)

    assert visitor.visit(conflict_once).text == "2"
    assert visitor.visit(read_count).text == "2"


@pytest.mark.parametrize("end", ["delete", "invalidate", "regenerate_id"])
@pytest.mark.parametrize("aborted", [True, False])
def test_an_end_of_the_session_holds_if_it_is_committed(
    any_store, visitor, end, aborted
):
    def end_session(request):
        getattr(ISession(request), end)()
        if aborted:
            transaction.abort()

    visitor.visit(count)
    before = visitor.visit(read_id).text
    visitor.visit(end_session)

    kept = aborted or end == "regenerate_id"
    assert visitor.visit(read_count).text == ("1" if kept else "None")
    assert (visitor.visit(read_id).text == before) is aborted


def test_reading_stores_nothing(server_store, visitor):
    visitor.visit(count)
    records = records_of(server_store)
    id = visitor.visit(read_id).text
    before = records.read(id)
    visitor.visit(read_count)

    assert records.read(id) == before


def test_a_change_inside_a_stored_value_is_stored(any_store, visitor):
    visitor.visit(begin_basket)
    visitor.visit(put_into_basket)

    assert visitor.visit(look_into_basket).text == "['a book']"


# Other data managers


@pytest.mark.parametrize("phase", ["tpc_begin", "commit", "tpc_vote"])
@pytest.mark.parametrize("key", ["a", "~~~~~"], ids=["before", "after"])
def test_when_another_manager_fails_nothing_is_stored(
    server_store, visitor, phase, key
):
    def fail(request):
        count(request)
        count_in_zodb(request)
        transaction.get().join(OtherManager(phase, key))

    visitor.visit(count)
    visitor.visit(count_in_zodb)
    stored = visitor.visit(read_zodb).text
    id = visitor.visit(read_id).text
    before = records_of(server_store).read(id)

    assert visitor.fails(fail)
    assert records_of(server_store).read(id) == before
    assert visitor.visit(read_zodb).text == stored
    # Nothing is locked any more.
    assert visitor.visit(count).text == "2"


def test_another_manager_that_fails_while_all_abort_locks_nothing(
    server_store, visitor
):
    def fail(request):
        count(request)
        transaction.get().join(OtherManager("tpc_abort", "a"))
        transaction.get().join(OtherManager("tpc_vote", "~~~~~"))

    visitor.visit(count)

    assert visitor.fails(fail)
    assert visitor.visit(count).text == "2"


def test_a_session_is_stored_after_all_others_have_voted(
    server_store, visitor
):
    records = records_of(server_store)
    found = []

    class Watcher(OtherManager):
        def tpc_vote(self, transaction):
            found.append(records.read(id))

    def watch(request):
        count(request)
        transaction.get().join(Watcher(None, "~~~~~"))

    visitor.visit(count)
    id = visitor.visit(read_id).text
    before = records.read(id)
    visitor.visit(watch)

    assert found == [before]
    assert records.read(id) != before


@pytest.fixture
def own_redis(config, tmp_path):
    """A Redis of the test's own, which it may stop."""
    with redis_server(tmp_path) as server:
        config.update(type="ext:redis", url=server.url)
        yield server


def test_an_unreachable_store_aborts_the_zodb_commit(own_redis, visitor):
    def lose_store(request):
        count(request)
        count_in_zodb(request)
        own_redis.kill()

    visitor.visit(count_in_zodb)
    stored = visitor.visit(read_zodb).text
    response = visitor.visit(lose_store, status=503)

    assert response.headers["Retry-After"]
    assert visitor.visit(read_zodb).text == stored


def test_what_cannot_be_stored_aborts_the_zodb_commit(any_store, visitor):
    def store_function(request):
        session = ISession(request)
        session["function"] = lambda: None
        session.save()
        count_in_zodb(request)

    visitor.visit(count_in_zodb)
    stored = visitor.visit(read_zodb).text

    assert visitor.fails(store_function)
    assert visitor.visit(read_zodb).text == stored


def test_a_session_that_is_too_large_for_a_cookie_aborts_the_commit(
    config, visitor
):
    def fill(request):
        session = ISession(request)
        session["large"] = "x" * 4000
        session.save()
        count_in_zodb(request)

    config.update(type="cookie", validate_key="a key for the tests")
    visitor.visit(count_in_zodb)
    stored = visitor.visit(read_zodb).text

    assert visitor.fails(fill)
    assert visitor.visit(read_zodb).text == stored


# Savepoints


def test_what_cannot_be_copied_keeps_nobody_from_a_savepoint(visitor):
    def hold_lock(request):
        session = ISession(request)
        session["lock"], session["kept"] = threading.Lock(), ["before"]
        savepoint = transaction.savepoint()
        session["kept"].append("after")
        savepoint.rollback()
        assert session["kept"] == ["before"]

    visitor.visit(hold_lock)


def test_a_rollback_restores_the_session(any_store, visitor):
    def roll_back(request):
        session = ISession(request)
        session["kept"] = ["before"]
        session.save()
        savepoint = transaction.savepoint()
        session["kept"].append("after")
        session["more"] = 1
        savepoint.rollback()
        assert "more" not in session
        assert session["kept"] == ["before"]

    def look(request):
        session = ISession(request)
        return f"{session['kept']} {'more' in session} {session['count']}"

    visitor.visit(count)
    visitor.visit(roll_back)

    assert visitor.visit(look).text == "['before'] False 1"


def test_a_savepoint_can_be_rolled_back_to_twice(any_store, visitor):
    def roll_back(request):
        session = ISession(request)
        session["list"] = []
        session.save()
        savepoint = transaction.savepoint()
        for _ in range(2):
            session["list"].append(1)
            savepoint.rollback()
        return repr(session["list"])

    assert visitor.visit(roll_back).text == "[]"


def test_a_rollback_takes_back_save(any_store, visitor):
    def roll_back(request):
        session = ISession(request)
        session["count"] = 100
        savepoint = transaction.savepoint()
        session.save()
        savepoint.rollback()

    visitor.visit(count)
    visitor.visit(roll_back)

    assert visitor.visit(read_count).text == "1"


@pytest.mark.parametrize("end", ["delete", "invalidate", "regenerate_id"])
def test_a_rollback_takes_back_the_end_of_a_session(any_store, visitor, end):
    def roll_back(request):
        session = ISession(request)
        before = session.id
        savepoint = transaction.savepoint()
        getattr(session, end)()
        savepoint.rollback()
        assert session.id == before
        return count(request)

    visitor.visit(count)

    assert visitor.visit(roll_back).text == "2"
    assert visitor.visit(read_count).text == "2"


def test_a_rollback_to_before_the_session_was_used_forgets_it(
    any_store, visitor
):
    def roll_back(request):
        savepoint = transaction.savepoint()
        count(request)
        savepoint.rollback()

    visitor.visit(count)
    visitor.visit(roll_back)

    assert visitor.visit(read_count).text == "1"


# Requests that overlap


def overlap(visitor, views):
    """Make requests side by side; each has loaded the session at first.

    A request may be retried.  Returns the responses.
    """
    loaded = threading.Barrier(len(views))
    header = {"Cookie": f"{COOKIE}={visitor.cookies[COOKIE]}"}
    begun = set()

    def page(request):
        number = int(request.form["number"])
        ISession(request).get("count")
        if number not in begun:
            begun.add(number)
            loaded.wait(SECONDS)
        return views[number](request)

    def make_request(number):
        browser = Visitor(visitor.browser.app).browser
        return browser.get(f"/@@{VIEW_NAME}?number={number}", headers=header)

    with published(page), ThreadPoolExecutor(len(views)) as threads:
        return list(threads.map(make_request, range(len(views))))


def test_overlapping_requests_count_right(server_store, visitor):
    visitor.visit(count)
    responses = overlap(visitor, [count] * 3)

    assert sorted(response.text for response in responses) == ["2", "3", "4"]
    assert visitor.visit(read_count).text == "4"


def test_overlapping_requests_are_no_errors_in_the_log_of_postgresql(
    postgresql_store, postgresql, visitor
):
    visitor.visit(count)
    before = len(postgresql.log.read_text())
    overlap(visitor, [count] * 3)

    assert "ERROR" not in postgresql.log.read_text()[before:]


def test_overlapping_requests_keep_each_others_keys(server_store, visitor):
    attempts = []

    def setting(key):
        def view(request):
            attempts.append(key)
            session = ISession(request)
            session[key] = 1
            session.save()

        return view

    def look(request):
        session = ISession(request)
        return f"{session['a']}{session['b']}"

    visitor.visit(count)
    overlap(visitor, [setting("a"), setting("b")])

    assert sorted(attempts) == ["a", "b"]
    assert visitor.visit(look).text == "11"


def test_a_session_that_ends_meanwhile_is_not_resurrected(
    server_store, visitor, caplog
):
    records = records_of(server_store)

    def count_too_late(request):
        count(request)
        records.remove(id)

    visitor.visit(count)
    id = visitor.visit(read_id).text
    caplog.set_level(logging.INFO, "collective.beaker")
    visitor.visit(count_too_late)

    assert "A session ended while a request used it" in caplog.text
    assert records.read(id) is None


def test_a_writer_outside_of_transactions_comes_between_and_loses_nothing(
    server_store, config, visitor
):
    """As Beaker's middleware, or a Zope that is configured otherwise."""

    def count_late(request):
        count(request)
        transaction.get().join(Intruder(None, "~~~~~"))

    class Intruder(OtherManager):
        def tpc_vote(self, transaction):
            other.result()

    def set_key(request):
        session = ISession(request)
        session["other"] = 1
        session.save()

    def look(request):
        session = ISession(request)
        return f"{session['count']} {session['other']}"

    visitor.visit(count)
    header = {"Cookie": f"{COOKIE}={visitor.cookies[COOKIE]}"}
    config["transactional"] = False
    with ThreadPoolExecutor(1) as threads:
        ready = threading.Event()

        def page(request):
            if "late" in request.form:
                request.form.clear()
                ready.set()
                return count_late(request)
            return set_key(request)

        with published(page):

            def intrude():
                ready.wait(SECONDS)
                return Visitor(visitor.browser.app).browser.get(
                    f"/@@{VIEW_NAME}", headers=header
                )

            other = threads.submit(intrude)
            config["transactional"] = False
            visitor.browser.get(f"/@@{VIEW_NAME}?late=1")

    assert visitor.visit(look).text == "2 1"


leasing_store = store_fixture("redis", "postgresql")
postgresql_store = store_fixture("postgresql")


def lose_lock(visitor, clock, view, other_view):
    """Have the lock of a request end between its vote and its end.

    Another request of the same visitor comes between.
    """
    header = {"Cookie": f"{COOKIE}={visitor.cookies[COOKIE]}"}
    other = Visitor(visitor.browser.app).browser

    class Intruder(OtherManager):
        def tpc_vote(self, transaction):
            clock(leases.LEASE_SECONDS + 1)
            address = f"/@@{VIEW_NAME}?other=1"
            with ThreadPoolExecutor(1) as threads:
                threads.submit(other.get, address, headers=header).result()
            clock(1)

    def page(request):
        if "other" in request.form:
            return other_view(request)
        transaction.get().join(Intruder(None, "~~~~~"))
        return view(request)

    return visitor.visit(page)


def test_what_is_overwritten_as_a_lock_was_lost_is_logged(
    leasing_store, visitor, clock, caplog
):
    visitor.visit(count)
    lose_lock(visitor, clock, count, count)

    [record] = log_of(caplog)
    assert record.levelno == logging.CRITICAL
    assert "overwritten under these keys: 'count'" in record.getMessage()
    assert visitor.visit(read_count).text == "2"


def test_where_a_lock_was_lost_other_keys_are_kept_without_a_word(
    leasing_store, visitor, clock, caplog
):
    visitor.visit(count)
    lose_lock(visitor, clock, count, begin_basket)

    assert log_of(caplog) == []
    assert visitor.visit(read_count).text == "2"
    assert visitor.visit(look_into_basket).text == "[]"


@pytest.mark.parametrize("visits", [0, 1])
def test_what_was_stored_before_the_answer_was_lost_is_nobody_else_s(
    visitor, monkeypatch, caplog, visits
):
    for _ in range(visits):
        visitor.visit(count)
    swap, answers = MemoryStore.swap, []

    def lose_first_answer(*arguments):
        answers.append(swap(*arguments))
        return len(answers) > 1 and answers[-1]

    monkeypatch.setattr(MemoryStore, "swap", lose_first_answer)
    visitor.visit(count)

    assert log_of(caplog) == []
    assert answers == [True]
    assert visitor.visit(read_count).text == str(visits + 1)


@pytest.mark.parametrize(
    "options", [{"type": "file"}, {"type": "dbm"}, {"type": "ext:database"}]
)
def test_the_logout_of_one_who_has_no_session_leaves_nothing_behind(
    config, visitor, tmp_path, options
):
    config.update(options, data_dir=f"{tmp_path}/data")
    config["url"] = f"sqlite:///{tmp_path}/sessions.db"
    visitor.visit(lambda request: ISession(request).delete())

    assert list(tmp_path.iterdir()) == []


# The ends of a request


def page_after_a_failed_commit(visitor, view):
    """Return what an error page answers that calls a view."""

    class ErrorPage(BrowserView):
        __roles__ = None

        def __call__(self):
            return view(self.request)

    def fail(request):
        transaction.get().join(OtherManager("tpc_vote", "a"))

    with error_page(ErrorPage):
        return visitor.visit(fail, status=500).text


def test_an_error_page_may_read_the_session_after_a_failed_commit(
    server_store, visitor
):
    visitor.visit(count)

    assert page_after_a_failed_commit(visitor, read_count) == "1"


def test_what_an_error_page_saves_after_a_failed_commit_is_not_stored(
    server_store, visitor
):
    visitor.visit(count)

    assert page_after_a_failed_commit(visitor, count) == "2"
    assert visitor.visit(read_count).text == "1"


def test_a_session_that_is_used_before_commit_is_stored(visitor):
    with subscribed(lambda event: count(event.request), IPubBeforeCommit):
        visitor.visit(ignore_session)

    assert visitor.visit(read_count).text == "1"


def test_a_session_class_of_someone_else_is_saved_with_the_commit(
    config, visitor
):
    import beaker.session

    class OtherSession(beaker.session.Session):
        """A class that knows of no transactions."""

    def abort(request):
        count(request)
        savepoint = transaction.savepoint()
        count(request)
        savepoint.rollback()
        assert ISession(request)["count"] == 2
        transaction.abort()

    config["session_class"] = OtherSession
    visitor.visit(count)
    visitor.visit(abort)

    assert visitor.visit(count).text == "2"


@pytest.mark.parametrize("visited", [True, False])
def test_what_the_store_does_not_take_aborts_the_zodb_commit(
    memcached_store, visitor, visited
):
    def fill(request):
        session = ISession(request)
        session["large"] = "x" * 2_000_000
        session.save()
        count_in_zodb(request)

    visitor.visit(count_in_zodb)
    stored = visitor.visit(read_zodb).text
    if visited:
        visitor.visit(count)

    assert visitor.fails(fill)
    assert visitor.visit(read_zodb).text == stored
    assert visitor.visit(count).text == ("2" if visited else "1")


def test_what_the_store_does_not_take_together_aborts_the_zodb_commit(
    memcached_store, visitor
):
    def fill(request):
        session = ISession(request)
        other = session.get_by_id(session.id)
        other["other"] = "x" * 400_000
        other.save()
        session["mine"] = "x" * 400_000
        session.save()
        count_in_zodb(request)

    visitor.visit(count_in_zodb)
    stored = visitor.visit(read_zodb).text
    visitor.visit(count)

    assert visitor.fails(fill)
    assert visitor.visit(read_zodb).text == stored
    assert visitor.visit(count).text == "2"


def test_a_commit_in_the_middle_keeps_what_is_saved_later(
    server_store, visitor
):
    def fill(request):
        session = ISession(request)
        session["list"] = []
        session.save()

    def commit_and_save(request):
        session = ISession(request)
        session["list"].append(1)
        session["late"] = 1
        other = session.get_by_id(session.id)
        other["other"] = 1
        other.save()
        transaction.commit()
        session.save()

    def look(request):
        session = ISession(request)
        return f"{session['list']} {session['other']} {session['late']}"

    visitor.visit(fill)
    visitor.visit(commit_and_save)

    assert visitor.visit(look).text == "[1] 1 1"


def test_a_session_may_be_read_after_a_commit(visitor):
    found = []

    def read_later(request):
        def hook(success):
            found.append(ISession(request).get("count"))

        transaction.get().addAfterCommitHook(hook)

    visitor.visit(count)
    visitor.visit(read_later)

    assert found == [1]


def test_what_a_hook_saves_after_the_commit_is_stored(visitor):
    def count_in_hook(request):
        ISession(request)["count"] = 10
        ISession(request).save()
        hook = transaction.get().addAfterCommitHook
        hook(lambda success: count(request) and None)

    visitor.visit(count_in_hook)

    assert visitor.visit(read_count).text == "11"


def test_a_hook_after_a_commit_midway_takes_nothing_back(visitor):
    def commit_midway(request):
        session = ISession(request)
        session["count"] = 10
        transaction.get().addAfterCommitHook(lambda success: None)
        transaction.commit()
        session.save()

    visitor.visit(count)
    visitor.visit(commit_midway)

    assert visitor.visit(read_count).text == "10"


def test_who_finds_the_session_locked_is_retried(visitor, monkeypatch):
    attempts = []
    lock = MemoryStore.lock

    def count_and_notice(request):
        attempts.append(count(request))
        return attempts[-1]

    def lock_at_last(store, id, payload=""):
        if len(attempts) == 1:
            raise StoreLocked(store.kind, store.address, "it is locked")
        return lock(store, id, payload)

    visitor.visit(count)
    monkeypatch.setattr(MemoryStore, "lock", lock_at_last)

    assert visitor.visit(count_and_notice).text == "2"
    assert attempts == ["2", "2"]
