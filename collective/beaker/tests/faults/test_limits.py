"""Stores that have no more room."""

import pytest
import sqlalchemy
from redis import Redis

from collective.beaker.caching.factory import region_with
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.maintenance.caches import clear_region
from collective.beaker.settings.section import read_configuration
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.servers import redis_server
from collective.beaker.tests.helpers.stores import server_fixture
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import delete
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.views import setting
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.visitors import data_of
from collective.beaker.tests.helpers.visitors import session_id
from collective.beaker.tests.helpers.zope import Visitor


LARGE = "a" * 20_000

mariadb_alone = server_fixture("mariadb")


@pytest.fixture
def full_redis(config, tmp_path):
    """Return a function that starts a Redis with little memory."""
    servers = []

    def start(policy):
        options = ("--maxmemory", "8mb", "--maxmemory-policy", policy)
        server = redis_server(tmp_path, *options)
        running = server.__enter__()
        servers.append(server)
        config.update(type="ext:redis", url=running.url)
        return Redis.from_url(running.url)

    yield start
    for server in servers:
        server.__exit__(None, None, None)


def evicted(client):
    return client.info("stats")["evicted_keys"]


def fill(application, is_full):
    """Have visitors store large sessions; return those before it was full."""
    visitors = []
    for number in range(1000):
        visitor = Visitor(application)
        response = visitor.visit(
            setting(number=number, text=LARGE), status="*"
        )
        if response.status_int < 300:
            visitors.append(visitor)
        if is_full(response):
            return visitors
    raise AssertionError("Redis is never full.")


def test_a_visitor_whose_session_redis_evicted_begins_anew(
    full_redis, application, visitor
):
    client = full_redis("allkeys-lru")
    visitor.visit(count)
    former = session_id(visitor)
    key = f"beaker_cache:{former}:session"
    fill(application, lambda response: not client.exists(key))

    assert visitor.visit(read_count).text == "None"
    assert visitor.visit(count).text == "1"
    assert session_id(visitor) != former


def test_a_redis_that_evicts_mixes_up_no_sessions(full_redis, application):
    client = full_redis("allkeys-lru")
    visitors = fill(application, lambda response: evicted(client) > 20)
    found = [data_of(visitor) for visitor in visitors]

    assert {} in found
    for number, data in enumerate(found):
        assert data in ({}, {"number": number, "text": LARGE})


def test_where_redis_does_not_evict_who_stores_too_much_sees_503(
    full_redis, application, visitor, caplog
):
    full_redis("noeviction")
    fill(application, lambda response: response.status_int == 503)
    caplog.clear()
    visitor.visit(setting(text=LARGE), status=503)

    [record] = log_of(caplog)
    assert "OutOfMemory" in record.getMessage()
    assert COOKIE not in visitor.cookies


def test_where_redis_does_not_evict_stored_sessions_stay(
    full_redis, application
):
    full_redis("noeviction")
    visitors = fill(application, lambda response: response.status_int == 503)
    visitors[0].visit(setting(text=2 * LARGE), status=503)

    for number, visitor in enumerate(visitors):
        assert data_of(visitor) == {"number": number, "text": LARGE}


def test_where_redis_does_not_evict_who_reads_is_served(
    full_redis, config, application, caplog
):
    full_redis("noeviction")
    config["resolution_seconds"] = 0
    visitors = fill(application, lambda response: response.status_int == 503)
    caplog.clear()

    assert data_of(visitors[0]) == {"number": 0, "text": LARGE}
    [record] = log_of(caplog)
    assert "OutOfMemory" in record.getMessage()


def test_where_redis_does_not_evict_who_logs_out_has_no_session_any_more(
    full_redis, application
):
    full_redis("noeviction")
    visitors = fill(application, lambda response: response.status_int == 503)
    visitors[0].visit(delete)

    assert data_of(visitors[0]) == {}


def test_more_than_mariadb_takes_is_an_error_and_cuts_nothing_off(
    mariadb_alone, visitor
):
    visitor.visit(setting(text=LARGE))
    with pytest.raises(RecordTooLarge, match=r"64 kB.*LONGBLOB"):
        visitor.visit(setting(text=4 * LARGE))

    assert data_of(visitor) == {"text": LARGE}


def test_a_longblob_takes_what_was_too_large_for_mariadb(
    mariadb_alone, config, visitor
):
    config["table_name"] = "roomy"
    visitor.visit(setting(text=LARGE))
    engine = sqlalchemy.create_engine(
        mariadb_alone.url, poolclass=sqlalchemy.NullPool
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "ALTER TABLE roomy MODIFY data LONGBLOB NOT NULL"
        )
    visitor.visit(setting(text=4 * LARGE))

    assert data_of(visitor) == {"text": 4 * LARGE}


def test_a_region_that_fills_redis_can_be_cleared(full_redis, config):
    client = full_redis("noeviction")
    section = {"cache.type": "ext:redis", "cache.url": config["url"]}
    section["cache.regions"] = "short"
    configuration = read_configuration(section)
    cache = region_with("short", configuration.regions["short"])
    for number in range(10):
        cache.put("a cache", b"%d" % number, LARGE, 60)
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", used - len(LARGE))

    assert clear_region(configuration, "short") == 10
    assert cache.get("a cache", b"1") is None
