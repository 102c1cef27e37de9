"""What the options of sessions say."""

from dataclasses import FrozenInstanceError
from datetime import timedelta

import pytest
from beaker.exceptions import BeakerException
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping
from redis import Redis
from ZODB.DB import DB
from ZODB.MappingStorage import MappingStorage

from collective.beaker.session.policy import keys_of
from collective.beaker.session.policy import make_policy
from collective.beaker.session.policy import policy_for
from collective.beaker.session.policy import warn_of_unreadable_session
from collective.beaker.session.times import Timeouts
from collective.beaker.settings.options import with_defaults
from collective.beaker.stores.base import LEEWAY_SECONDS
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.servers import free_port


def test_what_is_not_given_has_its_default():
    policy = make_policy({"timeout": 60})

    assert policy.options == with_defaults({"timeout": 60})


def test_sessions_cannot_change_the_policy_that_they_share():
    with pytest.raises(FrozenInstanceError):
        make_policy({}).path = "/shop"


def test_the_options_reach_the_parts():
    policy = make_policy(
        {
            "timeout": 60,
            "absolute_timeout": 3600,
            "resolution_seconds": 5,
            "invalidate_corrupt": False,
            "cookie_domain": "example.org",
            "cookie_path": "/shop",
        }
    )

    assert policy.timeouts == Timeouts(60, 3600, 5, True)
    assert policy.replaces_unreadable is False
    assert (policy.domain, policy.path) == ("example.org", "/shop")


def test_without_save_accessed_time_no_time_of_access_is_stored():
    policy = make_policy({"save_accessed_time": False})

    assert policy.timeouts.stores_access is False


def test_the_options_reach_the_cookie():
    cookies = make_policy(
        {
            "key": "shop",
            "cookie_expires": timedelta(60),
            "httponly": 1,
            "samesite": "Strict",
        }
    ).cookies

    assert cookies.name == "shop"
    assert cookies.expires == timedelta(60)
    assert cookies.httponly is True
    assert cookies.samesite == "Strict"


@pytest.mark.parametrize("name", ["my key", "caf\xe9", "path", "", None])
def test_a_name_that_no_cookie_can_have_is_refused(name):
    with pytest.raises(BeakerException) as raised:
        make_policy({"key": name})

    message = str(raised.value)
    assert message.startswith(f"session.key is {name!r}; it must be a cookie")


KEYS = {
    "secret": "secret",
    "secret_fallbacks": ["former secret"],
    "validate_key": "key",
    "validate_key_fallbacks": "former_key older_key",
}


@pytest.mark.parametrize(
    ("type", "secrets"),
    [
        ("memory", ["secret", "former secret"]),
        ("cookie", ["key", "former_key", "older_key"]),
    ],
)
def test_what_signs_the_cookie_depends_on_what_is_in_it(type, secrets):
    assert make_policy({**KEYS, "type": type}).cookies.secrets == secrets


def test_without_a_key_its_fallbacks_are_not_used():
    options = with_defaults({**KEYS, "secret": None})

    assert keys_of(options, "secret") == []


# What options cannot have together


def test_a_timeout_needs_the_time_of_access():
    with pytest.raises(BeakerException, match="save_accessed_time"):
        make_policy({"timeout": 60, "save_accessed_time": False})


def test_a_session_in_a_cookie_needs_a_key():
    with pytest.raises(BeakerException, match="validate_key"):
        make_policy({"type": "cookie", "secret": "secret"})


def test_an_unknown_backend_is_refused_at_once():
    with pytest.raises(LookupError, match="tape"):
        make_policy({"type": "tape"})


# The store


def test_the_store_is_not_looked_for_before_it_is_needed():
    url = f"redis://127.0.0.1:{free_port()}"
    policy = make_policy({"type": "ext:redis", "url": url})

    assert "store" not in vars(policy)
    assert policy.store.kind == "ext:redis"


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "memory"),
        ({"data_dir": "sessions"}, "file"),
        ({"data_dir": "sessions", "type": "dbm"}, "dbm"),
    ],
)
def test_type_and_data_dir_choose_the_store(tmp_path, options, kind):
    if "data_dir" in options:
        options = options | {"data_dir": str(tmp_path)}

    assert make_policy(options).store.kind == kind


