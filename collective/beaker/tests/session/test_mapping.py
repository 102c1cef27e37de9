"""A session as a mutable mapping."""

import pytest


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
