"""Requests of one visitor that run side by side, in a real Zope."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.overlapping import overlap
from collective.beaker.tests.helpers.records import records_of
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import delete
from collective.beaker.tests.helpers.views import put_into_basket
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.views import removing
from collective.beaker.tests.helpers.views import setting
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.visitors import data_of
from collective.beaker.tests.helpers.visitors import is_tombstone
from collective.beaker.tests.helpers.visitors import session_cookie
from collective.beaker.tests.helpers.visitors import session_id
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import Visitor
from collective.beaker.tests.helpers.zope import published


# Both requests change the session


def test_two_requests_that_each_set_another_key_keep_both(
    server_store, visitor
):
    visitor.visit(setting(start=1))
    overlap(visitor, setting(a=1), setting(b=2))

    assert data_of(visitor) == {"start": 1, "a": 1, "b": 2}


def test_two_requests_that_each_set_another_key_keep_both_with_auto(
    server_store, config, visitor
):
    def assign(key):
        def view(request):
            ISession(request)[key] = 1

        return view

    config["auto"] = True
    visitor.visit(setting(start=1))
    overlap(visitor, assign("a"), assign("b"))

    assert data_of(visitor) == {"start": 1, "a": 1, "b": 1}


def test_eight_requests_that_save_at_the_same_time_keep_all_keys(
    server_store, visitor
):
    visitor.visit(setting(start=1))
    together = threading.Barrier(8)

    def set_own_key(request):
        session = ISession(request)
        session[request.form["key"]] = 1
        session.save()
        together.wait(SECONDS)

    def make_request(key):
        browser = Visitor(visitor.browser.app).browser
        header = {"Cookie": f"{COOKIE}={visitor.cookies[COOKIE]}"}
        browser.get(f"/@@{VIEW_NAME}?key={key}", headers=header)

    with published(set_own_key), ThreadPoolExecutor(8) as threads:
        list(threads.map(make_request, "abcdefgh"))

    assert data_of(visitor) == dict.fromkeys(["start", *"abcdefgh"], 1)


def test_of_two_values_for_one_key_the_later_saved_stays(
    server_store, visitor
):
    visitor.visit(setting(a=0))
    overlap(visitor, setting(a=1), setting(a=2))

    assert data_of(visitor) == {"a": 2}


@pytest.mark.parametrize("removed_first", [True, False])
def test_a_removed_key_stays_removed(server_store, visitor, removed_first):
    views = [removing("a"), setting(b=2)]
    visitor.visit(setting(a=1, start=1))
    overlap(visitor, *(views if removed_first else reversed(views)))

    assert data_of(visitor) == {"start": 1, "b": 2}


def test_a_key_that_is_set_after_another_request_removed_it_is_there(
    server_store, visitor
):
    visitor.visit(setting(a=1))
    overlap(visitor, removing("a"), setting(a=2))

    assert data_of(visitor) == {"a": 2}


def test_a_key_that_is_removed_after_another_request_set_it_is_gone(
    server_store, visitor
):
    visitor.visit(setting(a=1, start=1))
    overlap(visitor, setting(a=2), removing("a"))

    assert data_of(visitor) == {"start": 1}


@pytest.mark.parametrize("cleared_first", [True, False])
def test_clear_leaves_what_another_request_added(
    server_store, visitor, cleared_first
):
    def clear(request):
        session = ISession(request)
        session.clear()
        session.save()

    views = [clear, setting(b=2)]
    visitor.visit(setting(a=1))
    overlap(visitor, *(views if cleared_first else reversed(views)))

    assert data_of(visitor) == {"b": 2}


@pytest.mark.parametrize("nested_first", [True, False])
def test_a_change_inside_a_value_is_kept_beside_another_key(
    server_store, visitor, nested_first
):
    views = [put_into_basket, setting(b=2)]
    visitor.visit(setting(basket=[]))
    overlap(visitor, *(views if nested_first else reversed(views)))

    assert data_of(visitor) == {"basket": ["a book"], "b": 2}


def test_a_change_inside_a_value_does_not_bring_another_key_back(
    server_store, visitor
):
    visitor.visit(setting(basket=[], a=1))
    overlap(visitor, removing("a"), put_into_basket)

    assert data_of(visitor) == {"basket": ["a book"]}


def test_a_change_inside_a_value_counts_as_a_change_of_its_key(
    server_store, visitor
):
    visitor.visit(setting(basket=[]))
    overlap(visitor, setting(basket=["a pen"]), put_into_basket)

    assert data_of(visitor) == {"basket": ["a book"]}


def test_a_session_that_is_saved_by_its_id_keeps_what_its_visitor_saves(
    server_store, visitor, other_visitor
):
    visitor.visit(setting(start=1))
    id = session_id(visitor)

    def give(request):
        session = ISession(request).get_by_id(id)
        session["gift"] = 1
        session.save()

    overlap(visitor, give, setting(a=1))

    assert data_of(visitor) == {"start": 1, "gift": 1, "a": 1}


def test_regenerate_id_takes_along_what_another_request_saved(
    server_store, visitor
):
    def regenerate(request):
        ISession(request).regenerate_id()

    visitor.visit(setting(start=1))
    _, response = overlap(visitor, setting(a=1), regenerate)
    visitor.browser.reset()
    visitor.browser.set_cookie(COOKIE, session_cookie(response).value)

    assert data_of(visitor) == {"start": 1, "a": 1}


# One request only reads


@pytest.mark.parametrize("resolution", [0, 20])
@pytest.mark.parametrize(
    ("change", "data"),
    [
        (setting(a=1), {"start": 1, "a": 1}),
        (setting(start=2), {"start": 2}),
        (removing("start"), {}),
    ],
    ids=["set", "change", "remove"],
)
def test_a_request_that_only_reads_leaves_the_change_of_another(
    server_store, config, visitor, clock, resolution, change, data
):
    config["resolution_seconds"] = resolution
    visitor.visit(setting(start=1))
    clock(100)
    overlap(visitor, change, read_count)

    assert data_of(visitor) == data


def test_an_assignment_without_save_leaves_the_change_of_another(
    server_store, config, visitor
):
    def assign(request):
        ISession(request)["b"] = 2

    config["resolution_seconds"] = 0
    visitor.visit(setting(start=1))
    overlap(visitor, setting(a=1), assign)

    assert data_of(visitor) == {"start": 1, "a": 1}


def test_a_request_that_only_reads_does_not_undo_a_logout(
    server_store, config, visitor, clock
):
    config["resolution_seconds"] = 0
    visitor.visit(count)
    id = session_id(visitor)
    _, response = overlap(visitor, delete, read_count)

    assert records_of(server_store).read(id) is None
    assert session_cookie(response) is None
    assert visitor.visit(read_count).text == "None"


# Access times


def is_written(store, visitor, view):
    """Tell whether a request changes what is stored for its visitor."""
    records = records_of(store)
    id = session_id(visitor)
    before = records.read(id)
    assert before is not None
    visitor.visit(view)
    return records.read(id) != before


@pytest.mark.parametrize(
    ("options", "short", "long"),
    [
        ({}, 19, 21),
        ({"resolution_seconds": 100}, 99, 101),
        ({"timeout": 60}, 5, 7),
        ({"timeout": 60, "resolution_seconds": 2}, 1, 3),
        ({"timeout": 3600, "resolution_seconds": 100}, 99, 101),
    ],
    ids=[
        "default",
        "longer",
        "a tenth of the timeout",
        "less than a tenth of the timeout",
        "below a tenth of the timeout",
    ],
)
def test_reading_writes_the_access_time_once_in_its_resolution(
    server_store, config, visitor, clock, options, short, long
):
    config.update(options)
    visitor.visit(count)

    clock(short)
    assert not is_written(server_store, visitor, read_count)
    clock(long - short)
    assert is_written(server_store, visitor, read_count)
    clock(short)
    assert not is_written(server_store, visitor, read_count)


def test_with_resolution_0_each_reading_writes_the_access_time(
    server_store, config, visitor, clock
):
    config["resolution_seconds"] = 0
    visitor.visit(count)
    clock(1)

    assert is_written(server_store, visitor, read_count)


def test_without_access_times_reading_never_writes(
    server_store, config, visitor, clock
):
    config["save_accessed_time"] = False
    visitor.visit(count)
    clock(1000)

    assert not is_written(server_store, visitor, read_count)


def test_reading_a_session_in_a_cookie_sends_it_once_in_the_resolution(
    config, visitor, clock
):
    config.update(type="cookie", validate_key="a key for the tests")
    visitor.visit(count)

    clock(19)
    assert session_cookie(visitor.visit(read_count)) is None
    clock(2)
    assert session_cookie(visitor.visit(read_count)) is not None


def test_a_change_inside_a_value_is_kept_within_the_resolution(
    server_store, visitor
):
    visitor.visit(setting(basket=[]))

    assert is_written(server_store, visitor, put_into_basket)
    assert data_of(visitor) == {"basket": ["a book"]}


def test_saving_writes_the_access_time_within_the_resolution(
    server_store, config, visitor, clock
):
    config["timeout"] = 1000
    visitor.visit(count)
    clock(15)
    visitor.visit(count)
    clock(990)

    assert visitor.visit(read_count).text == "2"


def test_a_session_that_is_read_now_and_then_does_not_expire(
    any_store, config, visitor, clock
):
    config["timeout"] = 60
    visitor.visit(count)
    for _ in range(40):
        clock(5)
        assert visitor.visit(read_count).text == "1"


def test_a_session_that_is_not_read_expires(any_store, config, visitor, clock):
    config["timeout"] = 60
    visitor.visit(count)
    clock(61)

    assert visitor.visit(read_count).text == "None"


# A record that disappears while a request runs


@pytest.mark.parametrize(
    "view",
    [count, setting(a=1), put_into_basket],
    ids=["change", "add", "change inside"],
)
def test_a_session_that_another_request_deleted_stays_deleted(
    server_store, visitor, caplog, view
):
    caplog.set_level(logging.INFO, "collective.beaker")
    visitor.visit(setting(basket=[]))
    id = session_id(visitor)
    overlap(visitor, delete, view)

    assert records_of(server_store).read(id) is None
    [record] = log_of(caplog)
    assert record.levelno == logging.INFO
    assert id not in record.getMessage()


@pytest.mark.parametrize("end", ["invalidate", "regenerate_id"])
def test_a_former_id_is_not_stored_again_by_another_request(
    server_store, config, visitor, caplog, end
):
    def end_session(request):
        getattr(ISession(request), end)()

    caplog.set_level(logging.INFO, "collective.beaker")
    visitor.visit(count)
    id = session_id(visitor)
    overlap(visitor, end_session, count)

    assert is_tombstone(config, id)
    [record] = log_of(caplog)
    assert record.levelno == logging.INFO


def test_a_session_that_was_deleted_while_it_was_saved_is_gone(
    server_store, visitor
):
    visitor.visit(count)
    id = session_id(visitor)
    overlap(visitor, count, delete)

    assert records_of(server_store).read(id) is None


@pytest.mark.parametrize("auto", [True, False])
def test_a_record_that_disappears_while_a_request_runs_stays_away(
    server_store, config, visitor, caplog, auto
):
    records = records_of(server_store)

    def remove_and_count(request):
        result = count(request)
        records.remove(id)
        return result

    config["auto"] = auto
    caplog.set_level(logging.INFO, "collective.beaker")
    visitor.visit(count)
    id = session_id(visitor)

    assert visitor.visit(remove_and_count).text == "2"
    assert records.read(id) is None
    assert [record.levelno for record in log_of(caplog)] == [logging.INFO]
    assert visitor.visit(count).text == "1"


def test_a_request_that_only_reads_leaves_a_record_that_disappeared_away(
    server_store, config, visitor
):
    records = records_of(server_store)

    def remove_and_read(request):
        result = read_count(request)
        records.remove(id)
        return result

    config["resolution_seconds"] = 0
    visitor.visit(count)
    id = session_id(visitor)
    visitor.visit(remove_and_read)

    assert records.read(id) is None
