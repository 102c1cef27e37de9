"""What Beaker's backends need, as the settings of zope.conf meet them."""

import sys
from inspect import signature
from types import ModuleType

import pytest
from beaker.cache import clsmap
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import CreateEnginePlugin

from collective.beaker.settings.backends import BACKENDS
from collective.beaker.settings.section import read_configuration


URLS = {
    "ext:database": "sqlite:///sessions.db",
    "ext:memcached": "localhost:11211",
    "ext:mongodb": "mongodb://localhost/sessions",
    "ext:redis": "redis://localhost:6379/0",
}


SENTINELS = "it must look like redis+sentinel://host:port,host:port/service/"


def session_errors(**options):
    return read(**options).errors


def cache_errors(**options):
    return read("cache", **options).errors


def read(prefix="session", **options):
    return read_configuration(
        {f"{prefix}.{option}": value for option, value in options.items()}
    )


@pytest.mark.parametrize("prefix", ["session", "cache", "cache.short"])
def test_an_unknown_backend_is_an_error_that_lists_the_known(prefix):
    [error] = read_configuration(
        {"cache.regions": "short", f"{prefix}.type": "flie"}
    ).errors

    assert error.startswith(
        f"{prefix}.type is 'flie': there is no such backend. Use one of "
    )
    known = error.partition("Use one of ")[2].partition(".")[0].split(", ")
    assert known == sorted(known)
    assert {"ext:redis", "ext:rediscluster", "file", "memory"} <= set(known)


@pytest.mark.parametrize("prefix", ["session", "cache", "cache.short"])
def test_an_address_in_the_place_of_a_backend_shows_no_password(prefix):
    [error] = read_configuration(
        {
            "cache.regions": "short",
            f"{prefix}.type": "redis://:my-password@localhost/0",
        }
    ).errors

    assert error.startswith(f"{prefix}.type is 'redis://***@localhost/0': ")


def test_the_backend_of_a_dead_service_is_refused():
    [error] = session_errors(type="ext:google")

    assert error.startswith("session.type is 'ext:google': the App Engine")


def test_a_backend_that_takes_python_objects_is_refused():
    [error] = session_errors(type="ext:sqla")

    assert "write ext:database and its url" in error


@pytest.mark.parametrize("name", ["database", "memcached"])
def test_the_names_without_ext_that_beaker_knows_are_known(name):
    """Beaker registers some of its backends as entry points as well."""
    assert session_errors(type=name) == [
        f"session.type is {name!r}, which needs session.url. Set it."
    ]


def test_other_names_without_ext_are_unknown_to_beaker_too():
    [error] = session_errors(type="redis")

    assert error.startswith("session.type is 'redis': there is no such")


@pytest.mark.parametrize("backend", URLS)
def test_a_server_needs_an_address(backend):
    assert session_errors(type=backend) == [
        f"session.type is {backend!r}, which needs session.url. Set it."
    ]


@pytest.mark.parametrize(("backend", "url"), URLS.items())
def test_an_address_is_enough(backend, url):
    configuration = read(type=backend, url=url)

    assert configuration.errors == configuration.warnings == []


@pytest.mark.parametrize("prefix", ["session", "cache"])
@pytest.mark.parametrize("backend", sorted(BACKENDS.keys() - {"cookie"}))
def test_every_option_of_beakers_backend_is_known_or_refused(prefix, backend):
    try:
        beakers = clsmap[backend]
    except KeyError:
        pytest.skip("Beaker does not have it.")
    options = [
        name
        for name, parameter in signature(beakers).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    found = read(prefix, type=backend, **dict.fromkeys(options, "1"))
    said = found.warnings + found.errors

    assert not [message for message in said if "neither Beaker" in message]


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis:///1",
        "redis://localhost",
        "redis://user:p%2Fw@localhost:6379/0",
        "redis://localhost:6379?db=1&socket_timeout=2",
        "rediss://[::1]:6379/0",
        "unix:///run/redis.sock?db=1",
        "redis+sentinel://a:26379,b:26379,[::1]:26379/sky/0",
        "redis+sentinel://a/sky",
        "rediss+sentinel://user:p%2Fw@a:1,b:2/sky/1?sentinel_password=p",
    ],
)
def test_what_the_redis_library_understands_is_an_address(url):
    assert session_errors(type="ext:redis", url=url) == []


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost/0?max_connections=5&client_name=zope&protocol=3",
        "rediss://localhost/0?ssl_cert_reqs=none&ssl_check_hostname=no",
        "rediss+sentinel://a/sky?ssl_ca_certs=/ca.pem&health_check_interval=9",
        "redis+sentinel://a/sky?check_connection=yes&sentinel_ssl=yes",
    ],
)
def test_an_address_may_have_parameters_of_the_redis_library(url):
    assert session_errors(type="ext:redis", url=url) == []


