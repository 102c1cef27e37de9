"""A session as a mutable mapping."""

import pytest

from collective.beaker.tests.helpers.sessions import PlainSession
from collective.beaker.tests.helpers.sessions import open_stored


RESERVED = {"_accessed_time", "_creation_time", "_domain", "_path"}


def test_private_names_are_not_looked_up_in_beakers_session(session):
    with pytest.raises(AttributeError):
        session.__getattr__("_cookie")

    assert not session.accessed()


def test_the_dictionary_methods(session):
    assert session.setdefault("a", 1) == 1
    session.update(b=2)
    session["c"] = 3
    assert session.pop("c") == 3
    assert session.has_key("a")
    assert "c" not in session
    assert session.get("c", 4) == 4
    assert {("a", 1), ("b", 2)} <= set(session.items())
    assert {"a", "b"} <= set(session.keys()) == set(session)
    assert len(session) == len(RESERVED) + 2
    with pytest.raises(KeyError):
        session["c"]


def test_clear_leaves_what_beaker_needs(session):
    session["a"] = 1
    session.clear()

    assert set(session) == RESERVED


def test_a_session_can_be_emptied_key_by_key(session, next_session):
    session["a"] = 1
    created = session.created
    for key in list(session.keys()):
        del session[key]
    session.save()

    following = next_session()
    assert "a" not in following
    assert following.created == created


@pytest.mark.parametrize("method", ["__getitem__", "__delitem__", "pop"])
def test_an_absent_key_is_a_key_error(session, method):
    with pytest.raises(KeyError):
        getattr(session, method)("a")


def test_what_beaker_needs_cannot_be_removed(session):
    for key in RESERVED:
        assert session.pop(key) == session[key]
        del session[key]

    assert set(session) == RESERVED


@pytest.mark.parametrize(
    "use",
    [
        lambda session: session.get("a"),
        lambda session: session.setdefault("a", 1),
        lambda session: session.pop("a", None),
        lambda session: "a" in session,
    ],
)
def test_a_failure_to_open_a_session_is_no_missing_key(config, session, use):
    config["type"] = "no such backend"

    with pytest.raises(LookupError, match="is 'no such backend': there is"):
        use(session)


def test_domain_and_path_can_be_set(any_store, session):
    session.domain, session.path = "localhost", "/shop"

    assert (session.domain, session.path) == ("localhost", "/shop")


def test_popitem_leaves_what_beaker_needs(session):
    session["a"] = 1

    assert session.popitem() == ("a", 1)
    with pytest.raises(KeyError):
        session.popitem()


@pytest.mark.parametrize("name", ["httponly", "timeout", "secure", "lock"])
def test_an_option_is_an_attribute_as_of_beakers_sessions(
    config, session, name
):
    config.update(timeout=60, secure="auto")
    attributes = {"httponly": True, "timeout": 60, "secure": False}

    if name in attributes:
        assert getattr(session, name) is attributes[name]
    else:
        assert callable(getattr(session, name))


def test_an_unknown_attribute_is_an_attribute_error(session):
    with pytest.raises(AttributeError, match="no attribute 'unknown'"):
        session.unknown


# Without a request


@pytest.fixture
def mapping():
    """A session that holds one key of code."""
    mapping = open_stored()
    mapping["a"] = 1
    return mapping


def test_two_sessions_that_hold_the_same_are_not_the_same(mapping):
    other = PlainSession(mapping.policy, mapping.opened)

    assert mapping == mapping
    assert mapping != other
    assert mapping != dict(mapping)
    assert len({mapping, other}) == 2


def test_a_session_without_keys_is_true():
    mapping = open_stored()
    mapping.opened.data.clear()

    assert len(mapping) == 0
    assert mapping


def test_a_session_says_what_the_one_that_was_opened_says(mapping):
    opened = mapping.opened

    assert mapping.id == opened.id
    assert mapping.is_new == opened.is_new
    assert mapping.created == opened.created
    assert mapping.last_accessed == opened.last_accessed
    mapping.domain, mapping.path = "localhost", "/shop"
    assert (opened.domain, opened.path) == ("localhost", "/shop")


def test_the_domain_may_be_that_of_the_request(mapping):
    mapping.domain = "localhost"
    mapping.domain = None

    assert mapping.domain is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("domain", "example.org; Path=/"),
        ("domain", "b\xfccher.example"),
        ("path", "shop"),
        ("path", ""),
        ("path", "/shop\r\nX-Evil: 1"),
    ],
)
def test_what_breaks_out_of_the_cookie_is_refused(mapping, name, value):
    before = getattr(mapping, name)
    with pytest.raises(ValueError) as raised:
        setattr(mapping, name, value)

    assert f"session's {name} is {value!r}; allowed is" in str(raised.value)
    assert raised.value.__context__ is None
    assert getattr(mapping, name) == before


def test_a_default_is_given_for_a_key_that_is_missing(mapping):
    assert mapping.pop("b", 2) == 2
    assert mapping.pop("_id", 3) == 3
    assert mapping.get("b") is None
    assert mapping.setdefault("a", 4) == 1
    assert not mapping.has_key("b")
    with pytest.raises(KeyError):
        mapping.pop("b")
