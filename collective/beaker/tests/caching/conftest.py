"""Fixtures for the tests of caches."""

import pytest
from beaker.cache import cache_regions

from collective.beaker.caching import debts
from collective.beaker.tests.helpers.regions import SHARED_VALUE_STORES
from collective.beaker.tests.helpers.regions import VALUE_STORES
from collective.beaker.tests.helpers.regions import make_region
from collective.beaker.tests.helpers.stores import OPTIONS
from collective.beaker.tests.helpers.stores import on_each
from collective.beaker.tests.helpers.waiting import SECONDS


@pytest.fixture(autouse=True)
def ledger(monkeypatch):
    """Owe nothing to the stores of other tests, some of which are gone."""
    monkeypatch.setattr(debts, "ledger", debts._Debts())


@pytest.fixture
def configure():
    """Return a function that configures a region for the test."""
    before = dict(cache_regions)
    yield make_region
    cache_regions.clear()
    cache_regions.update(before)


def region_fixture(*names):
    """Return a fixture of a region in each of these stores."""

    @pytest.fixture(params=on_each(*names))
    def region(request, configure, tmp_path):
        # On a busy machine, any server may keep somebody waiting.
        options = OPTIONS[request.param](request, tmp_path)
        options |= {"socket_timeout": SECONDS, "lock_timeout": SECONDS}
        return configure(expire=60, **options)

    return region


any_region = region_fixture(*VALUE_STORES)
shared_region = region_fixture(*SHARED_VALUE_STORES)


@pytest.fixture
def memory_region(configure):
    return configure(type="memory", expire=60, lock_timeout=SECONDS)


@pytest.fixture
def redis_region(configure, redis):
    redis.start()
    return configure(
        type="ext:redis",
        url=redis.url,
        expire=60,
        socket_timeout=SECONDS,
        lock_timeout=SECONDS,
    )


@pytest.fixture
def file_region(configure, tmp_path):
    return configure(
        type="file", data_dir=str(tmp_path), expire=60, lock_timeout=SECONDS
    )


@pytest.fixture
def events(monkeypatch):
    """Return a function that notes the events of a region from now on."""

    def note(region):
        noted = []
        monkeypatch.setattr(
            region, "count", lambda event, seconds=0.0: noted.append(event)
        )
        return noted

    return note
