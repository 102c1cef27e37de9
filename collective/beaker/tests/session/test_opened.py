"""What sessions of each kind have in common."""

import pytest

from collective.beaker.ids import new_id
from collective.beaker.interfaces import Record
from collective.beaker.tests.helpers.sessions import open_cookie
from collective.beaker.tests.helpers.sessions import open_stored


@pytest.fixture
def id():
    return new_id()


def test_revert_takes_back_all_changes(id):
    session = open_stored(id=id)
    session["list"] = [1]
    session.save()
    session = open_stored(id=id)
    session["list"].append(2)
    session["more"] = 1
    session.revert()

    assert session["list"] == [1]
    assert "more" not in session


def test_a_session_shows_nothing_of_itself(id):
    session = open_stored(id=id)
    session["card"] = "4111 1111"

    assert repr(session.opened) == "<StoredSession>"
    assert repr(open_cookie(validate_key="key").opened) == "<CookieSession>"
    assert repr(Record("4111 1111")) == "<Record>"


@pytest.mark.parametrize("end", ["delete", "invalidate"])
def test_the_end_of_a_session_is_a_change(id, end):
    open_stored(id=id).save()
    session = open_stored(id=id)
    assert not session.has_changed()
    getattr(session, end)()

    assert session.has_changed()
