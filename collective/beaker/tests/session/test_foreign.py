"""Sessions whose class another package provides."""

import time
from pickle import UnpicklingError

import beaker.session
import pytest

from collective.beaker.session.foreign import ForeignSession
from collective.beaker.session.opening import open_session
from collective.beaker.session.policy import make_policy
from collective.beaker.settings.options import OWN_OPTIONS


class OtherSession(beaker.session.Session):
    """A class of another package, which knows Beaker's options only."""

    def __init__(self, request, **options):
        assert not options.keys() & OWN_OPTIONS
        super().__init__(request, **options)


@pytest.fixture
def other_class(config, tmp_path):
    config.update(
        session_class=OtherSession, type="file", data_dir=str(tmp_path)
    )


def test_another_class_is_used_as_it_is(other_class, session, next_session):
    session["a"] = 1
    session.save()
    following = next_session()

    assert following["a"] == 1
    assert following.is_new is False


@pytest.mark.parametrize(
    ("login_policy", "warned"), [("bind", 1), ("rotate", 1), ("off", 0)]
)
def test_that_another_class_knows_no_users_is_logged_once(
    other_class, config, session, next_session, caplog, login_policy, warned
):
    config["login_policy"] = login_policy
    session.save()
    next_session().save()

    warning = "no effect on a session of the class OtherSession"
    assert caplog.text.count(warning) == warned


def test_what_another_class_cannot_read_is_replaced(
    other_class, session, next_session, tmp_path, caplog
):
    session["a"] = 1
    session.save()
    following = next_session()
    [file] = tmp_path.rglob("*.cache")
    file.write_bytes(b"broken")

    assert "a" not in following
    assert "cannot be read (UnpicklingError)" in caplog.text


def test_what_another_class_cannot_read_is_an_error_if_that_is_wanted(
    other_class, config, session, next_session, tmp_path
):
    config["invalidate_corrupt"] = False
    session.save()
    following = next_session()
    [file] = tmp_path.rglob("*.cache")
    file.write_bytes(b"broken")

    with pytest.raises(UnpicklingError):
        following.get("a")


def test_an_error_of_another_class_in_a_new_session_is_none_of_ours(
    other_class, config, session
):
    config["type"] = "no such backend"

    with pytest.raises(KeyError):
        session.get("a")


def test_with_auto_another_class_is_saved_as_beaker_does(
    other_class, config, session, next_session
):
    config["auto"] = True
    session["a"] = 1

    assert next_session()["a"] == 1


# Without a request


def open_foreign(value="", session_class=OtherSession, **options):
    """Return the session of a cookie's value, or a new one."""
    policy = make_policy(
        {"type": "memory", "session_class": session_class, **options}
    )
    opened = open_session(policy, [value] if value else [])
    assert type(opened) is ForeignSession
    return opened


@pytest.fixture
def value():
    """The value of the cookie of a session that is stored."""
    opened = open_foreign()
    opened.data["a"] = 1
    opened.save()
    return opened.cookie.coded_value


def test_a_stored_session_sends_its_cookie_when_it_is_saved(value):
    assert open_foreign(value).data["a"] == 1
    assert open_foreign(value).is_new is False


def test_an_unsaved_session_sends_no_cookie():
    opened = open_foreign()
    opened.data["a"] = 1

    assert opened.cookie is None


def test_an_expired_session_sends_a_cookie_only_if_it_is_saved(value, clock):
    clock(61)
    opened = open_foreign(value, timeout=60)

    assert opened.is_new
    assert opened.cookie is None
    opened.save()
    assert opened.cookie is not None


def test_a_later_store_without_save_keeps_what_another_class_saved(value):
    opened = open_foreign(value)
    opened.data["a"] = 2
    opened.save()
    opened.data["b"] = 1
    opened.save(everything=False)
    found = open_foreign(value).data

    assert found["a"] == 2
    assert "b" not in found


