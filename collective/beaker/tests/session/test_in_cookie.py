"""Sessions that the visitor's browser keeps."""

import time

import pytest
from beaker.session import SignedCookie

from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.session.cookies import MAX_COOKIE_SIZE
from collective.beaker.session.cookies import cookie_size
from collective.beaker.session.in_cookie import CookieSession
from collective.beaker.session.policy import make_policy
from collective.beaker.session.times import ACCESSED
from collective.beaker.session.times import CREATED
from collective.beaker.session.working_copy import ID


KEY = "a key for the tests"


def open_value(value="", **options):
    """Return the session in a cookie's value, or a new one."""
    policy = make_policy({"type": "cookie", "validate_key": KEY, **options})
    session = CookieSession(policy)
    session.open_presented([value] if value else [])
    return session


def signed(text, key=KEY):
    """Return a text as Beaker signs it."""
    return SignedCookie(key).value_encode(text)[1]


def value_of(data):
    """Return the value of the cookie that holds such data."""
    return signed(open_value()._policy.codec.encode(data))


@pytest.fixture
def value():
    """The value of the cookie of a session that is stored."""
    session = open_value()
    session.data.update(a=1, basket=["a book"])
    session.save()
    return session.cookie.coded_value


# Opening


def test_a_session_comes_back_from_its_cookie(clock, value):
    first = open_value(value)
    saved = time.time()
    clock(60)
    session = open_value(value)

    assert (session.data["a"], session.data["basket"]) == (1, ["a book"])
    assert session.is_new is False
    assert session.id == first.id
    assert session.last_accessed == saved
    assert session.created == first.created


def test_a_cookie_with_a_wrong_signature_is_no_session(value):
    session = open_value(value, validate_key="another key")

    assert session.is_new
    assert session.bad_signature
    assert "a" not in session.data


def test_a_cookie_that_cannot_be_read_is_replaced(caplog):
    session = open_value(signed("no base64 at all"))

    assert session.is_new
    assert not session.bad_signature
    assert "cannot be read" in caplog.text


def test_a_cookie_that_cannot_be_read_is_an_error_if_that_is_wanted():
    with pytest.raises(ValueError):
        open_value(signed("no base64 at all"), invalidate_corrupt=False)


def test_a_time_that_is_none_makes_a_cookie_unreadable(caplog):
    value = value_of({"a": 1, ACCESSED: "yesterday"})

    assert open_value(value, timeout=60).is_new
    assert "cannot be read (TypeError)" in caplog.text


@pytest.mark.parametrize("scope", [{"_domain": "a;b"}, {"_path": []}], ids=str)
def test_a_scope_that_is_none_makes_a_cookie_unreadable(scope):
    value = value_of({"a": 1, ACCESSED: time.time(), **scope})

    assert open_value(value).is_new


def test_a_long_request_is_a_use_until_its_end(value, clock):
    session = open_value(value, timeout=60)
    clock(61)
    session.save()
    clock(60)

    assert not open_value(session.cookie.coded_value, timeout=60).is_new


def test_an_expired_session_is_none(value, clock):
    clock(61)
    session = open_value(value, timeout=60)

    assert session.is_new
    assert "a" not in session.data


def test_what_is_left_of_a_deleted_session_is_none():
    assert open_value(value_of({ACCESSED: time.time()})).is_new


def test_a_session_of_another_package_without_id_gets_one():
    value = value_of({"a": 1, CREATED: 1.0, ACCESSED: time.time()})
    session = open_value(value)

    assert len(session.id) == 32
    assert session.id == session.data[ID]
    session.save(everything=False)
    assert open_value(session.cookie.coded_value).id == session.id


# When the cookie is sent


def test_reading_a_new_session_sends_no_cookie():
    session = open_value()
    session.save(everything=False)

    assert session.cookie is None


def test_saving_a_new_session_sends_the_cookie():
    session = open_value()
    session.save()

    assert not open_value(session.cookie.coded_value).is_new


def test_reading_sends_no_cookie_within_the_resolution(value, clock):
    clock(19)
    session = open_value(value)
    session.save(everything=False)

    assert session.cookie is None


def test_reading_sends_the_cookie_when_the_time_of_access_is_due(value, clock):
    clock(20)
    session = open_value(value)
    session.save(everything=False)

    assert open_value(session.cookie.coded_value).last_accessed == time.time()


def test_a_change_inside_a_value_is_sent_without_save(value):
    session = open_value(value)
    session.data["basket"].append("a pen")
    session.data["a"] = 2
    session.save(everything=False)
    found = open_value(session.cookie.coded_value)

    assert (found.data["a"], len(found.data["basket"])) == (1, 2)


def test_what_a_former_key_signed_is_signed_anew(value):
    session = open_value(
        value, validate_key="a new key", validate_key_fallbacks=[KEY]
    )
    session.save(everything=False)
    found = open_value(session.cookie.coded_value, validate_key="a new key")

    assert found.data["a"] == 1


def test_a_new_id_is_sent_without_save(value):
    session = open_value(value)
    id = session.id
    session.regenerate_id()
    session.save(everything=False)
    found = open_value(session.cookie.coded_value)

    assert found.id == session.id != id
    assert found.data["a"] == 1


# Storing twice in one request


