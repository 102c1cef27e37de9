"""When a session began, when it was used, and when it has ended."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collective.beaker.session.times import ACCESSED
from collective.beaker.session.times import CREATED
from collective.beaker.session.times import NoTime
from collective.beaker.session.times import TimeInFuture
from collective.beaker.session.times import Timeouts
from collective.beaker.session.times import later
from collective.beaker.stores.base import CLOCK_LEEWAY


@pytest.mark.parametrize(
    ("limits", "key"), [({"idle": 60}, ACCESSED), ({"absolute": 60}, CREATED)]
)
@pytest.mark.parametrize(
    ("age", "ended"), [(0, False), (60, False), (61, True)]
)
def test_a_session_ends_after_its_time(clock, limits, key, age, ended):
    data = {key: time.time()}
    clock(age)

    assert Timeouts(**limits).have_ended(data) is ended


@pytest.mark.parametrize(
    ("limits", "key"), [({"idle": 60}, CREATED), ({"absolute": 60}, ACCESSED)]
)
def test_each_limit_looks_at_its_own_time_only(clock, limits, key):
    data = {key: time.time()}
    clock(61)

    assert not Timeouts(**limits).have_ended(data)


def test_a_session_that_is_used_ends_absolutely(clock):
    timeouts = Timeouts(idle=60, absolute=100)
    data = {CREATED: time.time()}
    clock(101)
    data[ACCESSED] = time.time()

    assert timeouts.have_ended(data)


def test_without_limits_no_session_ends(clock):
    data = {ACCESSED: time.time(), CREATED: time.time()}
    clock(10**9)

    assert not Timeouts().have_ended(data)


@pytest.mark.parametrize("key", [ACCESSED, CREATED])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (None, TypeError),
        ("yesterday", TypeError),
        (True, TypeError),
        (math.nan, NoTime),
        (math.inf, NoTime),
        (-math.inf, NoTime),
        (-1, NoTime),
        (10**400, TimeInFuture),
    ],
)
def test_what_is_no_time_is_an_error(key, value, error):
    for limits in ({}, {"idle": 60}, {"absolute": 60}):
        for in_use in (True, False):
            with pytest.raises(error):
                Timeouts(**limits).have_ended({key: value}, in_use)


@pytest.mark.parametrize("key", [ACCESSED, CREATED])
def test_the_clock_of_another_host_may_be_a_little_ahead(clock, key):
    timeouts, data = Timeouts(idle=60, absolute=60), {key: time.time()}
    clock(-CLOCK_LEEWAY)
    assert not timeouts.have_ended(data)
    clock(-1)
    with pytest.raises(TimeInFuture):
        timeouts.have_ended(data)


def test_a_session_that_is_in_use_has_not_ended(clock):
    data = {ACCESSED: time.time(), CREATED: time.time()}
    clock(61)

    assert not Timeouts(idle=60, absolute=60).have_ended(data, in_use=True)


# The time of access


def test_a_session_that_was_never_used_is_due():
    assert Timeouts(resolution=60).is_access_due(None)


@pytest.mark.parametrize("last_accessed", [None, 0.0])
def test_no_time_is_due_where_none_is_stored(last_accessed):
    timeouts = Timeouts(stores_access=False)

    assert not timeouts.is_access_due(last_accessed)


@pytest.mark.parametrize(
    ("limits", "age", "due"),
    [
        ({}, 0, True),
        ({"resolution": 60}, 59, False),
        ({"resolution": 60}, 60, True),
        ({"resolution": 60, "idle": 600}, 59, False),
        ({"resolution": 60, "idle": 300}, 29, False),
        ({"resolution": 60, "idle": 300}, 30, True),
        ({"resolution": 20, "idle": 300}, 20, True),
        ({"resolution": 60, "absolute": 300}, 59, False),
    ],
)
@pytest.mark.parametrize("direction", [1, -1], ids=["past", "future"])
def test_a_time_is_due_at_the_resolution(clock, limits, age, due, direction):
    last_accessed = time.time()
    clock(age * direction)

    assert Timeouts(**limits).is_access_due(last_accessed) is due


PAST = st.floats(0, 10**9)
FUTURE = st.floats(10**11, 10**12)
NO_TIME = st.sampled_from(
    [None, "yesterday", [], True, -1.0, math.nan, math.inf, -math.inf]
)


@given(one=PAST, other=PAST)
def test_the_later_of_two_times_is_the_greater(one, other):
    assert later(one, other) == later(other, one) == max(one, other)


@given(one=PAST, other=NO_TIME)
def test_what_is_no_time_is_never_the_later(one, other):
    assert later(one, other) == later(other, one) == one


@given(one=NO_TIME, other=NO_TIME)
def test_of_two_that_are_no_times_now_is_the_later(one, other):
    before = time.time()

    assert before <= later(one, other) <= time.time()


@given(one=FUTURE, other=PAST | FUTURE | NO_TIME)
def test_no_time_is_later_than_now(one, other):
    before = time.time()

    assert before <= later(one, other) <= time.time()
    assert before <= later(other, one) <= time.time()
