"""The report: what is configured, where it comes from, how stores fare."""

import json
from datetime import datetime
from datetime import timedelta

import pytest
import sqlalchemy

from collective.beaker.interfaces import Record
from collective.beaker.report import make_report
from collective.beaker.report import sessions
from collective.beaker.report.settings import _displayable
from collective.beaker.report.settings import settings_of
from collective.beaker.report.stores import check_store
from collective.beaker.report.stores import check_stores
from collective.beaker.report.versions import versions
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.settings.section import read_configuration
from collective.beaker.stores.base import Store
from collective.beaker.stores.memory import MemoryStore
from collective.beaker.tests.helpers.records import records_of
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.servers import memcached_server


def settings(section, in_force=None, local=False):
    """Return the settings in force, by their names."""
    found = settings_of(section, read_configuration(section), in_force, local)
    return {setting.name: setting for setting in found}


def value_and_source(found, name):
    return found[name].value, found[name].source


# Settings


def test_a_setting_comes_from_zope_conf_or_is_a_default():
    found = settings({"session.timeout": "600", "beaker.session.auto": "on"})

    assert value_and_source(found, "session.timeout") == (600, "zope.conf")
    assert value_and_source(found, "session.auto") == (True, "zope.conf")
    assert value_and_source(found, "session.httponly") == (True, "default")
    assert found.keys() >= {f"session.{name}" for name in SESSION_DEFAULTS}


def test_a_region_inherits_what_it_does_not_set():
    found = settings(
        {
            "cache.regions": "Short",
            "cache.short.expire": "60",
            "cache.key_length": "100",
        }
    )

    assert value_and_source(found, "cache.Short.expire") == (60, "zope.conf")
    assert value_and_source(found, "cache.Short.key_length") == (
        100,
        "inherited",
    )
    assert value_and_source(found, "cache.Short.type") == ("memory", "default")
    assert value_and_source(found, "cache.regions") == (["Short"], "zope.conf")


def test_the_region_of_plone_memoize_is_shown():
    found = settings({"cache.regions": "Short", "cache.memoize": "Short"})

    assert value_and_source(found, "cache.memoize") == ("Short", "zope.conf")


def test_what_code_has_changed_comes_from_run_time():
    section = {"session.timeout": "600", "session.key": "id"}
    in_force = read_configuration(section).session | {"timeout": 900}
    found = settings(section, in_force)

    assert value_and_source(found, "session.timeout") == (900, "run time")
    assert value_and_source(found, "session.key") == ("id", "zope.conf")


def test_what_a_site_configures_comes_from_its_utility():
    found = settings({"session.timeout": "600"}, {"timeout": 900}, local=True)

    assert value_and_source(found, "session.timeout") == (
        900,
        "site-local utility",
    )
    assert found["session.key"].source == "default"


def test_what_only_code_configures_comes_from_run_time():
    found = settings({"cache.regions": "short"}, {"timeout": 900})

    assert value_and_source(found, "session.timeout") == (900, "run time")


def test_without_a_section_there_are_no_settings():
    assert settings(None) == {}
    assert make_report(None).stores == []


def test_without_session_settings_there_are_those_of_caches_only():
    assert {name.partition(".")[0] for name in settings({"cache.x": "1"})} == {
        "cache"
    }


@pytest.mark.parametrize(
    ("option", "value", "shown"),
    [
        ("secret", "very secret", "(hidden)"),
        ("secret", None, None),
        ("secret_fallbacks", ["former secret"], "(hidden)"),
        ("secret_fallbacks", (), None),
        ("validate_key", "very secret", "(hidden)"),
        ("encrypt_key", "very secret", "(hidden)"),
        ("password", "very secret", "(hidden)"),
        ("url", "redis://me:very%20secret@host/0", "redis://***@host/0"),
        ("sa_opts", {"url": "postgresql://me:secret@host/db"}, "<dict>"),
        ("cookie_expires", timedelta(minutes=5), 300),
        ("cookie_expires", datetime(2030, 1, 2), "2030-01-02 00:00:00"),
        ("timeout", 600, 600),
        ("auto", False, False),
        ("names", ("a", "b"), ["a", "b"]),
    ],
)
def test_a_value_is_plain_data_and_no_secret_is_shown(option, value, shown):
    assert _displayable(option, value) == shown


