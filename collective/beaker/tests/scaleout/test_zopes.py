"""Three Zopes behind one proxy, as the documentation configures them."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from collective.beaker.tests.helpers.clients import load_by
from collective.beaker.tests.helpers.servers import wait_for_redis
from collective.beaker.tests.helpers.sites import CUT_OFF
from collective.beaker.tests.helpers.sites import ZOPES
from collective.beaker.tests.helpers.sites import on_stores


def test_a_visitor_goes_on_in_whichever_zope_answers(site):
    browser = site.open_browser()
    answers = [browser.get("/@@count?client=a") for _ in range(4 * ZOPES)]

    assert [int(answer.text) for answer in answers] == list(
        range(1, 4 * ZOPES + 1)
    )
    assert len({answer.process for answer in answers}) == ZOPES


def test_parallel_requests_of_one_visitor_in_several_zopes_lose_nothing(site):
    first = site.open_browser()
    first.get("/@@count?client=first")

    def count(client):
        browser = site.open_browser()
        browser.cookies = first.cookies
        answers = [browser.get(f"/@@count?client={client}") for _ in range(30)]
        return [int(answer.text) for answer in answers]

    with ThreadPoolExecutor(6) as threads:
        counts = list(threads.map(count, "abcdef"))

    assert counts == [list(range(1, 31))] * 6


@pytest.fixture
def failures(request, capsys):
    """Return a function that tells which requests failed, and prints it."""

    def failures(load):
        answers = [a for client in load.clients for a in client.answers]
        failed = [answer for answer in answers if answer.status != 200]
        with capsys.disabled():
            print(
                f"\n{request.node.name}: "
                f"{len(failed)} of {len(answers)} requests failed"
            )
        return failed

    return failures


def test_no_visitor_loses_a_count_when_a_zope_is_killed_and_another_starts(
    site, failures
):
    with load_by(site.open_browser, number=6) as load:
        load.wait_for_answers(20, status=200)
        site.zopes[1].kill()
        killed = time.monotonic()
        load.wait_for_answers(40, status=200)
        site.zopes[1].start()
        load.wait_for_answers(40, status=200)

    for client in load.clients:
        client.check_counts()
    failed = failures(load)
    assert {answer.status for answer in failed} <= {502, CUT_OFF}
    # Those that were on their way at that moment, and no more.
    assert all(answer.asked < killed for answer in failed)


def test_a_zope_that_was_started_again_serves(site):
    site.zopes[2].kill()
    site.wait_until_served_by(ZOPES - 1)
    site.zopes[2].start()
    site.wait_until_served_by(ZOPES)


def test_what_one_zope_caches_the_others_find(site):
    browser = site.open_browser()
    browser.get("/@@anew")
    answers = [browser.get("/@@show") for _ in range(4 * ZOPES)]

    assert len({answer.text for answer in answers}) == 1
    assert len({answer.process for answer in answers}) == ZOPES


def test_what_one_zope_invalidates_the_others_compute_anew(site):
    browser = site.open_browser()
    for _ in range(4 * ZOPES):
        answer = browser.get("/@@anew")
        assert answer.text == answer.process
        assert browser.get("/@@show").text == answer.process


def has_new_master(node):
    """Tell whether one more node is a master than in the beginning."""
    states = node.cluster("nodes").values()
    masters = [state for state in states if "master" in state["flags"]]
    cluster_state = node.cluster("info")["cluster_state"]
    return len(masters) == 4 and cluster_state == "ok"


@on_stores("redis")
def test_while_the_store_of_a_cache_is_down_its_pages_are_computed(
    site, redis
):
    browser = site.open_browser()
    redis.kill()
    answers = [browser.get("/@@show") for _ in range(ZOPES)]
    assert all(answer.text == answer.process for answer in answers)

    redis.start()
    browser.get("/@@anew")
    answers = [browser.get("/@@show") for _ in range(ZOPES)]
    assert len({answer.text for answer in answers}) == 1


@on_stores("cluster")
def test_the_replica_of_a_node_that_is_killed_takes_over_and_knows_each_count(
    site, nodes, failures
):
    with load_by(site.open_browser, number=12) as load:
        load.wait_for_answers(20, status=200)
        nodes[0].kill()
        for node in nodes[1:]:
            wait_for_redis(node, has_new_master)
        load.wait_for_answers(20, status=200)
    nodes[0].start()

    for client in load.clients:
        client.check_counts()
    assert {answer.status for answer in failures(load)} <= {503}
