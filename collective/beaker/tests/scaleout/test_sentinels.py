"""Redis servers whose master sentinels name, and what happens if it ends."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextlib import contextmanager
from threading import Thread
from urllib.parse import quote

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from collective.beaker.ids import new_id
from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores.values import find_value_store
from collective.beaker.tests.helpers.clients import load_on
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.regions import make_region
from collective.beaker.tests.helpers.servers import redis_with_sentinels
from collective.beaker.tests.helpers.servers import wait_for_redis
from collective.beaker.tests.helpers.stores import make_store
from collective.beaker.tests.helpers.threads import side_by_side
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.waiting import in_less_than
from collective.beaker.tests.helpers.waiting import wait_until
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import Visitor
from collective.beaker.tests.helpers.zope import published


@pytest.fixture(scope="module")
def started_group(tmp_path_factory):
    with redis_with_sentinels(tmp_path_factory.mktemp("group")) as group:
        yield group


@pytest.fixture
def group(started_group, config):
    """A master, a replica and sentinels that all run."""
    started_group.start()
    config.update(type="ext:redis", url=started_group.url)
    return started_group


# A master that is demoted


def demote_master(group):
    """Have another server become the master, and keep all connections."""
    before = group.wait_for_copies()
    with closing(Redis.from_url(group.sentinels[0].url)) as sentinel:
        wait_until(lambda: begins_failover(sentinel))
    [after] = [server for server in group.servers if server is not before]
    for sentinel in group.sentinels:
        wait_for_redis(sentinel, lambda client: named_by(client) == after.port)
    with closing(Redis.from_url(before.url)) as client:
        client.replicaof("127.0.0.1", after.port)
    return after


def begins_failover(sentinel):
    """Tell whether a sentinel does; it may find no replica good yet."""
    try:
        return bool(sentinel.execute_command("SENTINEL FAILOVER", "sky"))
    except ResponseError:
        return False


def named_by(sentinel):
    return sentinel.sentinel_masters()["sky"]["port"]


def test_neither_sessions_nor_caches_see_that_a_master_is_a_replica_now(
    group, visitor
):
    region = new_id()
    values = find_value_store({"type": "ext:redis", "url": group.url}, region)
    assert visitor.visit(count).text == "1"
    values.put("v:1", b"first", None)
    master = demote_master(group)
    assert visitor.visit(count).text == "2"
    values.put("v:1", b"second", None)

    own = find_value_store({"type": "ext:redis", "url": master.url}, region)
    assert own.get(["v:1"]) == {"v:1": b"second"}


# A master that is killed


@contextmanager
def without_master(group):
    """Kill the master; until the end of the block, none can be elected."""
    for sentinel in group.sentinels[:2]:
        sentinel.kill()
    group.wait_for_copies().kill()
    yield
    for sentinel in group.sentinels[:2]:
        sentinel.start()


def wait_for_master(group):
    wait_until(lambda: len(group.masters()) == 1)


def test_sessions_are_out_of_reach_while_sentinels_elect_and_none_is_lost(
    group, application
):
    visitors = [Visitor(application) for _ in range(5)]
    for visitor in visitors:
        assert [visitor.visit(count).text for _ in range(3)] == list("123")
    with without_master(group):
        visitors[0].visit(count, status=503)
    wait_for_master(group)
    wait_until(lambda: is_served(visitors[0]))

    for visitor in visitors:
        assert visitor.visit(read_count).text == "3"
        assert visitor.visit(count).text == "4"


def is_served(visitor):
    return visitor.visit(read_count, status="*").status_int == 200


def test_all_threads_find_the_master_that_sentinels_elect(group, application):
    with load_on(application) as load:
        load.wait_for_answers(20, status=200)
        with without_master(group):
            load.wait_for_answers(3, status=503)
        load.wait_for_answers(20, status=200)

    # What was stored in the last moment may not have been copied.
    for client in load.clients:
        assert {answer.status for answer in client.answers} == {200, 503}
        assert {answer.owner for answer in client.successes} == {client.name}


def test_values_are_computed_while_sentinels_elect_and_none_is_lost(group):
    region = make_region(type="ext:redis", url=group.url)

    def value(key, computed):
        return region.value("a cache", key, lambda: computed)

    assert value(b"key", "first") == "first"
    with without_master(group):
        assert value(b"key", "second") == "second"
    wait_for_master(group)
    wait_until(lambda: value(b"key", "third") == "first")

    assert value(b"new", "fourth") == "fourth"
    assert value(b"new", "fifth") == "fourth"


# A master that hangs


def test_a_master_that_hangs_keeps_nobody_waiting_once_it_is_replaced(
    group, config, application, impatient
):
    config["socket_timeout"] = 1
    values = find_value_store({"type": "ext:redis", "url": group.url}, "any")
    name = f"v:{new_id()}"
    values.put(name, b"stored", None)
    visitors = [Visitor(application) for _ in range(4)]

    def count_and_read(request):
        return f"{count(request)} {values.get([name])[name]}"

    def visit(visitor):
        return visitor.browser.get(f"/@@{VIEW_NAME}").text

    with ThreadPoolExecutor(len(visitors)) as threads:
        with published(count_and_read):
            before = side_by_side(threads, visit, visitors)
        master = group.wait_for_copies()
        with master.suspended():
            wait_until(lambda: is_served(visitors[0]))
            wait_until(lambda: is_kept(values, name))
            # None of them has used a session since.
            with published(count_and_read):
                after = side_by_side(threads, visit, visitors)
            master.kill()

    assert before == ["1 b'stored'"] * len(visitors)
    assert after == ["2 b'stored'"] * len(visitors)


def test_a_former_id_opens_nothing_once_a_master_that_hung_is_replaced(
    group, config, visitor, other_visitor, impatient
):
    config["socket_timeout"] = 2
    other_visitor.visit(count)
    visitor.visit(count)
    visitor.visit(regenerate_id)
    former = visitor.cookies[config["key"]]
    master = group.wait_for_copies()
    with master.suspended():
        wait_until(lambda: is_served(other_visitor))
        visitor.visit(regenerate_id)
        master.kill()

    assert visitor.visit(read_count).text == "1"
    visitor.browser.reset()
    visitor.browser.set_cookie(config["key"], former)
    assert visitor.visit(read_count).text == "None"


def regenerate_id(request):
    session = ISession(request)
    session.regenerate_id()
    session.save()


def is_kept(values, name):
    try:
        return bool(values.get([name]))
    except StoreUnavailable:
        return False


# Sentinels


def test_one_sentinel_is_enough_to_find_the_master(group, visitor):
    for sentinel in group.sentinels[:2]:
        sentinel.kill()

    assert visitor.visit(count).text == "1"


def test_once_a_sentinel_was_found_to_hang_no_thread_asks_it_first(group):
    store = make_store("ext:redis", url=group.url, socket_timeout=1)

    def connect():
        thread = Thread(target=store.load, args=[new_id()])
        thread.start()
        thread.join(SECONDS)

    with group.sentinels[0].suspended():
        connect()
        in_less_than(1, connect)


def test_sentinels_that_hang_are_asked_once_and_then_left_alone(
    group, config, visitor, caplog
):
    config["url"] += "?socket_timeout=0.5"
    with (
        group.sentinels[0].suspended(),
        group.sentinels[1].suspended(),
        group.sentinels[2].suspended(),
    ):
        visitor.visit(count, status=503)
        visitor.visit(count, status=503)

    first, second = [record.getMessage() for record in log_of(caplog)]
    assert "TimeoutError: No sentinel that answers knows a master" in first
    assert "left alone for 5 seconds" in second


def test_a_service_that_sentinels_do_not_know_is_an_outage(
    group, config, visitor, caplog
):
    config["url"] = group.url.replace("sky", "ground").replace(
        "//", "//zope:sesame@"
    )
    visitor.visit(count, status=503)

    [record] = log_of(caplog)
    assert "MasterNotFoundError" in record.getMessage()
    assert "sesame" not in record.getMessage()


# Passwords and TLS


@pytest.fixture(scope="module")
def secured(make_certificate, tmp_path_factory):
    user = ["on", ">open:sesame", "~*", "&*", "+@all"]
    sentinels_user = ["on", ">shut:sesame", "~*", "&*", "+@all"]
    with redis_with_sentinels(
        tmp_path_factory.mktemp("secured"),
        replicas=0,
        sentinels=1,
        certificate=make_certificate("ours"),
        options=["--user", "zope", *user],
        lines=["user watch " + " ".join(sentinels_user)],
    ) as group:
        yield group


@pytest.fixture
def secured_url(secured):
    return with_passwords(secured, "open:sesame", "shut:sesame")


def with_passwords(secured, of_redis, of_sentinels):
    account = f"zope:{quote(of_redis)}@"
    url = secured.url.replace("//", f"//{account}", 1)
    url += "&sentinel_username=watch&sentinel_password="
    return url + quote(of_sentinels)


def test_redis_and_sentinels_have_tls_and_passwords(
    secured, secured_url, config, visitor
):
    config.update(type="ext:redis", url=secured_url)

    assert [visitor.visit(count).text for _ in range(3)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("of_redis", "of_sentinels", "reason"),
    [
        ("open", "shut:sesame", "AuthenticationError"),
        # The library does not say why it cannot ask a sentinel.
        ("open:sesame", "shut", "MasterNotFoundError"),
    ],
)
def test_a_wrong_password_of_either_is_an_outage_and_is_not_shown(
    secured, of_redis, of_sentinels, reason, config, visitor, caplog
):
    url = with_passwords(secured, of_redis, of_sentinels)
    config.update(type="ext:redis", url=url)
    visitor.visit(count, status=503)

    [record] = log_of(caplog)
    message = record.getMessage()
    assert reason in message
    assert "//***@127.0.0.1:" in message
    assert "open@" not in message
    assert "shut" not in message
