"""Reading the beaker section, without Zope and without a store."""

import os
from datetime import datetime
from datetime import timedelta
from inspect import signature
from pathlib import Path
from secrets import token_hex

import pytest
from beaker.session import CookieSession
from beaker.session import Session
from beaker.util import PickleSerializer
from persistent.list import PersistentList

from collective.beaker.report import make_report
from collective.beaker.settings.backends import python_options
from collective.beaker.settings.options import REFUSED_CACHE_OPTIONS
from collective.beaker.settings.options import REFUSED_SESSION_OPTIONS
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.settings.section import check_session_options
from collective.beaker.settings.section import read_configuration


FOLDER = "/var/sessions"
KEY = "a key of many characters"


def errors(**settings):
    return read_configuration(dotted(settings)).errors


def warnings(**settings):
    return read_configuration(dotted(settings)).warnings


def session(**settings):
    configuration = read_configuration(
        {f"session.{option}": value for option, value in settings.items()}
    )
    assert configuration.errors == []
    return configuration.session


def cache(settings):
    configuration = read_configuration(settings)
    assert configuration.errors == []
    return configuration.cache


def dotted(settings):
    """Return settings whose names have __ in place of the dots."""
    return {key.replace("__", "."): value for key, value in settings.items()}


# Sections


def test_without_section_there_is_nothing():
    configuration = read_configuration(None)

    assert configuration.session is None
    assert configuration.cache is None


def test_an_empty_section_configures_the_cache_only():
    configuration = read_configuration({})

    assert configuration.session is None
    assert configuration.cache["type"] == "memory"


def test_a_session_setting_configures_both():
    configuration = read_configuration({"session.auto": "on"})

    assert configuration.session["auto"] is True
    assert configuration.cache is not None


def test_a_cache_setting_configures_no_session():
    assert read_configuration({"cache.expire": "60"}).session is None


def test_beakers_longer_prefixes_are_understood():
    configuration = read_configuration(
        {"beaker.session.timeout": "60", "beaker.cache.expire": "30"}
    )

    assert configuration.session["timeout"] == 60
    assert configuration.cache["expire"] == 30


def test_a_setting_with_both_prefixes_is_a_warning():
    configuration = read_configuration(
        {"session.timeout": "60", "beaker.session.timeout": "30"}
    )

    [warning] = configuration.warnings
    assert warning.startswith("session.timeout is set twice")
    assert configuration.session["timeout"] == 30


def test_the_defaults_of_a_session():
    assert session(auto="off") == {
        "absolute_timeout": None,
        "auto": False,
        "cookie_domain": None,
        "cookie_expires": True,
        "cookie_path": "/",
        "crypto_type": "default",
        "data_dir": None,
        "data_serializer": "pickle",
        "encrypt_key": None,
        "encrypt_nonce_bits": 128,
        "httponly": True,
        "invalidate_corrupt": True,
        "key": "beaker.session.id",
        "lock_dir": None,
        "log_file": None,
        "login_policy": "bind",
        "resolution_seconds": 20,
        "samesite": "Lax",
        "save_accessed_time": True,
        "secret": None,
        "secret_fallbacks": (),
        "secure": "auto",
        "socket_timeout": 5,
        "sweep_interval": None,
        "timeout": None,
        "transactional": False,
        "type": None,
        "use_cookies": True,
        "validate_key": None,
        "validate_key_fallbacks": (),
        "webtest_varname": None,
        "zope_session": False,
    }


def test_the_defaults_of_a_cache():
    assert cache({}) == {
        "cache_regions": {},
        "data_dir": None,
        "enabled": True,
        "expire": None,
        "key_length": 250,
        "lock_dir": None,
        "lock_timeout": 10,
        "max_entries": 10000,
        "secret": None,
        "secret_fallbacks": (),
        "socket_timeout": 1,
        "stale": None,
        "type": "memory",
    }


