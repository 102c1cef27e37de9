"""The options of sessions are read once, as long as they stay the same."""

import pytest
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping
from ZODB.DB import DB
from ZODB.MappingStorage import MappingStorage

from collective.beaker.ids import new_id
from collective.beaker.session.opening import find_opener


OPTIONS = {"key": "opening", "secret": "a secret of the tests"}


def test_the_same_options_give_the_same_opener(application):
    assert find_opener(dict(OPTIONS)) is find_opener(dict(OPTIONS))


def test_another_option_gives_another_opener(application):
    first = find_opener(OPTIONS)

    assert find_opener(OPTIONS | {"timeout": 60}).options["timeout"] == 60
    assert find_opener(OPTIONS) is not first


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
    before = find_opener(options)
    change(value)

    assert find_opener(options) is not before
    assert find_opener(options).options["of_code"] == value


def test_the_openers_of_sites_with_other_cookies_are_kept_too(application):
    one = find_opener(OPTIONS | {"key": "one"})
    another = find_opener(OPTIONS | {"key": "another"})

    assert find_opener(OPTIONS | {"key": "one"}) is one
    assert find_opener(OPTIONS | {"key": "another"}) is another


def test_the_options_of_a_site_are_not_kept_with_its_connection(application):
    database = DB(MappingStorage())
    with database.transaction() as connection:
        connection.root.options = PersistentMapping(
            OPTIONS, secret_fallbacks=PersistentList(["a former secret"])
        )
    with database.transaction() as connection:
        opener = find_opener(connection.root.options)
        connection.cacheMinimize()
    with database.transaction() as connection:
        assert find_opener(connection.root.options) is opener
    assert type(opener.options["secret_fallbacks"]) is list


def test_sessions_of_one_opener_share_nothing_that_changes(application):
    opener = find_opener(OPTIONS | {"type": "memory"})
    first, second = opener.open(""), opener.open("")
    first["a"] = 1

    assert first.id != second.id
    assert "a" not in second
    assert first.cookie is not second.cookie


def test_an_id_that_code_gives_is_that_of_all_sessions(application):
    id = new_id()
    opener = find_opener(OPTIONS | {"type": "memory", "id": id})

    assert {opener.open("").id, opener.open("").id} == {id}
