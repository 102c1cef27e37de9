"""Stores and proxies that speak TLS, and stores that ask for a password."""

from http.client import HTTPSConnection
from ssl import create_default_context
from types import SimpleNamespace
from typing import NamedTuple
from urllib.parse import quote
from urllib.parse import urlsplit

import pytest
from beaker.cache import CacheManager

from collective.beaker.settings.section import read_configuration
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.servers import postgresql_server
from collective.beaker.tests.helpers.servers import redis_server
from collective.beaker.tests.helpers.site_views import ZCML
from collective.beaker.tests.helpers.sites import Browser
from collective.beaker.tests.helpers.sites import block_of_page
from collective.beaker.tests.helpers.sites import proxy_before
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import zope_server


@pytest.fixture(scope="module")
def certificate(make_certificate):
    """A certificate for 127.0.0.1, and its key."""
    return make_certificate("ours")


@pytest.fixture(scope="module")
def redis_tls(certificate, tmp_path_factory):
    """The URL of a Redis that speaks TLS only, and asks for a password."""
    user = ["--user", "zope", "on", ">open:sesame", "~*", "+@all"]
    folder = tmp_path_factory.mktemp("redis")
    with redis_server(folder, *user, certificate=certificate) as server:
        account = f"zope:{quote('open:sesame', safe='')}"
        yield server.url.replace("//", f"//{account}@", 1)


@pytest.fixture(scope="module")
def postgresql_tls(certificate):
    """The URL of a PostgreSQL whose certificate is checked."""
    with postgresql_server(certificate) as server:
        verified = f"sslmode=verify-full&sslrootcert={certificate[0]}"
        yield f"{server.url}?{verified}"


class Reason(NamedTuple):
    """How the log names what is wrong with a store."""

    password: str
    certificate: str


REASONS = {
    "redis_tls": Reason("AuthenticationError", "certificate verify failed"),
    "postgresql_tls": Reason("OperationalError", "OperationalError"),
}


@pytest.fixture(params=REASONS)
def url(request, config):
    """The URL of a store with TLS and a password."""
    url = request.getfixturevalue(request.param)
    kind = "ext:redis" if url.startswith("redis") else "ext:database"
    config.update(type=kind, url=url)
    return url


@pytest.fixture
def reason(url, request):
    return REASONS[request.node.callspec.params["url"]]


def fails(visitor, caplog):
    """Visit a Zope that cannot reach its store; return what the log says."""
    visitor.visit(count, status=503)
    [record] = log_of(caplog)
    return record.getMessage()


def test_sessions_are_kept_in_a_store_with_tls_and_a_password(url, visitor):
    assert [visitor.visit(count).text for _ in range(3)] == ["1", "2", "3"]


def test_caches_are_kept_in_a_store_with_tls_and_a_password(url, config):
    section = {"cache.type": config["type"], "cache.url": url}
    caches = [
        CacheManager(**read_configuration(section).cache).get_cache("sky")
        for _ in range(2)
    ]
    caches[0].put("Lisbon", "blue")

    assert caches[1].get("Lisbon") == "blue"


def test_a_wrong_password_is_an_outage_and_is_not_shown(
    url, reason, config, visitor, caplog
):
    right = urlsplit(url).password
    config["url"] = url.replace(right, "shut")
    message = fails(visitor, caplog)

    assert reason.password in message
    assert config["url"].partition("@")[2].partition("?")[0] in message
    assert "shut" not in message
    assert right not in message


def test_the_log_says_what_the_page_shows(
    redis_tls, certificate, config, visitor, caplog
):
    wrong = redis_tls.replace("open%3A", "shut%3A")
    config.update(type="ext:redis", url=wrong)
    shown = block_of_page("text", "The store")
    shown = shown.replace(
        "localhost:6380", f"127.0.0.1:{urlsplit(wrong).port}"
    )
    shown = shown.replace("/etc/ssl/redis-ca.pem", str(certificate[0]))

    assert fails(visitor, caplog) == shown.strip()


def test_the_certificate_of_somebody_else_is_an_outage(
    url, reason, certificate, make_certificate, config, visitor, caplog
):
    other, _ = make_certificate("somebody-else")
    config["url"] = url.replace(str(certificate[0]), str(other))

    assert reason.certificate in fails(visitor, caplog)


def test_a_certificate_for_another_host_is_an_outage(
    url, reason, config, visitor, caplog
):
    config["url"] = url.replace("@127.0.0.1", "@localhost")
    assert reason.certificate in fails(visitor, caplog)

    unnamed = config["url"].replace("verify-full", "verify-ca")
    config["url"] = unnamed.replace("?ssl_ca", "?ssl_check_hostname=no&ssl_ca")
    visitor.visit(count)


def test_a_redis_with_tls_is_not_reached_without(
    redis_tls, config, visitor, caplog
):
    url = redis_tls.partition("?")[0].replace("rediss:", "redis:")
    config.update(type="ext:redis", url=url)

    assert "Error" in fails(visitor, caplog)


def test_a_url_can_be_in_a_file_that_zope_conf_includes(redis_tls, tmp_path):
    secret = tmp_path / "secret.conf"
    secret.write_text(f"session.url  {redis_tls}\n")
    settings = f"session.type  ext:redis\n%include {secret}"
    zope_ini = make_instance(tmp_path / "zope", settings, ZCML)
    with zope_server(zope_ini) as zope:
        browser = Browser(zope.port)
        answers = [browser.get("/@@count?client=a") for _ in range(2)]
        log = zope.log.read_text()

    assert [answer.text for answer in answers] == ["1", "2"]
    assert "sesame" not in log


# What visitors speak


@pytest.fixture(scope="module")
def https_site(certificate, tmp_path_factory):
    """A Zope behind a proxy that speaks https, as the page configures them."""
    folder = tmp_path_factory.mktemp("https")
    settings = "session.type memory\nsession.secret a-secret-of-the-tests"
    zope_ini = make_instance(folder / "zope", settings, ZCML)
    pem = folder / "site.pem"
    pem.write_text("".join(path.read_text() for path in certificate))
    with_server(zope_ini)
    with (
        zope_server(zope_ini) as zope,
        proxy_before([zope], folder, pem) as proxy,
    ):
        trust = create_default_context(cafile=certificate[0])
        yield SimpleNamespace(log=zope.log, port=proxy.port, trust=trust)


def with_server(zope_ini):
    """Have Zope served by the page's lines."""
    served = block_of_page("text", "[server:main]", "recipes.rst")
    served = served.replace("127.0.0.1:8081", "127.0.0.1:0")
    rest = zope_ini.read_text().partition("[server:main]")[0]
    zope_ini.write_text(f"{rest}{served}")


def visit(site, client="127.0.0.1", cookie=""):
    """Visit a site by https, from an address; return the response."""
    connection = HTTPSConnection(
        "127.0.0.1", site.port, context=site.trust, source_address=(client, 0)
    )
    headers = {"Cookie": cookie} if cookie else {}
    connection.request("GET", "/@@count?client=a", headers=headers)
    response = connection.getresponse()
    connection.close()
    return response


def test_behind_a_proxy_that_speaks_https_the_cookie_is_secure(https_site):
    response = visit(https_site)

    assert response.status == 200
    assert "; secure" in response.headers["Set-Cookie"].lower()


def test_behind_a_proxy_the_log_has_the_address_of_the_visitor(https_site):
    visit(https_site, client="127.0.0.9", cookie=f"beaker.session.id={0:072}")

    assert "visitor (127.0.0.9) gets" in https_site.log.read_text()
