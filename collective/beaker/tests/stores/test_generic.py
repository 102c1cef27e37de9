"""Backends of other packages."""

import pytest
from beaker.cache import clsmap

from collective.beaker.settings.options import with_defaults
from collective.beaker.stores import find_store
from collective.beaker.stores.generic import GenericStore
from collective.beaker.tests.helpers.stores import text


class OtherBackend(clsmap["memory"]):
    """A backend that is none of Beaker's own."""

    def __init__(self, namespace, **options):
        if "socket_timeout" in options:
            raise TypeError("socket_timeout")
        super().__init__(f"other-{namespace}")


OTHER = {"type": "other", "namespace_class": OtherBackend}


@pytest.fixture
def other_store():
    return find_store({**OTHER, "url": "there"})


def test_a_backend_of_another_package_is_used_as_it_is(other_store, id):
    assert isinstance(other_store, GenericStore)
    assert other_store.load(id) is None
    assert other_store.swap(id, None, "first")
    assert not other_store.swap(id, None, "second")
    assert other_store.swap(id, other_store.load(id), "second")
    assert text(other_store, id) == "second"
    other_store.delete(id)
    assert other_store.load(id) is None


def test_a_backend_of_another_package_removes_by_swap(other_store, id):
    other_store.swap(id, None, "first")

    assert other_store.swap(id, other_store.load(id), None)
    assert other_store.load(id) is None


def test_a_backend_of_another_package_lists_nothing(other_store):
    with pytest.raises(NotImplementedError):
        list(other_store.walk())


def test_options_without_a_hash_find_their_store():
    first = find_store({**OTHER, "sa_opts": {"a": []}})
    second = find_store({**OTHER, "sa_opts": {"a": []}})
    third = find_store({**OTHER, "sa_opts": {"a": [1]}})

    assert first is second
    assert first is not third


class StrictBackend(clsmap["memory"]):
    """A backend that takes certain options only."""

    def __init__(self, namespace, colour, digest_filenames):
        super().__init__(f"{colour}-{namespace}")


def test_a_backend_of_another_package_gets_the_options_that_it_names(id):
    options = {"type": "strict", "namespace_class": StrictBackend}
    store = find_store(with_defaults({**options, "colour": "red"}), timeout=60)

    assert store.swap(id, None, "first")
    assert text(store, id) == "first"
