"""Servers that end, hang and come back while visitors count."""

import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import pytest
import sqlalchemy

from collective.beaker.tests.helpers.clients import load_on
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.stores import server_fixture
from collective.beaker.tests.helpers.threads import side_by_side
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import Visitor
from collective.beaker.tests.helpers.zope import published


killed_server = server_fixture("redis", "memcached", "postgresql", "mariadb")
hanging_server = server_fixture("redis", "memcached", "postgresql", "mariadb")
database = server_fixture("postgresql", "mariadb")
redis_alone = server_fixture("redis")

CONNECTIONS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity"
    " WHERE usename = 'tests'",
    "mysql": "SELECT count(*) FROM information_schema.processlist"
    " WHERE user = 'tests'",
}
"""The statements that count the connections to a database."""

POOL_SIZE = 5
"""So many connections SQLAlchemy keeps."""


class Outage(NamedTuple):
    """The moments of an outage."""

    killed: float
    start: float
    started: float


def kill_and_start(server, load):
    """Kill a server under load and start it again."""
    load.wait_for_answers(20, status=200)
    server.kill()
    killed = time.monotonic()
    load.wait_for_answers(3, status=503)
    start = time.monotonic()
    server.start()
    started = time.monotonic()
    load.wait_for_answers(20, status=200)
    return Outage(killed, start, started)


def test_a_server_that_is_killed_under_load_loses_and_mixes_up_nothing(
    killed_server, config, application
):
    forgets = config["type"] == "ext:memcached"
    with load_on(application) as load:
        kill_and_start(killed_server, load)

    for client in load.clients:
        client.check_counts(may_begin_anew=forgets)


def test_while_a_killed_server_is_down_each_visitor_sees_503(
    killed_server, application
):
    with load_on(application) as load:
        outage = kill_and_start(killed_server, load)

    for client in load.clients:
        assert {answer.status for answer in client.answers} == {200, 503}
        assert {
            answer.status
            for answer, following in pairwise(client.answers)
            if outage.killed < answer.asked and following.asked < outage.start
        } == {503}


def test_from_its_return_on_a_killed_server_is_used(
    killed_server, application, request, capsys
):
    with load_on(application) as load:
        outage = kill_and_start(killed_server, load)

    answers = [answer for client in load.clients for answer in client.answers]
    assert {
        answer.status for answer in answers if answer.asked > outage.started
    } == {200}
    failed = [answer.asked for answer in answers if answer.status != 200]
    with capsys.disabled():
        print(
            f"\n{request.node.callspec.id}: the last request that failed "
            f"began {max(failed) - outage.started:+.3f} s after the return"
        )


def test_each_request_that_fails_is_one_line_of_the_log(
    killed_server, application, caplog
):
    with load_on(application) as load:
        kill_and_start(killed_server, load)

    failed = [
        answer
        for client in load.clients
        for answer in client.answers
        if answer.status == 503
    ]
    assert [record.levelno for record in log_of(caplog)] == [
        logging.ERROR
    ] * len(failed)


@pytest.mark.parametrize("transactional", [False, True])
def test_no_line_of_the_log_has_an_id_while_a_server_is_killed(
    killed_server, config, application, caplog, transactional
):
    config["transactional"] = transactional
    with load_on(application) as load:
        kill_and_start(killed_server, load)

    text = "\n".join(map(logging.Formatter().format, caplog.records))
    assert "fails" in text
    assert re.findall("[0-9a-f]{32}", text) == []


def test_a_server_that_is_killed_under_load_mixes_up_no_transactions(
    killed_server, config, application
):
    config["transactional"] = True
    with load_on(application) as load:
        kill_and_start(killed_server, load)

    for client in load.clients:
        assert {answer.status for answer in client.answers} == {200, 503}
        client.check_counts(may_begin_anew=config["type"] == "ext:memcached")


def test_a_server_that_hangs_under_load_loses_and_mixes_up_nothing(
    hanging_server, config, application
):
    config["socket_timeout"] = 1
    with load_on(application) as load:
        load.wait_for_answers(20, status=200)
        with hanging_server.suspended():
            load.wait_for_answers(1, status=503)
        load.wait_for_answers(20, status=200)

    for client in load.clients:
        assert {answer.status for answer in client.answers} == {200, 503}
        client.check_counts()


def visit_side_by_side(threads, visitors):
    """Have each visitor count, all at once, each in a thread of its own."""

    def visit(visitor):
        return visitor.browser.get(f"/@@{VIEW_NAME}").text

    with published(count):
        return side_by_side(threads, visit, visitors)


def test_no_visitor_sees_that_a_server_was_restarted_whose_connections_idle(
    killed_server, config, application
):
    first = 1 if config["type"] == "ext:memcached" else 4
    visitors = [Visitor(application) for _ in range(8)]
    with ThreadPoolExecutor(len(visitors)) as threads:
        for number in range(1, 4):
            counts = visit_side_by_side(threads, visitors)
            assert counts == [str(number)] * len(visitors)
        killed_server.stop()
        killed_server.start()
        for number in range(first, first + 3):
            counts = visit_side_by_side(threads, visitors)
            assert counts == [str(number)] * len(visitors)


def number_of_connections(database):
    """Return how many connections a database has, but for that of asking."""
    engine = sqlalchemy.create_engine(
        database.url, poolclass=sqlalchemy.NullPool
    )
    query = CONNECTIONS[engine.url.get_backend_name()]
    with engine.connect() as connection:
        return connection.exec_driver_sql(query).scalar() - 1


def fill_pool(database, threads, visitors):
    """Have visitors count until the pool is full; return how often."""
    for times in range(1, 100):
        visit_side_by_side(threads, visitors)
        if number_of_connections(database) >= POOL_SIZE:
            return times
    raise AssertionError("The pool is never full.")


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_each_pooled_connection_that_a_restart_ended_is_replaced(
    database, application, end
):
    visitors = [Visitor(application) for _ in range(8)]
    with ThreadPoolExecutor(len(visitors)) as threads:
        times = fill_pool(database, threads, visitors)
    getattr(database, end)()
    database.start()

    # One after the other they take all connections in turn.
    counts = {visitor.visit(count).text for visitor in visitors}
    assert counts == {str(times + 1)}


def test_several_visitors_do_not_hang_while_redis_is_frozen(
    redis_alone, config, application, impatient
):
    config["socket_timeout"] = 1
    visitors = [Visitor(application) for _ in range(4)]
    with (
        published(count),
        ThreadPoolExecutor(len(visitors)) as threads,
    ):
        for visitor in visitors:
            visitor.browser.get(f"/@@{VIEW_NAME}")
        with redis_alone.suspended():
            answers = [
                threads.submit(
                    visitor.browser.get, f"/@@{VIEW_NAME}", status="*"
                )
                for visitor in visitors
            ]
            statuses = {a.result(SECONDS).status_int for a in answers}
        assert statuses == {503}
        counts = {v.browser.get(f"/@@{VIEW_NAME}").text for v in visitors}

    # What waited in the frozen server's buffers may have been done later.
    assert counts <= {"2", "3"}


def test_the_time_limit_in_a_redis_url_goes_before_the_setting(
    redis_alone, config, visitor
):
    config.update(
        socket_timeout=10 * SECONDS, url=f"{redis_alone.url}?socket_timeout=1"
    )
    visitor.visit(count)
    with ThreadPoolExecutor() as threads, redis_alone.suspended():
        request = threads.submit(visitor.visit, count, status=503)
        assert request.result(SECONDS).headers["Retry-After"]
