"""Redis Cluster: without replicas, with passwords, and with TLS."""

from contextlib import closing

import pytest
from beaker.cache import CacheManager
from redis import Redis

from collective.beaker.settings.section import read_configuration
from collective.beaker.tests.helpers.clients import load_on
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.servers import redis_cluster
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.zope import Visitor


@pytest.fixture(scope="module")
def lone_nodes(tmp_path_factory):
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@pytest.fixture
def nodes(lone_nodes, config):
    """A cluster whose nodes all run; a test may have ended one."""
    for node in lone_nodes:
        node.start()
    config.update(type="ext:rediscluster", urls=urls_of(lone_nodes))
    return lone_nodes


def urls_of(nodes, account=""):
    urls = ",".join(node.url for node in nodes)
    return urls.replace("redis://", f"redis://{account}")


def cache_of(section):
    section["cache.type"] = "ext:rediscluster"
    return CacheManager(**read_configuration(section).cache).get_cache("sky")


def test_the_sessions_of_many_visitors_are_on_all_nodes(nodes, application):
    for _ in range(40):
        visitor = Visitor(application)
        assert [visitor.visit(count).text for _ in range(3)] == list("123")

    for node in nodes:
        with closing(Redis.from_url(node.url)) as client:
            assert client.dbsize() > 0


def test_a_node_that_is_killed_and_comes_back_loses_no_count(
    nodes, config, application
):
    config["socket_timeout"] = 2
    with load_on(application) as load:
        load.wait_for_answers(20, status=200)
        nodes[0].kill()
        load.wait_until_each(lambda client: client.answers[-1].status == 503)
        nodes[0].start()
        load.wait_for_answers(20, status=200)

    for client in load.clients:
        client.check_counts()
        assert {answer.status for answer in client.answers} == {200, 503}


def test_caches_are_kept_in_a_cluster(nodes):
    section = {"cache.urls": urls_of(nodes)}
    cache_of(section).put("Lisbon", "blue")

    assert cache_of(section).get("Lisbon") == "blue"


# Passwords


@pytest.fixture
def account(nodes):
    """What the nodes ask for: a user and a password, as URLs have them."""
    for node in nodes:
        with closing(Redis.from_url(node.url)) as client:
            client.acl_setuser(
                "zope",
                enabled=True,
                passwords=["+open:sesame"],
                keys=["*"],
                categories=["+@all"],
            )
            client.acl_setuser("default", enabled=False, reset=False)
            client.client_kill_filter(_type="normal")
    account = "zope:open%3Asesame@"
    yield account
    for node in nodes:
        url = urls_of([node], account)
        with closing(Redis.from_url(url)) as client:
            client.acl_setuser("default", enabled=True, reset=False)


def test_sessions_are_kept_in_a_cluster_with_a_password(
    nodes, account, config, visitor
):
    config["urls"] = urls_of(nodes, account)

    assert [visitor.visit(count).text for _ in range(3)] == ["1", "2", "3"]


def test_a_wrong_password_of_a_cluster_is_an_outage_and_is_not_shown(
    nodes, account, config, visitor, caplog
):
    config["urls"] = urls_of(nodes, account.replace("open", "shut"))
    visitor.visit(count, status=503)

    [record] = log_of(caplog)
    message = record.getMessage()
    assert "AuthenticationError" in message
    assert urls_of(nodes[-1:], "***@") in message
    assert "shut" not in message


def test_caches_in_a_cluster_have_the_password_in_a_setting(nodes, account):
    # Beaker would take the client of another test that has the same URLs.
    section = {
        "cache.urls": urls_of(reversed(nodes)),
        "cache.username": "zope",
        "cache.password": "open:sesame",
    }
    cache_of(section).put("Lisbon", "grey")

    assert cache_of(section).get("Lisbon") == "grey"


# TLS


@pytest.fixture(scope="module")
def certificate(make_certificate):
    return make_certificate("ours")


@pytest.fixture(scope="module")
def tls_nodes(certificate, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    with redis_cluster(folder, certificate=certificate) as servers:
        yield servers


@pytest.fixture
def tls_config(tls_nodes, config):
    config.update(type="ext:rediscluster", urls=urls_of(tls_nodes))
    return config


def test_sessions_are_kept_in_a_cluster_with_tls(tls_config, application):
    for _ in range(10):
        visitor = Visitor(application)
        assert [visitor.visit(count).text for _ in range(3)] == list("123")


def test_the_certificate_of_another_cluster_is_an_outage(
    tls_config, certificate, make_certificate, visitor, caplog
):
    other, _ = make_certificate("somebody-else")
    urls = tls_config["urls"].replace(str(certificate[0]), str(other))
    tls_config["urls"] = urls
    visitor.visit(count, status=503)

    [record] = log_of(caplog)
    assert "ConnectionError" in record.getMessage()


def test_caches_in_a_cluster_have_tls_in_settings(tls_nodes, certificate):
    addresses = [f"redis://127.0.0.1:{node.port}" for node in tls_nodes]
    section = {
        "cache.urls": ",".join(addresses),
        "cache.ssl": "on",
        "cache.ssl_ca_certs": str(certificate[0]),
    }
    cache_of(section).put("Lisbon", "red")

    assert cache_of(section).get("Lisbon") == "red"
