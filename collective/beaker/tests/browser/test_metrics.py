"""The figures of caches: on the page, as JSON and for Prometheus."""

import json
import re

import pytest
from beaker.cache import cache_region
from webtest import TestApp

from collective.beaker.browser import base
from collective.beaker.browser import metrics
from collective.beaker.caching.counters import counters_of
from collective.beaker.maintenance.survey import Survey
from collective.beaker.report.parts import Count
from collective.beaker.report.parts import Report
from collective.beaker.report.parts import StoreCheck
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.sites import DOCS
from collective.beaker.tests.helpers.sites import block_of_page
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.zope import Visitor


parser = pytest.importorskip("prometheus_client.openmetrics.parser")

TOKEN = "kP3vR8xQ2mZ7tY5wB9nC"
MANAGER = ("Basic", ("manager", "a password"))


@pytest.fixture
def browser(application, config):
    """The browser of nobody, in a Zope that has a manager."""

    def add(request):
        folder = request["PARENTS"][-1].acl_users
        folder._doAddUser("manager", "a password", ["Manager"], [])

    def remove(request):
        request["PARENTS"][-1].acl_users._doDelUsers(["manager"])

    Visitor(application).visit(add)
    yield TestApp(application)
    Visitor(application).visit(remove)


@pytest.fixture
def manager(browser):
    browser.authorization = MANAGER
    return browser


@pytest.fixture
def token(monkeypatch):
    """The token that zope.conf has."""
    section = base.running_section() | {"metrics.token": TOKEN}
    monkeypatch.setattr(base, "running_section", lambda: section)
    return TOKEN


@pytest.fixture(autouse=True)
def nothing_counted():
    """No cache of the page has been asked, not even by other tests."""
    for region in ("", "Short", "long"):
        counters_of(region).begin_anew()


@pytest.fixture
def four_hits():
    """Four hits and one miss in the region Short, and nothing else."""

    @cache_region("Short")
    def compute(number):
        return number

    for _ in range(5):
        compute(id(compute))


def figures(text):
    """Return all samples of OpenMetrics text, by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


# As JSON


def test_the_json_has_what_each_region_has_done(manager, four_hits):
    data = json.loads(manager.get("/@@beaker-status.json").text)

    (short,) = (each for each in data["regions"] if each["name"] == "Short")
    found = short["figures"]
    assert (found["hits"], found["misses"]) == (4, 1)
    assert found["entries"] >= 1
    assert found["bytes"] is None  # objects in memory have no size


# On the page


def test_the_page_shows_hits_against_misses(manager, four_hits):
    page = manager.get("/@@beaker")

    caches = " ".join(page.html.find(id="caches").get_text(" ").split())
    assert re.search(r"Short 80 % from the cache, .* 0 errors", caches)
    assert "Hits 4 Misses 1" in caches
    chart = page.html.find(id="caches").find(class_="chart")
    bars = [bar["width"] for bar in chart.find_all("rect", class_="fill")]
    assert bars == ["100%", "25%"]


def test_a_region_that_nobody_has_asked_has_no_chart(manager):
    assert not manager.get("/@@beaker").html.select("#caches .chart")


# For Prometheus


def test_prometheus_reads_what_each_region_has_done(manager, four_hits):
    response = manager.get("/@@beaker-metrics")

    assert response.content_type == "application/openmetrics-text"
    assert response.headers["Cache-Control"] == "no-store"
    found = figures(response.text)
    assert found["beaker_cache_hits_total", "Short"] == 4
    assert found["beaker_cache_misses_total", "Short"] == 1
    assert found["beaker_cache_computations_total", "Short"] == 1
    assert found["beaker_cache_saved_seconds_total", "Short"] > 0
    assert found["beaker_cache_entries", "Short"] >= 1
    assert ("beaker_cache_size_bytes", "Short") not in found
    assert found["beaker_store_up", "cache.Short"] == 1


def test_prometheus_reads_how_many_sessions_there_are(
    manager, config, tmp_path
):
    config.update(type="file", data_dir=str(tmp_path), timeout=3600)
    sessions = Sessions(dict(config))
    for idle in (0, 0, 7200):
        sessions.make(idle=idle)

    found = figures(manager.get("/@@beaker-metrics").text)

    assert found["beaker_sessions",] == 3
    assert found["beaker_sessions_expired",] == 1
    assert found["beaker_sessions_size_bytes",] > 0


@pytest.mark.skipif(
    not DOCS.exists(),
    reason="an installed package comes without its documentation",
)
def test_prometheus_finds_what_the_alerts_of_the_page_ask_for(manager):
    alerts = block_of_page("yaml", "groups:", "operations.rst")
    found = figures(manager.get("/@@beaker-metrics").text)

    asked = set(re.findall(r"beaker_\w+", alerts))
    assert asked
    assert asked <= {name for name, *labels in found}


def test_a_store_that_is_down_is_not_up(manager, config):
    config.update(type="ext:redis", url=f"redis://127.0.0.1:{free_port()}/0")

    found = figures(manager.get("/@@beaker-metrics").text)

    assert found["beaker_store_up", "session"] == 0
    assert ("beaker_sessions",) not in found


def test_sessions_that_were_not_all_counted_are_left_out():
    """As if they had ended, else."""
    report = Report(sessions=Count(Survey(sessions=100), estimate=300))

    assert figures(metrics.metrics_text(report)) == {}


def test_any_name_of_a_region_can_be_read():
    name = 'a "quoted" \\ name\nof two lines'
    report = Report(stores=[StoreCheck(name)])

    found = figures(metrics.metrics_text(report))

    assert found == {("beaker_store_up", name): 1}


# Who may read them


def test_without_a_token_in_zope_conf_nobody_gets_in_with_one(browser):
    for given in ("", TOKEN):
        headers = {"Authorization": f"Bearer {given}"}
        browser.get("/@@beaker-metrics", headers=headers, status=401)


def test_nobody_gets_in_without_permission(browser):
    response = browser.get("/@@beaker-metrics", status=401)

    assert response.headers["WWW-Authenticate"].startswith("basic")


def test_the_token_is_enough(browser, token):
    headers = {"Authorization": f"Bearer {token}"}

    response = browser.get("/@@beaker-metrics", headers=headers)

    assert figures(response.text)["beaker_store_up", "session"] == 1


@pytest.mark.parametrize(
    "given",
    [
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer ",
        "Bearer \xfc",
        TOKEN,
    ],
)
def test_another_token_is_not(browser, token, given):
    headers = {"Authorization": given}

    browser.get("/@@beaker-metrics", headers=headers, status=401)


def test_the_token_opens_nothing_else(browser, token):
    headers = {"Authorization": f"Bearer {token}"}

    for view in ("@@beaker", "@@beaker-status.json"):
        browser.get(f"/{view}", headers=headers, status=401)


def test_the_token_is_shown_nowhere(manager, token):
    for view in ("@@beaker", "@@beaker-status.json", "@@beaker-metrics"):
        assert token not in manager.get(f"/{view}").text
