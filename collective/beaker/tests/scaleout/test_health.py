"""A proxy that asks each Zope for its health, as the documentation says."""

import pytest

from collective.beaker.tests.helpers.servers import redis_server
from collective.beaker.tests.helpers.sites import STORES
from collective.beaker.tests.helpers.sites import Site
from collective.beaker.tests.helpers.sites import proxy_before
from collective.beaker.tests.helpers.sites import zopes_on
from collective.beaker.tests.helpers.waiting import wait_until


@pytest.fixture
def store(tmp_path):
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def site(store, tmp_path):
    with (
        zopes_on(tmp_path, STORES["redis"], store.url) as zopes,
        proxy_before(zopes, tmp_path, checks_health=True) as proxy,
    ):
        yield Site(zopes, proxy)


def wait_for(site, is_reached):
    """Wait until the proxy answers as it should."""
    browser = site.open_browser()
    wait_until(lambda: is_reached(browser.get("/@@beaker-health")))


def test_zopes_without_their_store_get_no_visitors_until_it_is_back(
    site, store
):
    site.wait_until_served_by(len(site.zopes))

    store.stop()
    wait_for(site, lambda answer: "No server is available" in answer.text)

    store.start()
    wait_for(site, lambda answer: answer.text == "ok")
    site.wait_until_served_by(len(site.zopes))