def test_reading_does_not_change_the_defaults():
    before = dict(SESSION_DEFAULTS)
    session(timeout="60")

    assert before == SESSION_DEFAULTS


# Types


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("timeout", "60", 60),
        ("auto", "on", True),
        ("invalidate_corrupt", "false", False),
        ("use_cookies", "false", False),
        ("httponly", "off", False),
        ("cookie_expires", "on", True),
        ("cookie_expires", "off", False),
        ("cookie_expires", "300", timedelta(minutes=5)),
        ("samesite", "strict", "Strict"),
        ("data_serializer", "json", "json"),
        ("encrypt_nonce_bits", "48", 48),
        ("webtest_varname", "session", "session"),
        ("key", "a-b_c.d", "a-b_c.d"),
        ("cookie_domain", "shop.example.org", "shop.example.org"),
        ("cookie_domain", ".Example.org", ".Example.org"),
        ("cookie_domain", "my_host", "my_host"),
        ("cookie_domain", "127.0.0.1", "127.0.0.1"),
        ("cookie_domain", "a" * 63 + ".org", "a" * 63 + ".org"),
        ("cookie_path", "/", "/"),
        ("cookie_path", "/a b/~c:,=%20", "/a b/~c:,=%20"),
        ("secure", "on", True),
        ("secure", "off", False),
        ("secure", "Auto", "auto"),
        ("absolute_timeout", "86400", 86400),
        ("resolution_seconds", "0", 0),
        ("socket_timeout", "2", 2),
        ("transactional", "on", True),
    ],
)
def test_text_becomes_a_value(option, text, value):
    assert session(**{option: text})[option] == value


@pytest.mark.parametrize("option", ["secret", "validate_key"])
def test_former_keys_stand_in_a_row(option):
    options = session(
        **{option: KEY, f"{option}_fallbacks": "old-key-1  old-key-2"}
    )

    assert options[f"{option}_fallbacks"] == ["old-key-1", "old-key-2"]


@pytest.mark.parametrize("value", [None, True, 60, timedelta(1)])
def test_values_that_are_no_text_pass_unchanged(value):
    assert session(cookie_expires=value)["cookie_expires"] is value