@pytest.mark.parametrize(
    "url",
    ["a", "a:1; b_c:2", "[::1]", "[::1]:11211", "10.0.0.1:1", "/run/m.sock"],
)
def test_what_the_memcached_library_understands_is_an_address(url):
    assert session_errors(type="ext:memcached", url=url) == []


def test_a_redis_cluster_has_several_addresses():
    assert session_errors(type="ext:rediscluster", url="redis://a:1") == [
        "session.type is 'ext:rediscluster', which needs session.urls. Set it."
    ]
    urls = "redis://a:1,redis://b:2"
    assert session_errors(type="ext:rediscluster", urls=urls) == []


@pytest.mark.parametrize(
    ("urls", "wrong"),
    [
        ("redis://a:1/0", "a Redis Cluster has no database numbers"),
        ("redis://a:1,redis://b:2?db=1", "has no database numbers"),
        ("unix:///run/redis.sock", "a Redis Cluster has no unix socket"),
        ("redis://a:1?decode_responses=1", "with decode_responses, nothing"),
        ("redis://a", "redis://host:port,redis://host:port"),
        ("redis://:1", "redis://host:port,redis://host:port"),
        ("redis://a:1,", "redis://host:port,redis://host:port"),
        ("redis://a:1, redis://b:2", "redis://host:port,redis://host:port"),
    ],
)
def test_an_address_that_no_cluster_has_is_an_error(urls, wrong):
    [error] = session_errors(type="ext:rediscluster", urls=urls)

    assert error.startswith(f"session.urls is {urls!r}: ")
    assert wrong in error


@pytest.mark.parametrize(
    ("backend", "url", "wanted"),
    [
        ("ext:redis", "localhost:6379", "redis://host:port/number"),
        ("ext:redis", "redis://host:port", "redis://host:port/number"),
        ("ext:redis", "redis://host/name", "redis://host:port/number"),
        ("ext:redis", "redis://host/-1", "redis://host:port/number"),
        ("ext:redis", "redis://a,redis://b", "redis://host:port/number"),
        ("ext:redis", "redis://my host", "redis://host:port/number"),
        ("ext:redis", "redis://host/0?db=x", "redis://host:port/number"),
        ("ext:redis", "unix://", "redis://host:port/number"),
        ("ext:redis", "redis+sentinel://a:1,b:2", SENTINELS),
        ("ext:redis", "redis+sentinel:///sky/0", SENTINELS),
        ("ext:redis", "redis+sentinel://a:1,/sky/0", SENTINELS),
        ("ext:redis", "redis+sentinel://a:x/sky/0", SENTINELS),
        ("ext:redis", "redis+sentinel://a:1/sky/one", SENTINELS),
        ("ext:redis", "redis+sentinel://a:1/sky/0/1", SENTINELS),
        ("ext:redis", "redis+sentinel://a:1, b:2/sky/0", SENTINELS),
        (
            "ext:redis",
            "redis+sentinel://a:1/sky?db=x",
            SENTINELS,
        ),
        ("ext:redis", "redis://host/0?nonsense=1", "the parameters"),
        ("ext:redis", "redis://host/0?protocol=9", "the parameters"),
        ("ext:redis", "redis://host/0?ssl_cert_reqs=none", "the parameters"),
        ("ext:redis", "rediss://host/0?ssl_cert_reqs=x", "the parameters"),
        ("ext:redis", "redis://host/0?decode_responses=1", "Remove that"),
        ("ext:redis", "redis://host/0?ssl=true", "the parameters"),
        ("ext:redis", "redis+sentinel://a:1/sky?x=1", "the parameters"),
        ("ext:redis", "redis+sentinel://a/sky?sentinel_x=1", "parameters"),
        ("ext:memcached", "memcached://localhost", "host:port;host:port"),
        ("ext:memcached", "localhost:port", "host:port;host:port"),
        ("ext:memcached", "localhost:11211/0", "host:port;host:port"),
        ("ext:memcached", "a:11211,b:11211", "host:port;host:port"),
        ("ext:memcached", "a:11211;", "host:port;host:port"),
        ("ext:mongodb", "mongodb://localhost", "mongodb://host/database"),
        ("ext:mongodb", "mongodb://host:99999/d", "does not understand it"),
        ("ext:mongodb", "mongodb://host/d?tlsCAFile=/no", "cannot be read"),
        ("ext:database", "sqlite:///a?timeout=x", "postgresql+psycopg://"),
        ("ext:database", "mysql+pymysql://h/d?sslmode=x", "the parameters"),
        ("ext:database", "sessions.db", "postgresql+psycopg://user@host"),
        ("ext:database", "postgresql://h:x/d", "postgresql+psycopg://user@"),
        ("ext:database", "nosuchsql://host", "no dialect 'nosuchsql'"),
        ("ext:database", "oracle+cx_oracle://host", "driver cx_Oracle"),
    ],
)
def test_an_address_of_another_form_is_an_error(backend, url, wanted):
    [error] = session_errors(type=backend, url=url)

    assert error.startswith(f"session.url is {url!r}: ")
    assert wanted in error


