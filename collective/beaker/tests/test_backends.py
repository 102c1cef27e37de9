"""What Beaker's backends need, as the settings of zope.conf meet them."""

import sys

import pytest

from collective.beaker.config import read_configuration


URLS = {
    "ext:database": "sqlite:///sessions.db",
    "ext:memcached": "localhost:11211",
    "ext:mongodb": "mongodb://localhost/sessions",
    "ext:redis": "redis://localhost:6379/0",
}


def session_errors(**options):
    return read(**options).errors


def read(**options):
    return read_configuration(
        {f"session.{option}": value for option, value in options.items()}
    )


@pytest.mark.parametrize("prefix", ["session", "cache", "cache.short"])
def test_an_unknown_backend_is_an_error_that_lists_the_known(prefix):
    [error] = read_configuration(
        {"cache.regions": "short", f"{prefix}.type": "flie"}
    ).errors

    assert error.startswith(
        f"{prefix}.type is 'flie': there is no such backend. Allowed are "
    )
    assert "ext:redis, ext:rediscluster, file, memory." in error


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


def test_a_redis_cluster_has_several_addresses():
    assert session_errors(type="ext:rediscluster", url="redis://a:1") == [
        "session.type is 'ext:rediscluster', which needs session.urls. Set it."
    ]
    urls = "redis://a:1,redis://b:2"
    assert session_errors(type="ext:rediscluster", urls=urls) == []


@pytest.mark.parametrize(
    ("backend", "url", "wanted"),
    [
        ("ext:redis", "localhost:6379", "redis://host:port/number"),
        ("ext:memcached", "memcached://localhost", "host:port;host:port"),
        ("ext:mongodb", "mongodb://localhost", "mongodb://host/database"),
        ("ext:database", "sessions.db", "postgresql+psycopg://user@host"),
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


def test_an_address_that_is_no_text_is_taken_as_it_is():
    """Beaker takes a client object, too, where code configures it."""
    assert session_errors(type="ext:redis", url=object()) == []


@pytest.mark.parametrize(
    ("backend", "modules", "extra"),
    [
        ("ext:database", ["sqlalchemy"], "sqlalchemy"),
        (
            "ext:memcached",
            ["memcache", "bmemcached", "cmemcache"],
            "memcached",
        ),
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


def test_the_configured_memcached_library_must_be_there():
    [error] = session_errors(
        type="ext:memcached",
        url=URLS["ext:memcached"],
        memcache_module="cmemcache",
    )

    assert error.endswith("Install collective.beaker[memcached].")


def test_any_memcached_library_will_do():
    auto = {"type": "ext:memcached", "memcache_module": "auto"}

    assert session_errors(url=URLS["ext:memcached"], **auto) == []


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


def test_the_entry_point_of_another_package_is_known(tmp_path, monkeypatch):
    add_backend(tmp_path, monkeypatch, f"{__name__}:OtherBackend")
    configuration = read(type="other", colour="red")

    assert configuration.errors == configuration.warnings == []


def test_an_option_that_it_does_not_know_is_a_warning(tmp_path, monkeypatch):
    add_backend(tmp_path, monkeypatch, f"{__name__}:OtherBackend")
    [warning] = read(type="other", shape="round").warnings

    assert warning.startswith("session.shape is an option that neither")


def test_an_open_backend_may_know_any_option(tmp_path, monkeypatch):
    add_backend(tmp_path, monkeypatch, f"{__name__}:OpenBackend")

    assert read(type="other", shape="round").warnings == []


def test_a_slip_is_found_in_the_options_of_an_open_backend(
    tmp_path, monkeypatch
):
    add_backend(tmp_path, monkeypatch, f"{__name__}:OpenBackend")
    [warning] = read(type="other", timout="60").warnings

    assert warning.endswith("Did you mean session.timeout?")


def test_an_entry_point_that_cannot_be_imported_is_an_error(
    tmp_path, monkeypatch
):
    add_backend(tmp_path, monkeypatch, "no_such_module:Backend")
    [error] = read(type="other").errors

    assert error.startswith("session.type is 'other': No module named")
