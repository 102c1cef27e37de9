"""What requests changed, and how it comes together."""

import copy
import pickle
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collective.beaker.session.merge import difference
from collective.beaker.session.merge import merge


numbers = st.integers(0, 3)
keys = st.sampled_from(["a", "b", "c", "d", 1, ("a", 1)])
lists = st.lists(numbers, max_size=3)
dictionaries = st.dictionaries(keys, numbers, max_size=3)
values = st.one_of(
    numbers,
    st.text("xy", max_size=2),
    lists,
    dictionaries,
    st.lists(dictionaries, max_size=2),
)
data = st.dictionaries(keys, values, max_size=5)


def set_item(session, key, value):
    session[key] = value


def del_item(session, key, value):
    if key in session:
        del session[key]


def pop(session, key, value):
    session.pop(key, None)


def setdefault(session, key, value):
    session.setdefault(key, value)


def update(session, key, value):
    session.update({key: value, "d": value})


def clear(session, key, value):
    session.clear()


def set_the_same(session, key, value):
    if key in session:
        session[key] = copy.deepcopy(session[key])


def change_inside(session, key, value):
    target = session.get(key)
    if isinstance(target, list):
        target.append(value)
    if isinstance(target, dict):
        target["inside"] = value


def change_deep_inside(session, key, value):
    target = session.get(key)
    if isinstance(target, list) and target and isinstance(target[0], dict):
        target[0]["deep inside"] = value


def empty_inside(session, key, value):
    target = session.get(key)
    if isinstance(target, list | dict):
        target.clear()


OPERATIONS = [
    set_item,
    del_item,
    pop,
    setdefault,
    update,
    clear,
    set_the_same,
    change_inside,
    change_deep_inside,
    empty_inside,
]

operations = st.tuples(st.sampled_from(OPERATIONS), keys, values)
requests = st.lists(operations, max_size=6)


def result_of(base, request):
    """Return what one request makes of a session."""
    mine = copy.deepcopy(base)
    for operation, key, value in request:
        operation(mine, key, copy.deepcopy(value))
    return mine


def merged(base, results):
    """Return a session after requests stored what they had made of it."""
    stored = base
    for mine in results:
        stored = merge(stored, difference(base, mine))
    return stored


MISSING = object()


def changed(base, mine, key):
    return base.get(key, MISSING) != mine.get(key, MISSING)


@given(data, requests, requests)
def test_two_requests_keep_what_only_one_of_them_changed(base, one, other):
    results = [result_of(base, one), result_of(base, other)]
    all_keys = base.keys() | results[0].keys() | results[1].keys()

    for order in (results, results[::-1]):
        stored = merged(base, order)
        for mine, other in (results, results[::-1]):
            for key in all_keys:
                if changed(base, mine, key) and not changed(base, other, key):
                    assert not changed(mine, stored, key)


@given(data, requests, requests)
def test_of_two_changes_to_one_key_the_later_stays(base, one, other):
    results = [result_of(base, one), result_of(base, other)]

    for order in (results, results[::-1]):
        stored = merged(base, order)
        for key in base.keys() | order[1].keys():
            if changed(base, order[1], key):
                assert not changed(order[1], stored, key)


@given(data, st.lists(requests, max_size=5))
def test_each_key_is_as_the_last_request_that_changed_it_left_it(base, many):
    results = [result_of(base, request) for request in many]
    stored = merged(base, results)

    for key in base.keys() | {key for mine in results for key in mine}:
        last = base
        for mine in results:
            if changed(base, mine, key):
                last = mine
        assert not changed(last, stored, key)


@given(data, requests)
def test_one_request_alone_is_stored_as_it_is(base, request):
    mine = result_of(base, request)

    assert merged(base, [mine]) == mine


@given(data, requests)
def test_there_are_changes_where_the_result_differs(base, request):
    mine = result_of(base, request)

    assert bool(difference(base, mine)) == (mine != base)


@given(data, requests, requests)
def test_neither_difference_nor_merge_changes_what_it_is_given(
    base, one, other
):
    results = [result_of(base, one), result_of(base, other)]
    before = copy.deepcopy([base, results])
    merged(base, results)

    assert [base, results] == before


texts = st.text("xyz\xe4", max_size=3)
all_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.dates(),
        texts,
        st.binary(max_size=3),
        st.sets(texts, max_size=5),
        st.frozensets(texts, max_size=5),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=5,
)


@given(st.dictionaries(keys, all_values, max_size=4))
def test_a_session_that_was_loaded_and_not_touched_has_no_changes(session):
    stored = pickle.dumps(session)

    assert not difference(pickle.loads(stored), pickle.loads(stored))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ([1], [True]),
        ({"a": 1}, {"a": 1.0}),
        ((1, [2]), (1, [3])),
        ("1", 1),
        (b"a", "a"),
        (date(2011, 5, 11), date(2011, 5, 12)),
    ],
    ids=repr,
)
def test_a_value_of_another_kind_is_a_change(before, after):
    stored = merged({"a": before}, [{"a": after}])

    assert repr(stored) == repr({"a": after})


def test_a_set_that_was_loaded_and_not_touched_has_not_changed():
    small = set(range(100))
    for number in small - {1, 64}:
        small.discard(number)
    loaded = pickle.loads(pickle.dumps(small))
    assert list(loaded) != list(small)

    assert not difference({"a": loaded}, {"a": small})