@pytest.mark.parametrize(
    ("option", "text", "allowed"),
    [
        ("timeout", "ten", "a whole number of seconds, 1 or more"),
        ("timeout", "0", "a whole number of seconds, 1 or more"),
        ("timeout", "-1", "a whole number of seconds, 1 or more"),
        ("timeout", "2147483648", "and at most 2147483647."),
        ("timeout", "None", "without the line, sessions do not time out"),
        ("timeout", "10 # ten", "no comments after a value"),
        ("timeout", '"10"', "keeps quotes"),
        ("timeout", "", "given a value, or removed"),
        ("auto", "perhaps", "on or off"),
        ("secure", "perhaps", "on, off or auto"),
        ("absolute_timeout", "0", "a whole number of seconds, 1 or more."),
        ("resolution_seconds", "-1", "a whole number of seconds."),
        ("socket_timeout", "0", "a whole number of seconds, 1 or more."),
        ("socket_timeout", "0.5", "a whole number of seconds, 1 or more."),
        ("socket_timeout", "3601", "and at most 3600."),
        ("transactional", "auto", "on or off"),
        ("cookie_expires", "soon", "a whole number of seconds"),
        ("cookie_expires", "9" * 20, "a whole number of seconds"),
        ("samesite", "lenient", "Lax, Strict or None"),
        ("data_serializer", "yaml", "pickle or json"),
        ("crypto_type", "rot13", "default, cryptography, pycryptodome or"),
        ("encrypt_nonce_bits", "100", "a multiple of 8"),
        ("encrypt_nonce_bits", "0", "a multiple of 8"),
        ("key", "a b", "a cookie name"),
        ("key", "$id", "no $ at the beginning"),
        ("key", "Path", "no attribute of cookies such as path"),
        ("key", "id;a", "a cookie name"),
        ("key", "id\n", "a cookie name"),
        ("key", "schlüssel", "a cookie name"),
        ("cookie_domain", "a.org; Path=/", "a host name"),
        ("cookie_domain", "a.org,b.org", "a host name"),
        ("cookie_domain", "a.org b.org", "a host name"),
        ("cookie_domain", "a.org\n", "a host name"),
        ("cookie_domain", "a..org", "a host name"),
        ("cookie_domain", "-a.org", "a host name"),
        ("cookie_domain", "a" * 64 + ".org", "a host name"),
        ("cookie_domain", "https://a.org", "a host name"),
        ("cookie_domain", "zürich.ch", "in ASCII (other letters as xn--)"),
        ("cookie_path", "shop", "a path that begins with /"),
        ("cookie_path", "/shop; Secure", "without semicolons"),
        ("cookie_path", "/shop\r\nX: y", "a path that begins with /"),
        ("cookie_path", "/shop\n", "a path that begins with /"),
        ("cookie_path", "/\x7f", "a path that begins with /"),
        ("cookie_path", "/zürich", "in ASCII"),
        ("data_dir", " ", "given a value, or removed"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_what_is_allowed(
    option, text, allowed
):
    [error] = errors(**{f"session__{option}": text})

    assert error.startswith(f"session.{option} is {text!r}")
    assert allowed in error


NOT_UTF8 = os.fsdecode(b"\xff\xfea key of random bytes")
"""What Python makes of such an environment variable."""


@pytest.mark.parametrize(
    "option", ["secret", "secret_fallbacks", "validate_key_fallbacks", "url"]
)
def test_a_text_that_cannot_be_encoded_is_an_error(option):
    given = {"type": "ext:redis", "url": "redis://a", option: NOT_UTF8}
    found = errors(**{f"session__{name}": given[name] for name in given})

    assert any(
        error.startswith(f"session.{option} is ") and "UTF-8" in error
        for error in found
    )


def test_the_name_of_a_folder_may_be_in_another_encoding():
    assert errors(session__data_dir=f"/srv/{NOT_UTF8}") == []


def test_a_backend_does_not_change_what_a_session_option_means():
    """Redis has a timeout, too, for caches."""
    error, missing = errors(session__type="ext:redis", session__timeout="0")

    assert "without the line, sessions do not time out" in error
    assert "needs session.url" in missing


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("cache.expire", "soon"),
        ("cache.key_length", "long"),
        ("cache.enabled", "perhaps"),
        ("cache.short.expire", "soon"),
    ],
)
def test_a_wrong_value_of_a_cache_is_an_error_too(setting, text):
    [error] = read_configuration(
        {"cache.regions": "short", setting: text}
    ).errors

    assert error.startswith(f"{setting} is {text!r}; it must be ")


def test_a_wrong_value_is_an_error_only():
    assert warnings(session__timeout="10 # ten") == []


def test_an_error_ends_with_what_is_allowed():
    assert errors(cache__expire="soon") == [
        "cache.expire is 'soon'; it must be a whole number of seconds."
    ]


@pytest.mark.parametrize(
    ("section", "starts"),
    [
        (
            {"session.type": "file", "session.timeout": "1h"},
            ["session.timeout is '1h'", "session.type is 'file', which needs"],
        ),
        (
            {"session.timeout": "1h", "session.samesite": "None"},
            ["session.timeout is '1h'", "session.samesite is 'None'"],
        ),
        (
            {"session.timeout": "1h", "session.encrypt_key": KEY},
            ["session.timeout is '1h'", "session.encrypt_key (hidden) works"],
        ),
        (
            {"session.cookie_path": "x", "session.key": "__Secure-id"},
            ["session.cookie_path is 'x'", "session.key is '__Secure-id'"],
        ),
        (
            {"cache.type": "file", "cache.expire": "1h"},
            ["cache.expire is '1h'", "cache.type is 'file', which needs"],
        ),
        (
            {
                "cache.regions": "a",
                "cache.a.type": "file",
                "cache.a.expire": "1h",
            },
            ["cache.a.expire is '1h'", "cache.a.type is 'file', which needs"],
        ),
    ],
)
def test_a_wrong_value_hides_no_other_mistake(section, starts):
    found = read_configuration(section).errors

    assert len(found) == len(starts)
    for error, start in zip(found, starts, strict=True):
        assert error.startswith(start)


@pytest.mark.parametrize(
    "settings",
    [
        {"type": "file", "data_dir": ""},
        {"type": "ext:redis", "url": ""},
        {"type": "cookie", "validate_key": ""},
        {"crypto_type": "rot13"},
        {"samesite": "None", "secure": "perhaps"},
        {"timeout": "1h", "sweep_interval": "600"},
        {"timeout": "60", "save_accessed_time": "perhaps"},
        {"secret": "", "secret_fallbacks": KEY},
    ],
)
def test_a_wrong_value_is_one_mistake(settings):
    """No check makes something of the default in its place."""
    found = read_configuration(
        {f"session.{option}": value for option, value in settings.items()}
    )

    [error] = found.errors
    assert "; it must be " in error
    assert not any("expires" in warning for warning in found.warnings)


def test_a_region_may_correct_what_is_wrong_for_all_caches():
    section = {
        "cache.type": "file",
        "cache.data_dir": "",
        "cache.regions": "a, b",
        "cache.a.type": "dbm",
        "cache.b.type": "dbm",
        "cache.b.data_dir": FOLDER,
    }

    [error] = read_configuration(section).errors

    assert error.startswith("cache.data_dir is ''")


@pytest.mark.parametrize(
    "setting",
    [
        f"{prefix}.{option}"
        for prefix, refused in [
            ("session", REFUSED_SESSION_OPTIONS),
            ("cache", REFUSED_CACHE_OPTIONS),
            ("cache.a", REFUSED_CACHE_OPTIONS),
        ]
        for option in refused | python_options()
    ],
)
def test_what_only_python_can_set_is_refused(setting):
    [error] = read_configuration({"cache.regions": "a", setting: "x"}).errors

    assert error.startswith(f"{setting} cannot be set here: ")
    assert error.endswith("Remove the line.")


# Keys that nobody reads


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("sesion.timeout", "session.timeout"),
        ("session_timeout", "session.timeout"),
        ("cach.expire", "cache.expire"),
        ("cache-regions", "cache.regions"),
    ],
)
def test_a_key_under_neither_prefix_is_a_warning_with_a_proposal(key, meant):
    [warning] = read_configuration({key: "60"}).warnings

    assert warning == (
        f"{key} in the beaker section is ignored: settings begin with "
        f"cache., session. or metrics. Did you mean {meant}?"
    )


