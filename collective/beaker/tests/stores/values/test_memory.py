"""Values in memory."""

import sys
import threading

import pytest

from collective.beaker.stores.values import find_value_store
from collective.beaker.tests.helpers.waiting import SECONDS


@pytest.fixture
def values(region):
    return find_value_store({"type": "memory", "max_entries": 3}, region)


def test_a_region_has_a_memory_of_its_own(values, region):
    values.put("v:1", "first", None)
    other = find_value_store({"type": "memory", "max_entries": 3}, "other")

    assert other.get(["v:1"]) == {}
    assert other.place != values.place


def test_objects_are_kept_themselves(values):
    record = object()
    values.put("v:1", record, None)

    assert values.get(["v:1"])["v:1"] is record


def test_what_was_not_used_for_longest_leaves(values):
    for name in ("v:1", "v:2", "v:3"):
        values.put(name, name, None)
    values.get(["v:1"])
    values.put("v:4", "v:4", None)

    assert sorted(values.walk()) == ["v:1", "v:3", "v:4"]


def test_what_has_ended_leaves_before_what_has_not(values, clock):
    values.put("v:1", 1, 60)
    values.put("v:2", 2, None)
    values.put("v:3", 3, 10)
    clock(11)
    values.put("v:4", 4, None)

    assert sorted(values.walk()) == ["v:1", "v:2", "v:4"]


def test_what_has_ended_leaves_when_something_is_stored(values, clock):
    record = type("Record", (), {})()
    references = sys.getrefcount(record)
    values.put("v:1", record, 10)
    clock(11)
    values.put("v:2", 2, None)

    assert sys.getrefcount(record) == references


def test_what_is_put_again_and_again_takes_no_more_memory(values):
    for _ in range(5000):
        values.put("v:1", 1, 3600)

    assert len(values._ends) < 2000


def test_what_is_put_again_ends_later(values, clock):
    values.put("v:1", 1, 10)
    values.put("v:1", 2, 60)
    clock(11)
    values.put("v:2", 2, None)

    assert values.get(["v:1"]) == {"v:1": 2}


def test_a_claim_that_has_ended_is_swept(values, clock):
    values.claim("v:1", ["v:1"], 5)
    clock(6)
    list(values.sweep())

    assert values._claims == {}


def test_who_lists_does_not_disturb_who_reads_and_stores(values):
    ended = threading.Event()
    errors = []

    def use(number):
        try:
            while not ended.is_set():
                values.put(f"v:{number}", number, None)
                values.get(["v:1", "v:2"])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2000):
        list(values.walk())
    ended.set()
    for thread in threads:
        thread.join(SECONDS)

    assert errors == []
