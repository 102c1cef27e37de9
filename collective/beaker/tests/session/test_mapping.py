"""A session as a mutable mapping."""

import operator
from collections.abc import MutableMapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collective.beaker.tests.helpers.sessions import PlainSession
from collective.beaker.tests.helpers.sessions import open_stored
from collective.beaker.tests.helpers.stores import store_fixture


each_kind = store_fixture("memory", "cookie")
"""One store for each of the two kinds of session."""

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


@pytest.mark.parametrize(
    "clear",
    [
        lambda session: session.clear(),
        lambda session: MutableMapping.clear(session),
        lambda session: [session.popitem() for _ in range(len(session))],
        lambda session: [session.pop(key) for key in list(session)],
    ],
    ids=["clear", "as the standard library", "popitem", "pop"],
)
def test_what_is_emptied_is_empty_and_keeps_what_beaker_needs(
    each_kind, session, next_session, clear
):
    session["a"] = 1
    session.save()
    session = next_session()
    clear(session)
    assert (len(session), list(session), dict(session)) == (0, [], {})
    created, path = session.created, session.path
    session.save()

    following = next_session()
    assert "a" not in following
    assert (following.created, following.path) == (created, path)
    assert following.keys() >= RESERVED


def test_a_session_can_be_emptied_key_by_key(session, next_session):
    session["a"] = 1
    created = session.created
    for key in list(session.keys()):
        del session[key]
    session.save()

    following = next_session()
    assert "a" not in following
    assert following.created == created


@pytest.mark.parametrize(
    "assign",
    [
        lambda session, values: session.update(values),
        lambda session, values: session.update(list(values.items()), b=1),
        lambda session, values: operator.ior(session, values),
    ],
    ids=["update", "pairs", "|="],
)
def test_assigning_many_keys_leaves_out_beakers_own(
    each_kind, session, next_session, assign
):
    created, path = session.created, session.path
    own = {"_path": "/x", "_id": "x", "_user": "x", "_client": "x"}
    assign(session, {"a": 1, "_creation_time": 9e9, **own})
    assert (session["_creation_time"], session["_path"]) == (created, path)
    session.save()

    following = next_session()
    assert following["a"] == 1
    assert (following.created, following.path) == (created, path)
    assert "x" not in following.values()


def test_a_copy_can_be_put_back_into_a_new_session(
    each_kind, session, next_session
):
    session["a"] = 1
    session.save()
    session = next_session()
    data = dict(session)
    session.invalidate()
    session.update(data)
    session.save()

    following = next_session()
    assert following["a"] == 1
    assert following.id == session.id


@pytest.mark.parametrize("assign", ["__setitem__", "setdefault"])
@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("_accessed_time", "whenever the session is used"),
        ("_creation_time", r"invalidate\(\)"),
        ("_domain", "attribute domain"),
        ("_id", r"regenerate_id\(\)"),
        ("_path", "attribute path"),
        ("_user", "when a user stores"),
        ("_client", "when a user stores"),
    ],
)
def test_assigning_to_a_key_of_beakers_own_is_an_error(
    session, assign, key, remedy
):
    session.clear()
    with pytest.raises(
        ValueError, match=f"key '{key}'.*Beaker's own.*{remedy}"
    ):
        getattr(session, assign)(key, 1)

    assert key not in session


def test_a_key_of_beakers_own_that_is_there_is_no_default(session):
    assert session.setdefault("_path", "/shop") == "/"


@pytest.mark.parametrize("method", ["__getitem__", "__delitem__", "pop"])
def test_an_absent_key_is_a_key_error(session, method):
    with pytest.raises(KeyError):
        getattr(session, method)("a")


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


def test_looking_for_an_unknown_attribute_opens_no_session(session):
    assert not hasattr(session, "aq_parent")
    assert not session.accessed()


def test_whether_times_are_stored_is_an_attribute(config, session):
    config["save_accessed_time"] = False

    assert session.save_atime is False


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
    assert len({mapping, other}) == 2


def test_a_session_compares_with_dictionaries_as_one(mapping):
    values = dict(mapping)

    assert mapping == values == mapping.copy()
    assert type(mapping.copy()) is dict
    assert mapping != values | {"b": 2}
    assert mapping != list(values.items())


def test_a_session_is_united_with_dictionaries_as_one(mapping):
    values = dict(mapping)

    assert mapping | {"a": 2} == values | {"a": 2}
    assert {"a": 2} | mapping == {"a": 2} | values == values
    assert type(mapping | {}) is type({} | mapping) is dict
    for unite in (lambda: mapping | [], lambda: [] | mapping):
        with pytest.raises(TypeError):
            unite()


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("clear")),
        st.tuples(st.just("popitem")),
        st.tuples(
            st.sampled_from(["pop", "setdefault"]),
            st.sampled_from("abc"),
            st.integers(),
        ),
        st.tuples(
            st.sampled_from(["get", "pop", "__delitem__", "__getitem__"]),
            st.sampled_from(["a", "b", "_path", "_creation_time"]),
        ),
        st.tuples(
            st.just("__setitem__"), st.sampled_from("abc"), st.integers()
        ),
        st.tuples(
            st.sampled_from(["update", "__or__", "__ror__", "__eq__"]),
            st.dictionaries(st.sampled_from("abc"), st.integers()),
        ),
    )
)


def outcome(mapping, name, *arguments):
    """Return what a method returns, or the type of what it raises."""
    try:
        return getattr(mapping, name)(*arguments)
    except Exception as error:
        return type(error)


@given(operations=OPERATIONS)
def test_a_session_does_what_a_dictionary_does(operations):
    mapping = open_stored()
    model = dict(mapping)

    for name, *arguments in operations:
        expected = outcome(model, name, *arguments)
        assert outcome(mapping, name, *arguments) == expected
        assert list(mapping.items()) == list(model.items())
        assert len(mapping) == len(list(mapping.keys())) == len(model)
        assert all(key in mapping for key in model)


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

    assert f"session's {name} is {value!r}; it must be" in str(raised.value)
    assert raised.value.__context__ is None
    assert getattr(mapping, name) == before


def test_a_default_is_given_for_a_key_that_is_missing(mapping):
    assert mapping.pop("b", 2) == 2
    assert mapping.get("b") is None
    assert mapping.setdefault("a", 4) == 1
    assert not mapping.has_key("b")
    with pytest.raises(KeyError):
        mapping.pop("b")