def test_a_blank_where_the_dot_belongs_is_a_warning_and_starts():
    configuration = read_configuration(
        {"session": "type file", "session.data_dir": FOLDER}
    )

    assert configuration.errors == []
    [warning] = configuration.warnings
    assert warning.startswith("session type in the beaker section is ignored")
    assert warning.endswith("Did you mean session.type?")
    assert configuration.session["data_dir"] == FOLDER


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        (
            {"session.timout": "60"},
            "session.timout is an option that neither Beaker nor the backend "
            "knows; it has no effect. Did you mean session.timeout?",
        ),
        (
            {"session.colour": "red"},
            "session.colour is an option that neither Beaker nor the backend "
            "knows; it has no effect.",
        ),
        (
            {"cache.long.colour": "red"},
            "cache.long.colour is an option that neither Beaker nor the "
            "backend knows; it has no effect.",
        ),
        (
            {"cache.expires": "60"},
            "cache.expires is an option that neither Beaker nor the backend "
            "knows; it has no effect. Did you mean cache.expire?",
        ),
        (
            {"cache.region": "a"},
            "cache.region is an option that neither Beaker nor the backend "
            "knows; it has no effect. Did you mean cache.regions?",
        ),
        (
            {"cache.regions": "a", "cache.a.expires": "60"},
            "cache.a.expires is an option that neither Beaker nor the "
            "backend knows; it has no effect. Did you mean cache.a.expire?",
        ),
    ],
)
def test_an_unknown_option_is_a_warning_with_a_proposal(settings, warned):
    configuration = read_configuration(settings)

    assert configuration.errors == []
    assert configuration.warnings == [warned]


