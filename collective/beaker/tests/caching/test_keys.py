"""What a key is made of."""

import pickle
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from datetime import timezone
from decimal import Decimal
from enum import Enum
from enum import Flag
from enum import IntEnum
from itertools import product
from math import copysign
from math import isnan
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OFS.Folder import Folder

from collective.beaker.caching.keys import Arguments
from collective.beaker.caching.keys import encode


class Color(Enum):
    RED = 1
    CRIMSON = 1
    GREEN = 2


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Right(Flag):
    READ = 1
    WRITE = 2


zones = st.one_of(
    st.none(),
    st.sampled_from(["Europe/Lisbon", "Europe/Berlin", "UTC"]).map(ZoneInfo),
    st.sampled_from([0, 60, 120]).map(
        lambda minutes: timezone(timedelta(minutes=minutes))
    ),
)
# Few and close ones, so that two of them are equal now and then.
numbers = st.one_of(
    st.booleans(),
    st.integers(-2, 2),
    st.integers(),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, float("nan"), float("inf")]),
    st.floats(),
    st.complex_numbers(),
    st.sampled_from([Decimal("1"), Decimal("1.0"), Decimal("NaN")]),
    st.decimals(allow_nan=False),
)
dates = st.one_of(
    st.dates(),
    st.datetimes(
        datetime(2026, 10, 25, 0), datetime(2026, 10, 25, 4), timezones=zones
    ),
    st.times(timezones=st.just(timezone.utc) | st.none()),
    st.timedeltas(),
)
atoms = st.one_of(
    st.none(),
    numbers,
    st.text("1:s\0ä\ud800", max_size=3),
    st.text(),
    st.binary(max_size=3),
    dates,
    st.uuids(),
    st.sampled_from([*Color, *Size, *Right, Right.READ | Right.WRITE]),
)
hashable = st.recursive(
    atoms,
    lambda parts: (
        st.lists(parts, max_size=3).map(tuple)
        | st.frozensets(parts, max_size=3)
    ),
    max_leaves=4,
)
values = st.recursive(
    hashable,
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.lists(parts, max_size=3).map(tuple)
        | st.sets(hashable, max_size=3)
        | st.dictionaries(hashable, parts, max_size=3)
    ),
    max_leaves=6,
)


