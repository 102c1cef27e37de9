"""What one request sees of a session, and what it has changed in it."""

import time
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collective.beaker.session.codec import make_codec
from collective.beaker.session.times import ACCESSED
from collective.beaker.session.times import CREATED
from collective.beaker.session.working_copy import DOMAIN
from collective.beaker.session.working_copy import ID
from collective.beaker.session.working_copy import OWN_KEYS
from collective.beaker.session.working_copy import PATH
from collective.beaker.session.working_copy import USER
from collective.beaker.session.working_copy import WorkingCopy
from collective.beaker.session.working_copy import is_empty
from collective.beaker.settings.options import with_defaults


CODEC = make_codec(with_defaults({}))

SCOPE = {DOMAIN: None, PATH: "/"}
OLD = {**SCOPE, CREATED: 1000.0, ACCESSED: 2000.0}
"""The own keys of a session that was stored long ago."""


def begun():
    copy = WorkingCopy(CODEC)
    copy.begin(SCOPE)
    return copy


def held(**values):
    """Return the working copy of a session that was stored long ago."""
    return held_text(CODEC.encode(OLD | values))


def held_text(text):
    copy = WorkingCopy(CODEC)
    copy.hold(CODEC.decode(text), text)
    return copy


def of_code(data):
    """Return data without Beaker's own keys."""
    return {key: data[key] for key in data.keys() - OWN_KEYS}


# Holding


def test_a_new_session_begins_now(clock):
    copy = begun()

    assert copy.data == {CREATED: time.time(), ACCESSED: time.time(), **SCOPE}
    assert copy.text is None


def test_a_session_that_is_held_is_used_now(clock):
    copy = held(a=1)

    assert copy.data == {**OLD, "a": 1, ACCESSED: time.time()}
    assert copy.to_store(False) == copy.to_store(True) == copy.data


@pytest.mark.parametrize("accessed", [1000.0, None])
def test_without_a_time_of_creation_the_best_guess_is_taken(clock, accessed):
    data = {"a": 1} if accessed is None else {"a": 1, ACCESSED: accessed}
    copy = held_text(CODEC.encode(data))

    assert copy.data[CREATED] == (accessed or time.time())


@pytest.mark.parametrize(
    "change",
    [
        lambda copy: copy.begin(SCOPE),
        lambda copy: copy.hold({"b": 1}, CODEC.encode({"b": 1})),
        lambda copy: copy.empty(),
        lambda copy: copy.revert(),
        lambda copy: copy.restore(copy.snapshot()),
        lambda copy: copy.take_over({"b": 1}, CODEC.encode({"b": 1}), True),
    ],
    ids=["begin", "hold", "empty", "revert", "restore", "take over"],
)
def test_code_always_has_the_same_object(change):
    copy = held(a=1)
    data = copy.data
    change(copy)

    assert copy.data is data


def test_emptying_leaves_what_a_cookie_is_made_of():
    copy = held(a=1)
    copy.set_own(PATH, "/shop")
    text = copy.text
    copy.empty()

    assert copy.data == copy.to_store(True) == {DOMAIN: None, PATH: "/shop"}
    assert copy.text == text


# Beaker's own keys


def test_an_own_key_has_the_value_that_was_set_last():
    copy = held()

    assert copy.get_own(PATH) == "/"
    copy.set_own(PATH, "/shop")
    assert copy.get_own(PATH) == copy.data[PATH] == "/shop"
    assert copy.get_own(ID, "none") == "none"


@pytest.mark.parametrize("key", [DOMAIN, PATH, CREATED])
@pytest.mark.parametrize(
    "change",
    [
        lambda data, key: data.pop(key),
        lambda data, key: data.update({key: "of code"}),
    ],
    ids=["removed", "set"],
)
def test_own_keys_are_stored_whatever_code_does_to_them(key, change):
    copy = held()
    change(copy.data, key)

    assert copy.to_store(True)[key] == OLD[key]
    assert not copy.has_changed()


def test_an_own_key_that_was_set_is_stored_with_everything():
    copy = held()
    copy.set_own(PATH, "/shop")

    assert copy.has_changed()
    assert copy.to_store(True)[PATH] == "/shop"
    assert copy.to_store(False)[PATH] == "/"


# Changes


def set_key(copy, key, value):
    copy.data[key] = value


def remove_key(copy, key, value):
    copy.data.pop(key, None)


def change_inside(copy, key, value):
    target = copy.data.get(key)
    if isinstance(target, list):
        target.append(value)


KEYS = st.sampled_from("abcd")
VALUES = st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=3)
DATA = st.dictionaries(KEYS, VALUES)
ASSIGNMENTS = st.lists(
    st.tuples(st.sampled_from([set_key, remove_key]), KEYS, VALUES)
)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from([set_key, remove_key, change_inside]), KEYS, VALUES
    )
)