@pytest.mark.parametrize(
    "option",
    sorted(
        {"auto", "lock_dir", "log_file", "webtest_varname"}
        | {*signature(Session).parameters} - {"namespace_args"}
        | {*signature(CookieSession).parameters} - {"kwargs"}
    ),
)
def test_every_session_option_of_beaker_is_known_or_refused(option):
    assert_known(f"session.{option}")


@pytest.mark.parametrize("prefix", ["cache", "cache.a"])
@pytest.mark.parametrize(
    "option",
    [
        "type",
        "data_dir",
        "lock_dir",
        "expire",
        "enabled",
        "key_length",
        "log_file",
        "expiretime",
        "starttime",
    ],
)
def test_every_cache_option_of_beaker_is_known_or_refused(prefix, option):
    assert_known(f"{prefix}.{option}")


def assert_known(setting):
    found = read_configuration({"cache.regions": "a", setting: "1"})
    said = found.warnings + found.errors

    assert not [message for message in said if "neither Beaker" in message]


def test_the_option_of_an_unknown_region_is_a_warning():
    [warning] = read_configuration(
        {"cache.regions": "short", "cache.long.expire": "60"}
    ).warnings

    assert warning.startswith("cache.long.expire is an option that neither")
    assert warning.endswith("Is long missing in cache.regions?")


def test_an_unknown_option_is_passed_on():
    configuration = read_configuration({"session.colour": "red"})

    assert configuration.session["colour"] == "red"


def test_an_option_of_another_backend_is_a_warning():
    [warning] = warnings(session__type="memory", session__url="redis://x")

    assert warning.startswith("session.url is an option that neither")


# Values that look wrong


@pytest.mark.parametrize(
    ("text", "meaning"),
    [("0", "the year 2038. Write off"), ("1", "is closed. Write on")],
)
def test_an_expiry_that_beaker_takes_for_a_boolean_is_a_warning(text, meaning):
    [warning] = warnings(session__cookie_expires=text)

    assert warning.startswith(f"session.cookie_expires is {text!r}")
    assert meaning in warning


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("/srv/data # here", "no comments after a value"),
        ('"/srv/data"', "keeps quotes"),
        ("'/srv/data'", "keeps quotes"),
        ("= /srv/data", "no = before a value"),
    ],
)
def test_what_zope_conf_takes_literally_is_a_warning(text, remark):
    [warning] = warnings(session__data_dir=text)

    assert warning.startswith(f"session.data_dir is {text!r}")
    assert remark in warning


@pytest.mark.parametrize(
    "text", ['"short, long"', "short, long # both", "= short, long"]
)
def test_what_zope_conf_takes_literally_in_the_regions_is_a_warning(text):
    [warning] = read_configuration({"cache.regions": text}).warnings

    assert warning.startswith(f"cache.regions is {text!r}. (zope.conf ")


def test_a_single_quote_is_a_value_like_any_other():
    assert warnings(session__data_dir="'srv") == []


@pytest.mark.parametrize("option", ["secret", "validate_key", "encrypt_key"])
def test_a_short_key_is_a_warning_without_the_key(option):
    settings = {"session.validate_key": KEY, f"session.{option}": "hush"}
    [warning] = read_configuration(settings).warnings

    assert warning.startswith(f"session.{option} has 4 characters")
    assert "hush" not in warning


def test_a_key_of_16_characters_is_long_enough():
    assert warnings(session__secret=KEY[:16]) == []
    assert len(warnings(session__secret=KEY[:15])) == 1


