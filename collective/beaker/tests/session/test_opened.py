"""What sessions of each kind have in common."""

import inspect
import time

import beaker.session
import pytest

from collective.beaker.ids import new_id
from collective.beaker.interfaces import Record
from collective.beaker.session.opened import OpenedSession
from collective.beaker.session.opening import open_session
from collective.beaker.session.policy import make_policy
from collective.beaker.tests.helpers.sessions import open_cookie
from collective.beaker.tests.helpers.sessions import open_stored


KEY = {"validate_key": "a key for the tests"}

KINDS = {
    "stored": {"type": "memory"},
    "cookie": {"type": "cookie", **KEY},
    "foreign": {"type": "memory", "session_class": beaker.session.Session},
}
"""Options for a session of each kind."""

any_kind = pytest.mark.parametrize("kind", KINDS)
own_kind = pytest.mark.parametrize("kind", ["stored", "cookie"])


def open_new(kind, **options):
    return open_session(make_policy(KINDS[kind] | options), "")


# The interface

INTERFACE = {
    name: member
    for name, member in vars(OpenedSession).items()
    if not name.startswith("_")
}


@any_kind
def test_a_session_of_each_kind_keeps_the_interface(kind):
    opened = open_new(kind)

    # Not what __getattr__ finds besides.
    assert INTERFACE.keys() <= {*dir(opened)}


@any_kind
@pytest.mark.parametrize(
    "name", [name for name in INTERFACE if callable(INTERFACE[name])]
)
def test_a_method_of_each_kind_takes_the_same(kind, name):
    expected = inspect.signature(INTERFACE[name])
    method = inspect.signature(getattr(type(open_new(kind)), name))

    assert method.parameters == expected.parameters


@any_kind
@pytest.mark.parametrize(
    ("name", "value"), [("domain", "localhost"), ("path", "/shop")]
)
def test_the_scope_of_each_kind_can_be_set(kind, name, value):
    opened = open_new(kind)
    setattr(opened, name, value)

    assert getattr(opened, name) == value


@any_kind
def test_a_new_session_of_each_kind_knows_that_it_is_new(kind):
    opened = open_new(kind)

    assert opened.is_new is True
    assert opened.last_accessed is None
    assert opened.bad_signature is False
    assert opened.cookie is None
    assert len(opened.id) == 32
    assert opened.created <= time.time()


@any_kind
def test_code_always_changes_the_same_data(kind):
    opened = open_new(kind)
    data = opened.data
    data["a"] = 1
    opened.save()
    opened.restore(opened.snapshot())
    opened.regenerate_id()

    assert opened.data is data
    assert data["a"] == 1


@any_kind
def test_a_snapshot_of_each_kind_brings_its_data_back(kind):
    opened = open_new(kind)
    opened.data["a"] = 1
    snapshot = opened.snapshot()
    opened.data["a"] = 2
    opened.data["b"] = 2
    opened.restore(snapshot)

    assert opened.data["a"] == 1
    assert "b" not in opened.data


# What sessions of a working copy have in common


@own_kind
@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({}, "httponly", True),
        ({"httponly": False}, "httponly", False),
        ({"timeout": 60}, "timeout", 60),
        ({"key": "shop"}, "key", "shop"),
        ({"of_code": "value"}, "of_code", "value"),
        ({"secure": True}, "secure", True),
        ({"secure": False}, "secure", False),
        ({"secure": "auto"}, "secure", False),
        ({}, "secure", False),
    ],
)
def test_an_option_is_an_attribute_as_of_beakers_sessions(
    kind, options, name, value
):
    assert getattr(open_new(kind, **options), name) is value


@own_kind
@pytest.mark.parametrize("name", ["unknown", "_private", "_of_code"])
def test_what_is_no_option_is_an_attribute_error(kind, name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
        getattr(open_new(kind, _of_code="value"), name)


@own_kind
def test_the_options_say_the_scope_unless_code_does(kind):
    opened = open_new(kind, cookie_domain="example.org", cookie_path="/shop")

    assert (opened.domain, opened.path) == ("example.org", "/shop")
    opened.domain, opened.path = None, "/"
    assert (opened.domain, opened.path) == (None, "/")


@own_kind
@pytest.mark.parametrize("end", ["delete", "invalidate"])
def test_what_ends_keeps_its_scope(kind, end):
    opened = open_new(kind)
    opened.domain, opened.path = "localhost", "/shop"
    getattr(opened, end)()

    assert (opened.domain, opened.path) == ("localhost", "/shop")


@own_kind
def test_a_deleted_session_is_empty_and_created_now(kind, clock):
    opened = open_new(kind)
    opened.data["a"] = 1
    clock(60)
    opened.delete()

    assert "a" not in opened.data
    assert opened.created == time.time()


@own_kind
def test_a_new_session_has_changed_once_something_is_in_it(kind):
    opened = open_new(kind)
    assert not opened.has_changed()
    opened.data["a"] = 1

    assert opened.has_changed()


@own_kind
@pytest.mark.parametrize("end", ["delete", "invalidate", "regenerate_id"])
def test_a_snapshot_brings_a_session_back_that_has_ended(kind, end):
    opened = open_new(kind)
    opened.data["a"] = 1
    opened.save()
    id, cookie = opened.id, opened.cookie
    snapshot = opened.snapshot()
    getattr(opened, end)()
    opened.save()
    opened.restore(snapshot)

    assert (opened.id, opened.cookie) == (id, cookie)
    assert opened.data["a"] == 1
    assert not opened.was_invalidated


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