def apply(changes, copy):
    for change, key, value in changes:
        change(copy, key, deepcopy(value))
    return copy


@given(stored=DATA, changes=ASSIGNMENTS)
def test_without_save_no_assignment_is_stored(stored, changes):
    copy = apply(changes, held(**stored))

    assert of_code(copy.to_store(False)) == stored
    assert not copy.has_changed_inside()


@given(stored=DATA, key=KEYS, changes=ASSIGNMENTS)
def test_without_save_a_change_inside_a_value_is_stored(stored, key, changes):
    copy = held(**stored | {key: [1]})
    copy.data[key].append(2)
    apply(changes, copy)

    assert of_code(copy.to_store(False)) == stored | {key: [1, 2]}
    assert copy.has_changed_inside()


@given(stored=DATA, changes=CHANGES)
def test_with_save_all_is_stored_that_code_sees(stored, changes):
    copy = apply(changes, held(**stored))

    assert copy.to_store(True) == copy.data


@given(stored=DATA, changes=CHANGES)
def test_a_session_has_changed_if_code_sees_another(stored, changes):
    copy = apply(changes, held(**stored))

    assert copy.has_changed() == (of_code(copy.data) != stored)


@given(stored=DATA, changes=CHANGES)
def test_the_changes_lead_from_what_is_stored_to_what_code_sees(
    stored, changes
):
    copy = apply(changes, held(**stored))
    found = copy.changes(True)
    kept = {key: stored[key] for key in stored.keys() - found.removed}

    assert kept | found.values == of_code(copy.data)


def test_time_is_no_change():
    copy = held(a=1)

    assert copy.data[ACCESSED] != OLD[ACCESSED]
    assert not copy.changes(True)
    assert not copy.changes(False)


def test_a_new_session_has_changed_once_code_puts_something_into_it():
    copy = begun()
    copy.set_own(PATH, "/shop")
    assert not copy.has_changed()
    copy.data["a"] = 1

    assert copy.has_changed()


@given(stored=DATA, changes=CHANGES)
def test_reverting_takes_all_changes_back(stored, changes):
    copy = apply(changes, held(**stored))
    copy.set_own(PATH, "/shop")
    copy.revert()

    assert of_code(copy.data) == stored
    assert copy.get_own(PATH) == "/"
    assert not copy.has_changed()


def test_reverting_a_new_session_empties_it():
    copy = begun()
    copy.set_own(PATH, "/shop")
    copy.data["a"] = 1
    copy.revert()

    assert of_code(copy.data) == {}
    assert copy.get_own(PATH) == "/shop"
    assert copy.text is None


@given(stored=DATA, changes=CHANGES, later=ASSIGNMENTS)
def test_what_was_stored_counts_as_loaded(stored, changes, later):
    copy = apply(changes, held(**stored))
    mine = copy.to_store(True)
    copy.mark_stored(mine, CODEC.encode(mine))
    expected = deepcopy(mine)
    assert not copy.has_changed()
    apply(later, copy)

    assert copy.to_store(False) == expected
    assert not copy.has_changed_inside()


# What others have stored


@given(stored=DATA, one=CHANGES, other=CHANGES)
def test_of_two_requests_with_different_keys_both_changes_are_kept(
    stored, one, other
):
    first, second = held(**stored), held(**stored)
    apply([change for change in one if change[1] in "ab"], first)
    apply([change for change in other if change[1] in "cd"], second)
    expected = {key: first.data[key] for key in "ab" if key in first.data} | {
        key: second.data[key] for key in "cd" if key in second.data
    }

    for mine, theirs in ((first, second), (second, first)):
        data = mine.merge_into(theirs.to_store(True), True)
        assert of_code(data) == expected
        assert not mine.conflicts_with(theirs.to_store(True), True)


@given(stored=DATA, one=CHANGES, other=CHANGES)
def test_of_two_changes_to_one_key_the_one_that_is_merged_stays(
    stored, one, other
):
    mine = apply(one, held(**stored))
    theirs = apply(other, held(**stored))
    data = mine.merge_into(theirs.to_store(True), True)

    changed = mine.changes(True).keys()
    for key in changed:
        assert data.get(key) == mine.data.get(key)


@given(stored=DATA, one=CHANGES, other=CHANGES)
def test_requests_conflict_if_both_have_changed_a_key(stored, one, other):
    mine = apply(one, held(**stored))
    theirs = apply(other, held(**stored))
    both = mine.changes(True).keys() & theirs.changes(True).keys()

    assert mine.conflicts_with(theirs.to_store(True), True) == both


