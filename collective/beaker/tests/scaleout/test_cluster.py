"""Redis as those have it who need much of it: in a cluster, and with TLS."""

from urllib.parse import urlsplit

import pytest
from beaker.cache import CacheManager

from collective.beaker.config import read_configuration
from collective.beaker.tests.clients import load_on
from collective.beaker.tests.servers import free_port
from collective.beaker.tests.servers import redis_cluster
from collective.beaker.tests.servers import running
from collective.beaker.tests.test_http import count
from collective.beaker.tests.test_parallel import log_of
from collective.beaker.tests.zope import Visitor


PASSWORD = "open:sesame"


def caches_of(section):
    return CacheManager(**read_configuration(section).cache)


# Redis Cluster


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@pytest.fixture
def cluster(nodes, config):
    """A cluster whose nodes all run; a test may have ended one."""
    urls = ",".join(node.url for node in nodes)
    config.update(type="ext:rediscluster", urls=urls)
    return nodes


def test_the_sessions_of_many_visitors_are_on_all_nodes(cluster, application):
    for _ in range(40):
        visitor = Visitor(application)
        assert [visitor.visit(count).text for _ in range(3)] == list("123")


def test_a_node_that_is_killed_and_comes_back_loses_no_count(
    cluster, config, application, caplog
):
    config["socket_timeout"] = 2
    with load_on(application) as load:
        load.wait_for_answers(20, status=200)
        cluster[0].kill()
        load.wait_until_each(lambda client: client.answers[-1].status == 503)
        cluster[0].start()
        load.wait_for_answers(20, status=200)

    for client in load.clients:
        client.check_counts()
        assert {answer.status for answer in client.answers} == {200, 503}


def test_caches_are_kept_in_a_cluster(cluster):
    urls = ",".join(node.url for node in cluster)
    section = {"cache.type": "ext:rediscluster", "cache.urls": urls}
    caches_of(section).get_cache("weather").put("Lisbon", "blue")

    assert caches_of(section).get_cache("weather").get("Lisbon") == "blue"


# TLS


@pytest.fixture(scope="module")
def tls_url(make_certificate, tmp_path_factory):
    """The URL of a Redis that speaks TLS only, and asks for a password."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = make_certificate("redis")
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", "0"]
    command += ["--tls-port", str(port), "--tls-auth-clients", "no"]
    command += ["--tls-cert-file", str(certificate)]
    command += ["--tls-key-file", str(key), "--save", "", "--dir", str(folder)]
    command += ["--user", "zope", "on", f">{PASSWORD}", "~*", "+@all"]
    with running(command, port, folder / "redis.log"):
        yield (
            f"rediss://zope:{PASSWORD.replace(':', '%3A')}@127.0.0.1:{port}/0"
            f"?ssl_ca_certs={certificate}"
        )


def test_sessions_are_kept_in_a_redis_with_tls_and_a_password(
    tls_url, config, visitor
):
    config.update(type="ext:redis", url=tls_url)

    assert [visitor.visit(count).text for _ in range(3)] == ["1", "2", "3"]


def test_caches_are_kept_in_a_redis_with_tls_and_a_password(tls_url):
    section = {"cache.type": "ext:redis", "cache.url": tls_url}
    caches_of(section).get_cache("weather").put("Lisbon", "blue")

    assert caches_of(section).get_cache("weather").get("Lisbon") == "blue"


def fails(visitor, caplog):
    """Visit a Zope that cannot reach Redis; return what the log says."""
    visitor.visit(count, status=503)
    [record] = log_of(caplog)
    return record.getMessage()


def test_a_wrong_password_is_an_outage_and_is_not_shown(
    tls_url, config, visitor, caplog
):
    config.update(type="ext:redis", url=tls_url.replace("open", "shut"))
    message = fails(visitor, caplog)

    assert "AuthenticationError" in message
    assert urlsplit(tls_url).hostname in message
    assert "shut" not in message
    assert "sesame" not in message


def test_the_certificate_of_somebody_else_is_an_outage(
    tls_url, make_certificate, config, visitor, caplog
):
    other, _ = make_certificate("somebody-else")
    server, _, _ = tls_url.partition("?")
    config.update(type="ext:redis", url=f"{server}?ssl_ca_certs={other}")

    assert "ConnectionError" in fails(visitor, caplog)


def test_a_redis_with_tls_is_not_reached_without(
    tls_url, config, visitor, caplog
):
    url = tls_url.partition("?")[0].replace("rediss:", "redis:")
    config.update(type="ext:redis", url=url)

    assert "Error" in fails(visitor, caplog)