# Stores


def test_each_step_of_a_round_trip_is_timed_and_leaves_nothing(server_store):
    options = dict(vars(server_store))
    del options["folder"]
    before = records_of(server_store).ids()

    (check,) = check_stores(options, {})

    assert check.works
    assert (check.name, check.type) == ("session", server_store.type)
    assert list(check.seconds) == ["store", "load", "swap", "delete"]
    assert all(0 < seconds < 60 for seconds in check.seconds.values())
    assert records_of(server_store).ids() == before
    assert not list(server_store.folder.rglob("*.lock"))


def test_each_region_has_its_store(tmp_path, redis):
    redis.start()
    found = read_configuration(
        {
            "session.type": "file",
            "session.data_dir": str(tmp_path),
            "cache.regions": "short, long",
            "cache.short.type": "ext:redis",
            "cache.short.url": redis.url,
        }
    )

    checks = check_stores(found.session, found.caches)

    assert [(check.name, check.type) for check in checks] == [
        ("session", "file"),
        ("cache", "memory"),
        ("cache.short", "ext:redis"),
        ("cache.long", "memory"),
    ]
    assert all(check.works for check in checks)


def test_a_memcached_that_cannot_compare_is_found(tmp_path):
    with memcached_server(tmp_path, "-C") as server:
        options = {"type": "ext:memcached", "url": server.url}
        for check in check_stores(options, {"cache": options | {"expire": 5}}):
            assert "start it without" in check.error


def test_caches_of_every_store_are_checked(server_store):
    options = dict(vars(server_store))
    del options["folder"]

    caches = {"cache": options | {"expire": 5, "enabled": True}}
    (check,) = check_stores(None, caches)

    assert check.works, check.error


def test_a_redis_cluster_is_checked(cluster_urls):
    options = {"type": "ext:rediscluster", "urls": cluster_urls}

    for check in check_stores(options, {"cache": options | {"expire": 5}}):
        assert check.works, check.error


def test_sessions_in_cookies_have_no_store():
    options = {"type": "cookie", "validate_key": "a key for the tests"}

    assert check_stores(options, {}) == []


def test_a_store_that_is_down_is_named_without_its_password():
    url = f"redis://me:very-secret@127.0.0.1:{free_port()}/0"

    (check,) = check_stores({"type": "ext:redis", "url": url}, {})

    assert not check.works
    assert "ext:redis" in check.error
    assert "ConnectionError" in check.error
    assert "very-secret" not in str(check)


def test_a_store_that_cannot_be_made_shows_the_type_of_the_error_only():
    options = {"type": "ext:database", "url": "a very-secret that is no URL"}

    (check,) = check_stores(options, {})

    assert check.error == "It cannot be used (ArgumentError)."


def test_the_table_of_a_store_is_made_as_zope_would(tmp_path):
    url = f"sqlite:///{tmp_path}/sessions.db"

    (check,) = check_stores({"type": "ext:database", "url": url}, {})

    assert check.works
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    assert sqlalchemy.inspect(engine).has_table("beaker_cache")


class Forgetful(Store):
    """A store that finds nothing again."""

    def _load(self, id):
        return None

    def _swap(self, id, old, new, seconds=None):
        return True

    def _delete(self, id):
        pass


class Disturbed(MemoryStore):
    """A store in which somebody else changes each record."""

    def load(self, id):
        return Record("first", "somebody else's")


@pytest.mark.parametrize(
    ("store", "error"),
    [
        (Forgetful("forgetful"), "but not found again"),
        (Disturbed("disturbed"), "has changed the test record"),
    ],
)
def test_a_store_that_does_not_keep_its_contract_is_found(store, error):
    assert error in check_store("session", lambda: store).error


def test_a_check_that_ends_early_leaves_nothing():
    before = {id for id, _ in MemoryStore("memory").walk()}

    check_store("session", lambda: Disturbed("disturbed"))

    assert {id for id, _ in MemoryStore("memory").walk()} == before


# The whole