def test_a_key_in_quotes_is_a_warning_without_the_key():
    [warning] = warnings(session__secret=f'"{KEY}"')

    assert "keeps quotes" in warning
    assert KEY not in warning


# Cache regions


def test_regions_are_named_in_a_list():
    configured = cache({"cache.regions": "short, long ,"})["cache_regions"]

    assert list(configured) == ["short", "long"]


def test_a_region_that_is_named_twice_keeps_its_options():
    configured = cache({"cache.regions": "a, a", "cache.a.expire": "60"})

    assert configured["cache_regions"]["a"]["expire"] == 60


@pytest.mark.parametrize("settings", [{}, {"cache.a.expire": "60"}])
def test_regions_that_differ_in_their_case_only_are_an_error(settings):
    """ZConfig makes keys lower case: cache.a.expire may be that of A."""
    [error] = read_configuration(
        {"cache.regions": "A, b, a", **settings}
    ).errors

    assert error.startswith("cache.regions is 'A, b, a': ")
    assert error.endswith("Rename one.")


@pytest.mark.parametrize(
    "regions", ["news, news.teasers", "news.teasers, news"]
)
def test_the_name_of_a_region_may_begin_with_that_of_another(regions):
    found = read_configuration(
        {
            "cache.regions": regions,
            "cache.news.expire": "60",
            "cache.news.teasers.expire": "70",
        }
    )

    assert found.warnings == []
    assert found.regions["news"]["expire"] == 60
    assert found.regions["news.teasers"]["expire"] == 70


@pytest.mark.parametrize(
    ("setting", "remedies"),
    [
        ("cache.news.teasers.expire", ["Is news.teasers missing in cache."]),
        ("session.news.timeout", []),
    ],
)
def test_what_is_missing_in_the_regions_is_told(setting, remedies):
    [warning] = read_configuration(
        {"cache.regions": "news", setting: "60"}
    ).warnings

    assert all(remedy in warning for remedy in remedies)
    assert "session.regions" not in warning


def test_a_region_overrides_options():
    configured = cache(
        {
            "cache.expire": "60",
            "cache.regions": "short, long",
            "cache.long.expire": "3600",
        }
    )

    assert configured["expire"] == 60
    assert configured["cache_regions"]["short"]["expire"] == 60
    assert configured["cache_regions"]["long"]["expire"] == 3600


def test_the_options_of_a_region_are_not_those_of_the_cache():
    configured = cache({"cache.regions": "long", "cache.long.expire": "60"})

    assert configured["expire"] is None
    assert "long.expire" not in configured


def test_a_region_is_found_whatever_the_case_of_its_name():
    # ZConfig makes keys lower case, and leaves values as they are.
    configured = cache({"cache.regions": "Short", "cache.short.expire": "60"})

    assert configured["cache_regions"]["Short"]["expire"] == 60


def test_a_region_inherits_the_backends_options(redis_library):
    url = "redis://localhost/0"
    configured = cache(
        {"cache.type": "ext:redis", "cache.url": url, "cache.regions": "a"}
    )

    assert configured["cache_regions"]["a"]["type"] == "ext:redis"
    assert configured["cache_regions"]["a"]["url"] == url


def test_the_cache_may_hold_what_only_a_region_uses(redis_library):
    configuration = read_configuration(
        {
            "cache.url": "redis://localhost/0",
            "cache.regions": "a",
            "cache.a.type": "ext:redis",
        }
    )

    assert configuration.errors == configuration.warnings == []
    region = configuration.cache["cache_regions"]["a"]
    assert region["url"] == "redis://localhost/0"


@pytest.fixture
def redis_library():
    pytest.importorskip("redis")


def test_a_region_that_sets_a_backend_needs_what_it_needs():
    [error] = read_configuration(
        {"cache.regions": "a", "cache.a.type": "file"}
    ).errors

    assert error == (
        "cache.a.type is 'file', which needs cache.a.data_dir. Set it."
    )


