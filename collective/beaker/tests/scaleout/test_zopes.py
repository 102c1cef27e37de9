"""Three Zopes behind one proxy, as the documentation configures them."""

import time
from concurrent.futures import ThreadPoolExecutor

from collective.beaker.tests.clients import load_by
from collective.beaker.tests.scaleout.conftest import ZOPES


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


def test_no_visitor_loses_a_count_when_a_zope_is_killed_and_another_starts(
    site, request, capsys
):
    with load_by(site.open_browser, number=6) as load:
        load.wait_for_answers(20, status=200)
        killed = time.monotonic()
        site.zopes[1].kill()
        load.wait_for_answers(40, status=200)
        site.zopes[1].start()
        load.wait_for_answers(40, status=200)

    for client in load.clients:
        client.check_counts()
    answers = [answer for client in load.clients for answer in client.answers]
    lost = [answer for answer in answers if answer.status != 200]
    assert {answer.status for answer in lost} <= {502}
    # Those of the moment, and no more.
    assert all(answer.asked < killed + 2 for answer in lost)
    with capsys.disabled():
        print(
            f"\n{request.node.callspec.id}: {len(lost)} of {len(answers)} "
            "requests were answered by 502"
        )


def test_a_zope_that_was_started_again_serves(site):
    site.zopes[2].kill()
    site.wait_until_served_by(ZOPES - 1)
    site.zopes[2].start()
    site.wait_until_served_by(ZOPES)


def test_what_one_zope_caches_the_others_find(shared_caches):
    browser = shared_caches.open_browser()
    browser.get("/@@anew")
    answers = [browser.get("/@@show") for _ in range(4 * ZOPES)]

    assert len({answer.text for answer in answers}) == 1
    assert len({answer.process for answer in answers}) == ZOPES


def test_what_one_zope_invalidates_the_others_compute_anew(shared_caches):
    browser = shared_caches.open_browser()
    for _ in range(4 * ZOPES):
        answer = browser.get("/@@anew")
        assert answer.text == answer.process
        assert browser.get("/@@show").text == answer.process