def test_an_expired_session_stores_nothing_that_was_assigned(value):
    opened = open_foreign(value)
    opened.data["a"] = 2
    opened.save(everything=False)

    assert open_foreign(value).data["a"] == 1


@pytest.mark.parametrize(
    ("secure", "expected"), [(True, True), (False, False), ("auto", False)]
)
def test_another_class_gets_secure_as_a_boolean(secure, expected):
    assert open_foreign(secure=secure).secure is expected


def test_what_another_class_has_besides_is_an_attribute():
    class Session(OtherSession):
        _private = 1

        def greet(self):
            return "hello"

    opened = open_foreign(session_class=Session)

    assert opened.greet() == "hello"
    assert opened.key == "beaker.session.id"
    with pytest.raises(AttributeError):
        opened.unknown
    with pytest.raises(AttributeError):
        opened._private


def test_another_class_says_what_the_session_is(value, clock):
    clock(60)
    opened = open_foreign(value)
    created = time.time() - 60
    opened.domain, opened.path = "localhost", "/shop"

    assert opened.id == opened.data.id
    assert opened.created == pytest.approx(created, abs=30)
    assert opened.last_accessed == pytest.approx(created, abs=30)
    assert (opened.data.domain, opened.data.path) == ("localhost", "/shop")
    assert opened.has_changed()


def test_a_deleted_session_of_another_class_is_gone(value):
    opened = open_foreign(value)
    opened.delete()
    opened.save()

    assert "a" not in open_foreign(value).data


@pytest.mark.parametrize("method", ["invalidate", "regenerate_id"])
def test_another_class_gives_new_ids(value, method):
    opened = open_foreign(value)
    id = opened.id
    getattr(opened, method)()

    assert opened.id != id
    assert ("a" in opened.data) == (method == "regenerate_id")


def test_a_session_of_another_class_knows_no_phases(value):
    opened = open_foreign(value)
    opened.data["a"] = lambda: None

    opened.prepare(True)
    opened.release()


@pytest.mark.parametrize("change", ["save", "regenerate_id", "delete"])
def test_another_class_has_the_keys_that_it_needs(value, change):
    opened = open_foreign(value)
    created = opened.created
    for key in list(opened.data):
        del opened.data[key]
    assert (opened.created, opened.domain, opened.path) == (created, None, "/")
    assert len(opened.data) == 0
    getattr(opened, change)()
    opened.save()

    cookie = opened.cookie
    found = open_foreign(cookie.coded_value if cookie else value)
    assert "a" not in found.data
    assert (found.created == created) == (change != "delete")


@pytest.mark.parametrize("name", ["domain", "path"])
def test_domain_and_path_of_another_class_outlast_a_removal(value, name):
    opened = open_foreign(value)
    opened.data.pop(f"_{name}")
    setattr(opened, name, "/shop")
    opened.data.pop(f"_{name}")
    opened.save()

    assert getattr(open_foreign(value), name) == "/shop"


@pytest.mark.parametrize(
    "options",
    [
        {"type": "cookie", "validate_key": "a key for the tests"},
        {"type": "memory"},
    ],
    ids=["cookie", "memory"],
)
def test_beside_another_class_no_session_is_found_by_an_unknown_id(
    config, session, options
):
    config.update(session_class=OtherSession, **options)

    assert session.get_by_id("0" * 32) is None


class OwnSerializer:
    """What a class of another package serializes by."""


class SerializingSession(OtherSession):
    """A class that takes serializers which nobody else knows."""

    def _set_serializer(self, data_serializer):
        assert isinstance(data_serializer, OwnSerializer | str)
        super()._set_serializer("json")


@pytest.mark.parametrize("serializer", [OwnSerializer(), "own"])
def test_another_class_may_have_a_serializer_of_its_own(serializer):
    options = {"data_serializer": serializer}
    opened = open_foreign(session_class=SerializingSession, **options)
    opened.data["a"] = 1
    opened.save()
    value = opened.cookie.coded_value
    found = open_foreign(value, SerializingSession, **options)

    assert found.data["a"] == 1