def test_a_lack_of_the_cache_is_reported_once_for_all_regions():
    [error] = read_configuration(
        {"cache.type": "file", "cache.regions": "a, b"}
    ).errors

    assert error.startswith("cache.type is 'file'")


def test_a_cache_cannot_be_kept_in_a_cookie():
    [error] = errors(cache__type="cookie")

    assert error.startswith("cache.type is 'cookie': only a session can be")
    assert "Use one of dbm, ext:database" in error


def test_caches_are_found_by_what_their_settings_begin_with():
    found = read_configuration(
        {"cache.regions": "a", "cache.expire": "5", "cache.a.expire": "60"}
    )

    assert found.caches.keys() == {"cache", "cache.a"}
    assert found.regions.keys() == {"a"}
    assert found.caches["cache"]["expire"] == 5
    assert found.caches["cache.a"] == found.regions["a"]
    assert found.regions["a"]["expire"] == 60
    assert "cache_regions" not in found.caches["cache"]


def test_without_a_section_there_are_no_caches():
    found = read_configuration(None)

    assert (found.caches, found.regions) == ({}, {})


# Sweeps


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        (
            {"type": "ext:memcached", "url": "127.0.0.1:11211"},
            "cannot list its sessions. Remove session.sweep_interval",
        ),
        ({"type": "memory", "timeout": None}, "Set session.timeout"),
    ],
)
def test_a_sweep_that_would_find_nothing_is_a_warning(settings, remedy):
    settings = {"timeout": "60", "sweep_interval": "600"} | settings
    [warning] = warnings(
        **{
            f"session__{name}": value
            for name, value in settings.items()
            if value
        }
    )

    assert warning.startswith("session.sweep_interval is 600, but")
    assert remedy in warning


@pytest.mark.parametrize("timeout", ["timeout", "absolute_timeout"])
def test_a_sweep_of_sessions_that_expire_is_no_warning(timeout):
    assert (
        warnings(
            session__sweep_interval="600", **{f"session__{timeout}": "60"}
        )
        == []
    )


@pytest.mark.parametrize("line", ["secret=sesame", "sesame", "sesame street"])
def test_what_may_be_a_secret_on_a_line_without_a_dot_is_not_shown(line):
    found = read_configuration({"session": line})

    assert "sesame" not in "".join(found.warnings)
    assert found.warnings


def test_what_may_be_a_secret_that_was_continued_is_not_shown():
    former = f"a{token_hex(16)}"
    [warning] = read_configuration({former: ""}).warnings

    assert former not in warning
    assert "on one line" in warning


# The secret of caches


def secrets_of(**settings):
    """Return the secrets of the caches without a region, and of one."""
    found = read_configuration(
        {
            "cache.regions": "short",
            **{
                name.replace("__", "."): text
                for name, text in settings.items()
            },
        }
    )
    return found.cache["secret"], found.regions["short"]["secret"]


def test_caches_have_the_secret_of_the_sessions():
    found = secrets_of(session__secret="of sessions")

    assert found == ("of sessions", "of sessions")


def test_caches_and_regions_may_have_secrets_of_their_own():
    assert secrets_of(
        session__secret="of sessions", cache__secret="of caches"
    ) == ("of caches", "of caches")
    assert secrets_of(
        session__secret="of sessions", cache__short__secret="of short"
    ) == ("of sessions", "of short")


@pytest.mark.parametrize("option", ["lock_timeout", "socket_timeout"])
def test_a_cache_waits_for_a_second_or_more(option):
    found = read_configuration({f"cache.{option}": "0"})

    assert found.errors == [
        f"cache.{option} is '0'; it must be a whole number of seconds, "
        "1 or more."
    ]


def test_a_cache_has_room_for_a_value():
    assert read_configuration({"cache.max_entries": "0"}).errors == [
        "cache.max_entries is '0'; it must be a whole number, 1 or more."
    ]