def is_same(one, other):
    """Tell whether two values are equal, and of one type at each level.

    This is what keys promise, written without them.
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, (set, frozenset)):
        return are_same(list(one), list(other))
    if isinstance(one, dict):
        return are_same(list(one.items()), list(other.items()))
    if isinstance(one, float):
        both_nan = isnan(one) and isnan(other)
        return both_nan or (
            one == other and copysign(1, one) == copysign(1, other)
        )
    if isinstance(one, complex):
        return is_same(one.real, other.real) and is_same(one.imag, other.imag)
    if isinstance(one, Decimal):
        return one.as_tuple() == other.as_tuple()
    if isinstance(one, (datetime, time)):
        return (
            one.replace(tzinfo=None) == other.replace(tzinfo=None)
            and one.fold == other.fold
            and str(one.tzinfo) == str(other.tzinfo)
            and type(one.tzinfo) is type(other.tzinfo)
        )
    return one == other


def are_same(ones, others):
    """Tell whether two lists hold the same, in any order."""
    if len(ones) != len(others):
        return False
    left = list(others)
    for one in ones:
        found = [other for other in left if is_same(one, other)]
        if not found:
            return False
        left = [other for other in left if other is not found[0]]
    return True


@given(values, values)
def test_two_values_share_a_key_only_if_they_are_equal_in_value_and_type(
    one, other
):
    if encode(one) == encode(other):
        assert is_same(one, other)


@given(values)
def test_a_value_has_the_same_key_each_time(value):
    assert encode(pickle.loads(pickle.dumps(value))) == encode(value)


@given(
    st.lists(values, max_size=3).map(tuple),
    st.lists(values, max_size=3).map(tuple),
)
def test_two_calls_share_a_key_only_if_their_arguments_are_the_same(
    one, other
):
    def function(*args):
        """Take any arguments."""

    key = Arguments(function).key
    if key(one, {}) == key(other, {}):
        assert is_same(one, other)


def test_what_one_argument_holds_is_never_taken_for_the_next():
    def function(one, other):
        """Take two arguments."""

    key = Arguments(function).key
    # What stands between the arguments, and what might look like it.
    texts = ["".join(t) for n in range(4) for t in product("s1:", repeat=n)]
    keys = {key(pair, {}) for pair in product(texts, repeat=2)}

    assert len(keys) == len(texts) ** 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (1, "1"),
        ("1", b"1"),
        (0.0, -0.0),
        (None, "None"),
        ((1, 2), [1, 2]),
        ({1}, frozenset({1})),
        ((), None),
        ({1: 2}, {1: "2"}),
        (("a b", "c"), ("a", "b c")),
        (("a", ("b",)), (("a", "b"),)),
        (Size.SMALL, 1),
        (Color.RED, Color.GREEN),
        (date(2026, 1, 1), datetime(2026, 1, 1)),
        (Decimal("1.0"), Decimal("1.00")),
        (UUID(int=1), str(UUID(int=1))),
        (
            datetime(2026, 1, 1, 12, tzinfo=timezone.utc),
            datetime(2026, 1, 1, 12, tzinfo=ZoneInfo("Europe/Lisbon")),
        ),
        (datetime(2026, 10, 25, 2), datetime(2026, 10, 25, 2, fold=1)),
        (
            datetime(2026, 10, 25, tzinfo=ZoneInfo("Europe/Paris")),
            datetime(2026, 10, 25, tzinfo=ZoneInfo("Europe/Berlin")),
        ),
        (
            datetime(2026, 10, 25, 2, fold=0, tzinfo=ZoneInfo("CET")),
            datetime(2026, 10, 25, 2, fold=1, tzinfo=ZoneInfo("CET")),
        ),
    ],
)
def test_values_that_look_alike_have_different_keys(one, other):
    assert encode(one) != encode(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({1, 2, 3}, {3, 2, 1}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (float("nan"), float("nan")),
        (Color.RED, Color.CRIMSON),
    ],
)
def test_values_that_are_the_same_have_one_key(one, other):
    assert encode(one) == encode(other)


def weather(city, /, days=3, *places, unit="C", **more):
    """A function with each kind of parameter."""


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("Lisbon",), {}),
        (("Lisbon", 3), {}),
        (("Lisbon",), {"days": 3}),
        (("Lisbon",), {"unit": "C"}),
        (("Lisbon",), {"unit": "C", "days": 3}),
    ],
)
def test_a_call_has_the_key_of_its_arguments_however_they_are_given(
    args, kwargs
):
    key = Arguments(weather).key

    assert key(args, kwargs) == key(("Lisbon", 3), {"unit": "C"})


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("Porto",), {}),
        (("Lisbon", 4), {}),
        (("Lisbon", 3, "C"), {}),
        (("Lisbon",), {"unit": "F"}),
        (("Lisbon",), {"city": "Porto"}),
        (("Lisbon",), {"wind": "E"}),
    ],
)
def test_another_argument_gives_another_key(args, kwargs):
    key = Arguments(weather).key

    assert key(args, kwargs) != key(("Lisbon",), {})


def test_names_and_defaults_of_a_plain_function_are_bound():
    def forecast(city, days=3):
        """Take an argument that has a default."""

    key = Arguments(forecast).key
    expected = key(("Lisbon", 3), {})

    assert key(("Lisbon",), {}) == expected
    assert key((), {"days": 3, "city": "Lisbon"}) == expected
    assert key(("Lisbon",), {"days": 4}) != expected


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), (("Lisbon", 1, 2), {}), (("Lisbon",), {"unit": "C"})],
)
def test_a_call_that_does_not_fit_is_refused(args, kwargs):
    def forecast(city, days=3):
        """Take one argument or two."""

    with pytest.raises(TypeError, match=r"forecast\(\): "):
        Arguments(forecast).key(args, kwargs)


class Text(str):
    """A text that may hold more than its characters."""


itself: list = []
itself.append(itself)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Folder("news"), "is of type OFS.Folder.Folder"),
        ([object()], "is of type builtins.object"),
        (Text("news"), "is of type .*Text"),
        ({"a": {1: range(3)}}, "is of type builtins.range"),
        (itself, "contains itself"),
    ],
)
def test_an_argument_without_a_safe_key_is_named_with_the_remedy(
    value, reason
):
    def forecast(city, place=None):
        """Take any objects."""

    message = f"The argument 'place' of .*forecast.*{reason}.*vary="
    with pytest.raises(TypeError, match=message):
        Arguments(forecast).key(("Lisbon", value), {})


def test_objects_are_left_out_where_others_speak_for_them():
    def teaser(context, request, number):
        """Take objects, and something else."""

    key = Arguments(teaser, objects={"context", "request"}).key

    expected = key((Folder("a"), object(), 1), {})
    assert key((Folder("b"), object(), 1), {}) == expected
    assert key((Folder("a"), object(), 2), {}) != expected


def test_an_object_that_is_left_out_keeps_its_place():
    def teaser(context, request):
        """Take objects, or what stands for them."""

    key = Arguments(teaser, objects={"context", "request"}).key

    assert key((object(), "a"), {}) != key(("a", object()), {})


def test_what_has_a_safe_key_is_never_left_out():
    def teaser(context):
        """Take the path of an object."""

    key = Arguments(teaser, objects={"context"}).key

    assert key(("/a",), {}) != key(("/b",), {})
