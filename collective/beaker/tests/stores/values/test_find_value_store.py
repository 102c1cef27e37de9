"""From the options of a cache region to a store of values."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from collective.beaker.settings.backends import BACKENDS
from collective.beaker.stores.values import find_value_store
from collective.beaker.tests.helpers.waiting import SECONDS


URL = "redis://localhost:6379/0"


@pytest.mark.parametrize(
    "others",
    [
        {"expire": 60, "enabled": False, "an_option_of_tomorrow": 1},
        {"timeout": 60, "data_dir": "/tmp/not-there"},
        {"socket_timeout": None},
    ],
)
def test_options_that_a_store_does_not_name_make_no_other_store(others):
    options = {"type": "ext:redis", "url": URL}

    assert find_value_store(options, "one") is find_value_store(
        options | others, "two"
    )


@pytest.mark.parametrize(
    "others",
    [{"url": "redis://localhost:6379/1"}, {"socket_timeout": 2}],
)
def test_options_that_a_store_names_make_another_store(others):
    options = {"type": "ext:redis", "url": URL}

    assert find_value_store(options, "one") is not find_value_store(
        options | others, "one"
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"type": "ext:no such"}, "The type is 'ext:no such': there is no"),
        ({"type": "ext:google"}, "App Engine"),
        ({"type": "cookie"}, "The type is 'cookie', which keeps no values"),
    ],
)
def test_a_type_that_keeps_no_values_is_named(options, reason):
    with pytest.raises(LookupError, match=reason):
        find_value_store(options, "one")


def test_each_backend_for_caches_in_zope_conf_keeps_values():
    assert [
        name
        for name, backend in BACKENDS.items()
        if not backend.refused
        and not backend.not_for_caches
        and not backend.values
    ] == []


def test_threads_that_ask_at_once_get_the_same_store(region):
    threads = 8
    barrier = Barrier(threads)

    def find(number):
        barrier.wait(SECONDS)
        return [
            find_value_store({"type": "memory"}, f"{region}{number}")
            for number in range(100)
        ]

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(find, range(threads)))

    assert all(stores == found[0] for stores in found)