def test_a_later_cookie_without_save_keeps_what_was_saved(value):
    session = open_value(value)
    session.data["a"] = 2
    session.save()
    session.data["b"] = 1
    session.data["basket"].append("a pen")
    session.save(everything=False)
    found = open_value(session.cookie.coded_value)

    assert found.data["a"] == 2
    assert found.data["basket"] == ["a book", "a pen"]
    assert "b" not in found.data


def test_a_new_id_keeps_what_was_saved_before(value):
    session = open_value(value)
    session.data["a"] = 2
    session.save()
    session.regenerate_id()
    session.save(everything=False)
    found = open_value(session.cookie.coded_value)

    assert (found.id, found.data["a"]) == (session.id, 2)


def test_what_was_sent_is_not_made_once_more(value, clock):
    clock(60)
    session = open_value(value)
    session.data["a"] = 2
    session.save()
    cookie = session.cookie
    session.save(everything=False)

    assert not session.has_changed()
    assert session.cookie is cookie


@pytest.mark.parametrize("end", ["delete", "invalidate"])
def test_a_new_session_that_was_saved_can_be_ended(end):
    session = open_value()
    session.data["a"] = 1
    session.save()
    getattr(session, end)()
    session.save(everything=False)

    if end == "delete":
        assert "expires" in session.cookie.OutputString()
    else:
        assert "a" not in open_value(session.cookie.coded_value).data


def test_a_path_that_was_not_saved_is_not_sent(value):
    session = open_value(value)
    session.path = "/shop"
    session.data["basket"].append("a pen")
    session.save(everything=False)

    assert session.cookie["path"] == "/"
    session.save()
    assert session.cookie["path"] == "/shop"


# Ending a session


def test_deleting_removes_the_cookie(value):
    session = open_value(value)
    session.delete()
    session.save(everything=False)

    assert "expires" in session.cookie.OutputString()
    assert "a" not in session.data


def test_deleting_a_session_without_cookie_sends_none():
    session = open_value()
    session.delete()
    session.save()

    assert session.cookie is None


def test_invalidating_replaces_the_session_without_save(value):
    session = open_value(value)
    id = session.id
    session.invalidate()
    assert session.was_invalidated
    assert session.has_changed()
    session.save(everything=False)
    found = open_value(session.cookie.coded_value)

    assert found.id == session.id != id
    assert "a" not in found.data


def test_invalidating_a_new_session_sends_no_cookie():
    session = open_value()
    session.invalidate()
    session.save(everything=False)

    assert session.was_invalidated
    assert session.cookie is None


def test_a_new_id_of_a_deleted_session_is_that_of_a_new_one(value):
    session = open_value(value)
    session.delete()
    session.regenerate_id()
    session.data["b"] = 1
    session.save()
    found = open_value(session.cookie.coded_value)

    assert session.was_invalidated
    assert found.id == session.id
    assert found.data["b"] == 1
    assert "a" not in found.data


# Too much for a cookie


@pytest.mark.parametrize("method", ["save", "prepare"])
def test_what_is_too_large_for_a_cookie_is_refused(method):
    session = open_value()
    session.data["a"] = "x" * MAX_COOKIE_SIZE

    with pytest.raises(RecordTooLarge, match=r"\d+ bytes of the 4096"):
        getattr(session, method)(True)
    assert session.cookie is None


def test_all_that_fits_into_a_cookie_is_sent():
    largest = 0
    for length in range(MAX_COOKIE_SIZE):
        session = open_value(login_policy="off")
        session.data["a"] = "x" * length
        try:
            session.save()
        except RecordTooLarge:
            break
        cookie = session.cookie
        largest = cookie_size(cookie.key, cookie.coded_value)

    # Three more bytes make four more characters, of which one may be sent
    # as three.
    assert MAX_COOKIE_SIZE - 12 <= largest <= MAX_COOKIE_SIZE


def test_reading_is_no_error_if_the_cookie_does_not_fit_any_more(
    clock, caplog
):
    """It may grow with another time, and here does so by its name."""
    former = open_value(key="short")
    former.data["a"] = "x" * 2700
    former.save()
    clock(60)
    session = open_value(former.cookie.coded_value, key="long" * 100)
    session.prepare(False)
    session.save(False)

    assert session.cookie is None
    assert "of the 4096 that browsers keep" in caplog.text


def test_a_new_key_is_no_error_if_the_cookie_does_not_fit_any_more(caplog):
    """A request that only reads gives the user the mark of the new key."""
    former = open_value(key="short")
    former.data.update(a="x" * 2700, basket=["a book"])
    former.belong_to("0" * 32, "")
    former.save()
    session = open_value(former.cookie.coded_value, key="long" * 100)
    session.belong_to("1" * 32, "")
    session.prepare(False)
    session.save(False)

    assert session.cookie is None
    assert "of the 4096 that browsers keep" in caplog.text


def test_what_has_voted_is_sent_as_it_was(value, clock):
    """With another time, it might not fit."""
    session = open_value(value)
    session.prepare(True)
    voted = time.time()
    clock(60)
    session.save()

    assert open_value(session.cookie.coded_value).last_accessed == voted


def test_a_deleted_session_can_always_be_saved():
    session = open_value()
    session.data["a"] = lambda: None
    session.delete()
    session.prepare(True)
    session.release()


def test_a_new_session_in_a_cookie_knows_its_creation_time(config, session):
    config.update(type="cookie", validate_key="a key for the tests")

    assert session.created <= time.time()
    assert session.last_accessed is None