@pytest.mark.parametrize(
    "token", ["short", "a" * 40, "replace-this-by-a-token-of-your-own"]
)
def test_a_token_that_might_be_guessed_is_an_error(token):
    [error] = read_configuration({"metrics.token": token}).errors

    assert error.startswith("metrics.token (hidden) has ")
    assert "at random" in error
    assert token not in error


def test_a_token_that_no_header_can_hold_is_an_error():
    token = "a token of many words and ümlauts"
    [error] = read_configuration({"metrics.token": token}).errors

    assert "letters, digits" in error
    assert token not in error


def test_a_token_begins_no_sessions():
    """Else there would be sessions where there are only caches."""
    configuration = read_configuration({"metrics.token": "kP3vR8xQ2mZ7tY5w"})

    assert configuration.metrics == {"token": "kP3vR8xQ2mZ7tY5w"}
    assert configuration.session is None
    assert configuration.errors == []
    assert configuration.warnings == []


# Options that code has set


def test_python_values_are_not_converted():
    options = {
        "type": "file",
        "data_dir": "sessions",
        "timeout": 900,
        "secret": token_hex(),
        "secret_fallbacks": [token_hex()],
        "cookie_expires": timedelta(days=1),
        "session_class": Session,
        "login_policy": "off",
    }

    found = check_session_options(options)

    assert found.errors + found.warnings == []
    assert found.session.items() >= options.items()


@pytest.mark.parametrize(
    "options",
    [
        {"cookie_expires": datetime(2038, 1, 1)},
        {"data_serializer": PickleSerializer()},
        {"lock_dir": Path("locks")},
        {"samesite": None},
        {"secret": None, "secret_fallbacks": None},
        {"secret": KEY, "secret_fallbacks": PersistentList([KEY])},
        {"secret": KEY, "secret_fallbacks": {KEY}},
        {"secure": True, "auto": 1, "transactional": None},
        {"timeout": 0, "sweep_interval": False},
        {"timeout": 1800.0, "resolution_seconds": 0.5},
    ],
    ids=", ".join,
)
def test_python_values_that_text_has_not_are_accepted(options):
    assert check_session_options(options).errors == []


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("timeout", timedelta(1), "datetime.timedelta(days=1); it must be"),
        ("timeout", -5, "-5; it must be a whole number of seconds"),
        ("timeout", float("nan"), "nan; it must be a whole number"),
        ("timeout", True, "True; it must be a whole number of seconds"),
        ("auto", [1], "[1]; it must be on or off"),
        ("cookie_expires", 60, "60; it must be datetime.timedelta(seconds=60"),
        ("cookie_expires", 0, "0; it must be False"),
        ("crypto_type", None, "None; it must be default, "),
        ("data_serializer", 5, "5; it must be pickle or json"),
        ("lock_dir", 5, "5; it must be text"),
        ("secret", 123456789, "(hidden); it must be text"),
        ("secret_fallbacks", [1], "(hidden); it must be text"),
        ("encrypt_key", b"a key", "(hidden); it must be text"),
        ("type", ["file"], "['file']; it must be text"),
        ("webtest_varname", 5, "5; it must be text"),
        ("namespace_class", "a.Store", "'a.Store'; it must be a Python class"),
        ("session_class", 5, "5; it must be a Python class"),
    ],
)
def test_a_python_value_of_a_wrong_type_is_an_error(option, value, error):
    found = check_session_options({option: value})

    assert f"session.{option} is {error}" in "\n".join(found.errors)


def test_an_option_that_is_not_known_is_a_warning():
    found = check_session_options({"time_out": 900})

    assert "Did you mean session.timeout?" in found.warnings[0]


def test_an_option_whose_name_is_no_text_is_an_error():
    options = {"timeout": 900, 900: "timeout"}

    found = make_report({"session.timeout": "900"}, options, local=True)

    assert "900 is no name of a session option" in found.errors[0]
