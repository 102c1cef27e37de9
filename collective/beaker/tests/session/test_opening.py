"""The options of sessions are read once, as long as they stay the same."""

import pytest
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping
from ZODB.DB import DB
from ZODB.MappingStorage import MappingStorage

from collective.beaker.ids import new_id
from collective.beaker.session.opening import open_session
from collective.beaker.session.policy import policy_for


OPTIONS = {"key": "opening", "secret": "a secret of the tests"}


def test_the_same_options_give_the_same_policy(application):
    assert policy_for(dict(OPTIONS)) is policy_for(dict(OPTIONS))


def test_another_option_gives_another_policy(application):
    first = policy_for(OPTIONS)

    assert policy_for(OPTIONS | {"timeout": 60}).options["timeout"] == 60
    assert policy_for(OPTIONS) is not first


@pytest.mark.parametrize(
    ("value", "change"),
    [
        (["one"], lambda value: value.append("another")),
        (PersistentList(["one"]), lambda value: value.append("another")),
        ({"one"}, lambda value: value.add("another")),
        ({"some": ["one"]}, lambda value: value["some"].append("another")),
    ],
    ids=["list", "persistent list", "set", "list in a mapping"],
)
def test_a_value_that_is_changed_in_place_takes_effect(
    value, change, application
):
    options = OPTIONS | {"type": "memory", "of_code": value}
    before = policy_for(options)
    change(value)

    assert policy_for(options) is not before
    assert policy_for(options).options["of_code"] == value


def test_the_policies_of_sites_with_other_cookies_are_kept_too(application):
    one = policy_for(OPTIONS | {"key": "one"})
    another = policy_for(OPTIONS | {"key": "another"})

    assert policy_for(OPTIONS | {"key": "one"}) is one
    assert policy_for(OPTIONS | {"key": "another"}) is another


def test_the_options_of_a_site_are_not_kept_with_its_connection(application):
    database = DB(MappingStorage())
    with database.transaction() as connection:
        connection.root.options = PersistentMapping(
            OPTIONS, secret_fallbacks=PersistentList(["a former secret"])
        )
    with database.transaction() as connection:
        policy = policy_for(connection.root.options)
        connection.cacheMinimize()
    with database.transaction() as connection:
        assert policy_for(connection.root.options) is policy
    assert type(policy.options["secret_fallbacks"]) is list


def test_sessions_of_one_policy_share_nothing_that_changes(application):
    policy = policy_for(OPTIONS | {"type": "memory"})
    first, second = open_session(policy, ""), open_session(policy, "")
    first.data["a"] = 1

    assert first.id != second.id
    assert "a" not in second.data


def test_an_id_that_code_gives_is_that_of_all_sessions(application):
    id = new_id()
    policy = policy_for(OPTIONS | {"type": "memory", "id": id})

    assert {open_session(policy, "").id, open_session(policy, "").id} == {id}