def test_policies_with_one_store_share_it(tmp_path):
    options = {"type": "file", "data_dir": str(tmp_path)}
    policy = make_policy(options)

    assert policy.store is policy.store
    assert make_policy({**options, "key": "another"}).store is policy.store


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ({"timeout": 60}, 60 + LEEWAY_SECONDS),
        ({"timeout": 60, "absolute_timeout": 900}, 60 + LEEWAY_SECONDS),
        ({"absolute_timeout": 900}, 900 + LEEWAY_SECONDS),
        ({}, -1),
    ],
)
def test_a_store_keeps_a_session_until_nobody_can_use_it(
    redis, limits, seconds
):
    redis.start()
    policy = make_policy({"type": "ext:redis", "url": redis.url, **limits})
    policy.store.swap("0" * 32, None, "text")
    client = Redis.from_url(redis.url)
    [key] = client.keys(f"*{'0' * 32}*")
    left = client.ttl(key)
    client.delete(key)

    # Redis counts whole seconds, and time passes.
    assert seconds - 30 <= left <= seconds


# The log


def test_the_log_says_no_more_of_an_error_than_its_type(caplog):
    warn_of_unreadable_session(ValueError("4111 1111"))

    [record] = caplog.records
    assert "cannot be read (ValueError)" in record.getMessage()
    assert "4111" not in caplog.text
    assert record.exc_info is None


# The policy in force

OPTIONS = {"key": "opening", "secret": "a secret of the tests"}


def test_the_same_options_give_the_same_policy(application):
    assert policy_for(dict(OPTIONS)) is policy_for(dict(OPTIONS))


def test_another_option_gives_another_policy(application):
    first = policy_for(OPTIONS)

    assert policy_for(OPTIONS | {"timeout": 60}).options["timeout"] == 60
    assert policy_for(OPTIONS) is first


@pytest.mark.parametrize(
    ("value", "change"),
    [
        (["one"], lambda value: value.append("another")),
        (PersistentList(["one"]), lambda value: value.append("another")),
        ({"one"}, lambda value: value.add("another")),
        ({"some": ["one"]}, lambda value: value["some"].append("another")),
    ],
    ids=["list", "persistent list", "set", "list in a mapping"],
)
def test_a_value_that_is_changed_in_place_takes_effect(
    value, change, application
):
    options = OPTIONS | {"type": "memory", "of_code": value}
    before = policy_for(options)
    change(value)

    assert policy_for(options) is not before
    assert policy_for(options).options["of_code"] == value


def test_the_policies_of_sites_with_other_cookies_are_kept_too(application):
    one = policy_for(OPTIONS | {"key": "one"})
    another = policy_for(OPTIONS | {"key": "another"})

    assert policy_for(OPTIONS | {"key": "one"}) is one
    assert policy_for(OPTIONS | {"key": "another"}) is another


def test_the_options_of_a_site_are_not_kept_with_its_connection(application):
    database = DB(MappingStorage())
    with database.transaction() as connection:
        connection.root.options = PersistentMapping(
            OPTIONS, secret_fallbacks=PersistentList(["a former secret"])
        )
    with database.transaction() as connection:
        policy = policy_for(connection.root.options)
        connection.cacheMinimize()
    with database.transaction() as connection:
        assert policy_for(connection.root.options) is policy
    assert type(policy.options["secret_fallbacks"]) is list


# Sites that share a place


def test_sites_with_one_name_on_hosts_of_their_own_are_warned_of_once(
    tmp_path, caplog
):
    options = {"type": "file", "data_dir": str(tmp_path), "timeout": 60}
    own = [{**options, "data_dir": f"{tmp_path}/{site}"} for site in "ab"]
    policy_for({**options, "key": "all", "timeout": 3600})
    for each in [options, *own, options, *own]:
        policy_for({**each, "key": "one"})

    assert len(log_of(caplog)) == 1


def test_sites_with_other_timeouts_in_one_place_are_warned_of(
    tmp_path, caplog
):
    options = {"type": "file", "data_dir": str(tmp_path), "timeout": 60}
    policy_for({**options, "key": "one"})
    assert log_of(caplog) == []

    policy_for({**options, "key": "other", "timeout": 3600})
    [record] = log_of(caplog)
    assert "session.key 'other' and those with 'one'" in record.getMessage()


@pytest.mark.parametrize(
    "options", [{"timeout": 60}, {"data_dir": "another", "timeout": 3600}]
)
def test_sites_with_equal_timeouts_or_places_of_their_own_are_not(
    tmp_path, caplog, options
):
    options = {"type": "file", "data_dir": "one", "timeout": 60, **options}
    one = {"type": "file", "data_dir": f"{tmp_path}/one", "timeout": 60}
    other = {**options, "data_dir": f"{tmp_path}/{options['data_dir']}"}
    policy_for({**one, "key": "one"})
    policy_for({**other, "key": "other"})

    assert log_of(caplog) == []