@pytest.mark.parametrize(
    "mark, keys", [("current", set()), ("of another user", {USER})]
)
def test_requests_that_renew_the_mark_of_a_user_do_not_conflict(mark, keys):
    """As those of one user do that overlap after a rotation."""
    mine, theirs = (held(**{USER: "former"}) for _ in range(2))
    mine.belong_to("current", "")
    theirs.belong_to(mark, "")

    assert mine.conflicts_with(theirs.to_store(True), True) == keys


@given(stored=DATA, changes=CHANGES)
def test_without_save_only_changes_inside_values_are_merged(stored, changes):
    copy = held(**stored | {"basket": [1]})
    copy.data["basket"].append(2)
    copy.data["e"] = 1
    theirs = apply(changes, held(**stored | {"basket": [1]})).to_store(True)
    data = copy.merge_into(theirs, False)

    assert of_code(data) == of_code(theirs) | {"basket": [1, 2]}


@pytest.mark.parametrize("everything", [True, False])
@given(age=st.integers(-(10**6), 10**6))
def test_merging_never_moves_the_time_of_access_back(everything, age):
    copy = held(a=1)
    mine = copy.data[ACCESSED]
    data = copy.merge_into({**OLD, ACCESSED: mine - age}, everything)

    assert mine <= data[ACCESSED] <= time.time()


def test_the_time_of_access_of_another_request_is_kept_if_it_is_later(clock):
    copy = held(a=1)
    clock(10)
    theirs = held(a=1).data
    clock(10)

    assert copy.merge_into(theirs, True)[ACCESSED] == theirs[ACCESSED]


@given(stored=DATA, one=CHANGES, other=CHANGES, everything=st.booleans())
def test_what_others_stored_is_taken_over_beside_the_changes(
    stored, one, other, everything
):
    copy = apply(one, held(**stored))
    seen = copy.merge_into(theirs := stored_by(other, stored), True)
    to_store = copy.merge_into(theirs, everything)
    text = CODEC.encode(theirs)
    copy.take_over(deepcopy(theirs), text, everything)

    assert of_code(copy.data) == of_code(seen)
    assert of_code(copy.to_store(everything)) == of_code(to_store)
    assert copy.text == text


def test_a_path_that_was_not_saved_outlasts_what_others_stored():
    copy = held(a=1)
    copy.set_own(PATH, "/shop")
    theirs = held(a=2).to_store(True)
    copy.take_over(theirs, CODEC.encode(theirs), False)

    assert copy.to_store(False)[PATH] == "/"
    assert copy.to_store(True)[PATH] == copy.data[PATH] == "/shop"


def test_a_path_that_was_stored_gives_way_to_that_of_a_later_request():
    copy = held(a=1)
    copy.set_own(PATH, "/shop")
    mine = copy.to_store(True)
    copy.mark_stored(mine, CODEC.encode(mine))
    theirs = mine | {PATH: "/cart"}
    copy.take_over(theirs, CODEC.encode(theirs), True)

    assert copy.to_store(True)[PATH] == copy.data[PATH] == "/cart"


def stored_by(changes, stored):
    """Return what another request has made of a session."""
    return apply(changes, held(**stored)).to_store(True)


# Snapshots


def state(copy):
    return deepcopy((copy.data, copy.loaded, copy.own, copy.text))


@given(stored=DATA, before=CHANGES, after=CHANGES)
def test_a_snapshot_brings_back_exactly_its_state(stored, before, after):
    copy = apply(before, held(**stored))
    copy.set_own(PATH, "/before")
    expected = state(copy)
    snapshot = copy.snapshot()

    for _ in range(2):
        apply(after, copy)
        copy.set_own(PATH, "/after")
        copy.restore(snapshot)
        assert state(copy) == expected


@pytest.mark.parametrize(
    "end",
    [
        lambda copy: copy.empty(),
        lambda copy: copy.begin(SCOPE),
        lambda copy: copy.hold({"b": 1}, CODEC.encode({"b": 1})),
    ],
    ids=["empty", "begin", "hold"],
)
def test_a_snapshot_brings_back_a_session_that_has_ended(end):
    copy = held(a=[1])
    expected = state(copy)
    snapshot = copy.snapshot()
    end(copy)
    copy.restore(snapshot)

    assert state(copy) == expected


def test_a_value_that_was_restored_is_still_that_which_was_loaded():
    copy = held(a=[1])
    copy.restore(copy.snapshot())
    copy.data["a"].append(2)

    assert copy.to_store(False)["a"] == [1, 2]


# What is left of a session


@pytest.mark.parametrize(
    ("data", "empty"),
    [
        ({}, True),
        ({ACCESSED: 1.0, **SCOPE}, True),
        ({ACCESSED: 1.0, CREATED: 1.0, **SCOPE}, False),
        ({ID: "id", **SCOPE}, False),
        ({"a": 1}, False),
    ],
)
def test_what_is_left_in_place_of_a_deleted_session_is_empty(data, empty):
    assert is_empty(data) is empty