@pytest.mark.parametrize(
    "url",
    [
        "http://user:sesame@host/0",
        "http://host/0?password=sesame",
        "http://:sesame@host/0",
    ],
)
def test_an_error_shows_no_password(url):
    [error] = session_errors(type="ext:redis", url=url)

    assert error.startswith("session.url is 'http://")
    assert "sesame" not in error


@pytest.mark.parametrize(
    "accounts", ["u:sesame@a:1,u:sesame@b:2", "u:se/same@a:1,b:2"]
)
def test_passwords_of_sentinels_stand_in_front_and_are_not_shown(accounts):
    url = f"redis+sentinel://{accounts}/sky/0"
    [error] = session_errors(type="ext:redis", url=url)

    assert error.startswith("session.url is 'redis+sentinel://***@")
    assert error.endswith("with user and password percent-encoded.")
    assert "same" not in error


def test_a_password_that_breaks_an_address_is_told_and_not_shown():
    [error] = session_errors(type="ext:redis", url="redis://:se/same@host/0")

    assert error == (
        "session.url is 'redis://***@host/0': it must look like "
        "redis://host:port/number, with user and password percent-encoded."
    )


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///a?timeout=5",
        "mysql+pymysql://h/d?charset=utf8mb4&ssl_ca=/ca.pem",
        "postgresql+psycopg://u@/d?host=a&host=b&sslmode=require",
        "postgresql+pg8000://h/d?application_name=zope",
    ],
)
def test_the_address_of_a_database_may_have_parameters_of_its_driver(url):
    assert session_errors(type="ext:database", url=url) == []


class Plugin(CreateEnginePlugin):
    """An extension of SQLAlchemy, which an address may name."""

    def update_url(self, url):
        return url


def test_the_address_of_a_database_may_name_a_plugin():
    plugins.register("a_plugin_of_the_tests", __name__, "Plugin")
    url = "mysql+pymysql://h/d?plugin=a_plugin_of_the_tests"

    assert session_errors(type="ext:database", url=url) == []


def test_an_address_that_is_no_text_is_taken_as_it_is():
    """Beaker takes a client object, too, where code configures it."""
    assert session_errors(type="ext:redis", url=object()) == []


@pytest.mark.parametrize(
    ("backend", "modules", "extra"),
    [
        ("ext:database", ["sqlalchemy"], "sqlalchemy"),
        ("ext:memcached", ["pymemcache"], "memcached"),
        ("ext:mongodb", ["pymongo"], "mongodb"),
        ("ext:redis", ["redis"], "redis"),
    ],
)
def test_a_missing_client_library_is_an_error_that_names_the_extra(
    monkeypatch, backend, modules, extra
):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)

    assert session_errors(type=backend, url=URLS[backend]) == [
        f"session.type is {backend!r}, but its client library is not "
        f"installed. Install collective.beaker[{extra}]."
    ]