def test_a_report_is_what_json_can_hold(tmp_path):
    section = {
        "session.type": "file",
        "session.data_dir": str(tmp_path),
        "session.secret": "very secret",
        "session.cookie_expires": "300",
        "cache.regions": "short",
    }
    made = make_report(section)

    text = json.dumps(made.as_dict())
    assert list(json.loads(text)) == [
        "settings",
        "errors",
        "warnings",
        "stores",
        "regions",
        "sessions",
        "versions",
        "sites",
    ]
    assert "very secret" not in text
    assert "session.secret has 11 characters" in made.warnings[0]


def test_stores_are_not_tried_out_with_errors_in_the_settings():
    made = make_report({"session.type": "file"})

    assert "needs session.data_dir" in made.errors[0]
    assert made.stores == []


def test_a_folder_that_cannot_be_used_is_an_error(tmp_path):
    occupied = tmp_path / "occupied"
    occupied.write_text("")

    made = make_report(
        {"session.timeout": "1h", "session.data_dir": str(occupied)}
    )

    timeout, folder = made.errors
    assert "session.timeout is '1h'" in timeout
    assert "cannot be used" in folder


def test_a_folder_that_is_lost_is_a_store_that_fails(tmp_path):
    (tmp_path / "file").touch()
    section = {
        "session.type": "file",
        "session.data_dir": str(tmp_path / "file" / "sessions"),
        "cache.type": "memory",
        "cache.regions": "short",
    }

    made = make_report(section, count_seconds=1)

    works = {check.name: check.works for check in made.stores}
    assert works == {"session": False, "cache": True, "cache.short": True}
    assert all(region.figures for region in made.regions)


def test_the_options_in_force_are_those_that_are_tried_out(tmp_path):
    section = {"session.type": "memory"}
    in_force = {"type": "file", "data_dir": str(tmp_path)}

    made = make_report(section, in_force, local=True)

    assert made.stores[0].type == "file"


def test_what_is_doubtful_in_the_options_of_a_site_is_a_warning():
    in_force = {"type": "memory", "secret": "hush"}

    made = make_report({"session.type": "memory"}, in_force, local=True)

    (warning,) = made.warnings
    assert "session.secret has 4 characters" in warning
    assert [check.name for check in made.stores] == ["session", "cache"]


def test_a_site_that_knows_no_users_is_warned_of_request_session():
    section = {"session.type": "memory", "session.zope_session": "on"}
    in_force = {"type": "memory", "login_policy": "off"}

    made = make_report(section, in_force, local=True)

    (warning,) = made.warnings
    assert "log in anyone who has planted a session" in warning


def test_what_is_wrong_in_the_options_of_a_site_is_an_error():
    in_force = {"type": "memory", "timeout": "900"}

    made = make_report({"session.type": "memory"}, in_force, local=True)

    (error,) = made.errors
    assert "session.timeout is the text '900'" in error
    assert made.stores == []


def test_a_report_tells_the_regions_and_when_their_values_expire():
    made = make_report(
        {
            "cache.expire": "300",
            "cache.regions": "short, long",
            "cache.short.expire": "60",
        }
    )

    assert [(each.name, each.expire) for each in made.regions] == [
        ("cache", 300),
        ("short", 60),
        ("long", 300),
    ]


def test_versions_are_those_of_what_is_installed():
    found = versions()

    assert found.keys() >= {"Python", "Zope", "Beaker", "collective.beaker"}
    assert found["Beaker"].startswith("1.")


def test_a_store_that_failed_is_not_waited_for_again(monkeypatch):
    def fail(*arguments):
        raise AssertionError("It is asked again.")

    monkeypatch.setattr(sessions, "count_sessions", fail)
    url = f"redis://127.0.0.1:{free_port()}/0"

    made = make_report(
        {"session.type": "ext:redis", "session.url": url}, count_seconds=1
    )

    assert made.sessions.error == made.stores[0].error


def test_sessions_are_counted_if_that_is_asked_for(tmp_path):
    section = {"session.type": "file", "session.data_dir": str(tmp_path)}

    assert make_report(section).sessions is None
    assert make_report(section, count_seconds=1).sessions.is_complete