# The client libraries of memcached

MEMCACHED = {"type": "ext:memcached", "url": URLS["ext:memcached"]}
BEAKERS_LIBRARIES = ["memcache", "bmemcached", "cmemcache"]


@pytest.fixture
def install(monkeypatch):
    """Return a function that has one of all the libraries be installed."""

    def install(only):
        for module in ("pymemcache", *BEAKERS_LIBRARIES):
            found = ModuleType(module) if module == only else None
            monkeypatch.setitem(sys.modules, module, found)

    return install


def test_memcached_needs_pymemcache(install):
    install("pymemcache")
    assert session_errors(**MEMCACHED) == cache_errors(**MEMCACHED) == []

    install("memcache")
    assert cache_errors(**MEMCACHED, memcache_module="memcache") == [
        "cache.type is 'ext:memcached', but its client library is not "
        "installed. Install collective.beaker[memcached]."
    ]


def test_a_region_elsewhere_needs_no_library_of_memcached(install):
    install("pymemcache")
    configuration = read_configuration(
        {
            "cache.type": "ext:memcached",
            "cache.url": "localhost",
            "cache.regions": "a",
            "cache.a.type": "ext:database",
            "cache.a.url": "sqlite://",
        }
    )

    assert configuration.errors == []


# Backends of other packages


class OtherBackend:
    def __init__(self, namespace, colour=None):
        pass


class OpenBackend:
    def __init__(self, namespace, **options):
        pass


def add_backend(folder, monkeypatch, name):
    """Install a distribution whose entry point adds a backend."""
    info = folder / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[beaker.backends]\nother = {name}\n"
    )
    monkeypatch.syspath_prepend(folder)


@pytest.mark.parametrize("prefix", ["session", "cache"])
def test_the_entry_point_of_another_package_is_known(
    tmp_path, monkeypatch, prefix
):
    add_backend(tmp_path, monkeypatch, f"{__name__}:OtherBackend")

    assert read(prefix, type="other").errors == []


def test_sessions_in_the_backend_of_another_package_are_warned_about(
    tmp_path, monkeypatch
):
    add_backend(tmp_path, monkeypatch, f"{__name__}:OtherBackend")
    [warning] = read(type="other").warnings

    assert warning.startswith(
        "session.type is 'other', a backend of another package: "
    )
    assert read("cache", type="other").warnings == []


def test_an_option_that_it_does_not_know_is_a_warning(tmp_path, monkeypatch):
    add_backend(tmp_path, monkeypatch, f"{__name__}:OtherBackend")
    [warning] = read("cache", type="other", colour="red", shape="r").warnings

    assert warning.startswith("cache.shape is an option that neither")


def test_an_open_backend_may_know_any_option(tmp_path, monkeypatch):
    add_backend(tmp_path, monkeypatch, f"{__name__}:OpenBackend")

    assert read("cache", type="other", shape="round").warnings == []


def test_a_slip_is_found_in_the_options_of_an_open_backend(
    tmp_path, monkeypatch
):
    add_backend(tmp_path, monkeypatch, f"{__name__}:OpenBackend")
    [warning] = read("cache", type="other", expires="60").warnings

    assert warning.endswith("Did you mean cache.expire?")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no_such_module:Backend", "ModuleNotFoundError: No module named"),
        ("json:Backend", "AttributeError: module 'json' has no attribute"),
        ("json:__name__", "TypeError: 'json' is not a callable object"),
        ("broken_backend:Backend", "RuntimeError: out of order"),
    ],
)
def test_an_entry_point_that_cannot_be_loaded_is_an_error(
    tmp_path, monkeypatch, name, reason
):
    (tmp_path / "broken_backend.py").write_text(
        "raise RuntimeError('out of order')"
    )
    add_backend(tmp_path, monkeypatch, name)
    [error] = session_errors(type="other")

    assert error.startswith(
        f"session.type is 'other': {name} cannot be loaded ({reason}"
    )
    assert "other" not in error.partition("Use one of")[2]
