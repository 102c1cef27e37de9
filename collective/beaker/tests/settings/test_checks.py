"""What must hold between options."""

import sys
from random import Random

import pytest
from beaker import crypto
from beaker.crypto import noencryption

from collective.beaker.settings import backends
from collective.beaker.settings import checks
from collective.beaker.settings.section import read_configuration
from collective.beaker.tests.helpers.aes_ctr import AES_CTR


KEY = "a key of many characters"


def read(**options):
    return read_configuration(
        {f"session.{option}": value for option, value in options.items()}
    )


def session_errors(**options):
    return read(**options).errors


@pytest.mark.parametrize("backend", ["file", "dbm"])
def test_files_need_a_folder(backend):
    assert session_errors(type=backend) == [
        f"session.type is {backend!r}, which needs session.data_dir. Set it."
    ]


@pytest.mark.parametrize("backend", ["file", "dbm"])
def test_files_may_have_two_folders_instead(backend):
    folders = {f"{backend}_dir": "/srv/data", "lock_dir": "/srv/lock"}

    assert session_errors(type=backend, **folders) == []


def test_data_dir_alone_means_files():
    assert session_errors(data_dir="/srv/data", file_dir="/srv/files") == []


def test_a_cookie_session_needs_a_key():
    assert session_errors(type="cookie") == [
        "session.type is 'cookie', which needs session.validate_key. Set it."
    ]
    assert session_errors(type="cookie", validate_key=KEY) == []


def test_a_timeout_needs_access_times():
    [error] = session_errors(timeout="60", save_accessed_time="off")

    assert error.startswith("session.timeout is 60, which needs the access")
    assert session_errors(save_accessed_time="off") == []


def test_zope_sessions_need_a_login_policy():
    [error] = session_errors(zope_session="on", login_policy="off")

    assert error.startswith("session.zope_session is on and session.login_p")
    assert session_errors(zope_session="on", login_policy="rotate") == []


def test_encryption_needs_both_keys():
    [error] = session_errors(encrypt_key=KEY)

    assert error.startswith("session.encrypt_key (hidden)")
    assert KEY not in error
    assert session_errors(encrypt_key=KEY, validate_key=KEY) == []


@pytest.mark.parametrize(
    "option", ["validate_key", "encrypt_key", "validate_key_fallbacks"]
)
def test_keys_of_encryption_are_ascii(option):
    keys = {"validate_key": KEY, "encrypt_key": KEY, option: "ä" * 16}
    [error] = session_errors(**keys)

    assert error.startswith(f"session.{option} (hidden) has characters")


@pytest.mark.parametrize("keys", [["\x80"], (KEY, "ä")])
def test_former_keys_that_code_lists_are_ascii_too(keys):
    [error] = session_errors(validate_key=KEY, validate_key_fallbacks=keys)

    assert error.startswith("session.validate_key_fallbacks (hidden)")


def test_a_secret_may_hold_any_character():
    secrets = {"secret": "ä" * 16, "secret_fallbacks": "ö" * 16}

    assert session_errors(**secrets) == []


@pytest.mark.parametrize("current", ["secret", "validate_key"])
def test_former_keys_need_a_present_one(current):
    fallbacks = {f"{current}_fallbacks": KEY}

    assert session_errors(**fallbacks) == [
        f"session.{current}_fallbacks (hidden) holds former keys, which needs "
        f"session.{current}, the current key. Set it."
    ]
    assert session_errors(**fallbacks, **{current: KEY}) == []


@pytest.mark.parametrize("current", ["secret", "validate_key"])
def test_a_short_former_key_is_a_warning_without_the_key(current):
    """Blanks in a key make many of it, each of which is a key."""
    settings = {current: KEY, f"{current}_fallbacks": f"{'x' * 16} hush {KEY}"}
    [warning] = read(**settings).warnings

    assert warning == (
        f"session.{current}_fallbacks has a key of 1 characters, which might "
        "be guessed. Remove it soon. (Blanks separate keys.)"
    )


@pytest.mark.parametrize("option", ["secret", "validate_key"])
def test_the_key_of_an_example_is_a_warning(option):
    [warning] = read(**{option: "replace-this-by-a-long-random-text"}).warnings

    assert warning.startswith(f"session.{option} is that of an example")


def test_a_former_key_of_16_characters_is_long_enough():
    settings = {"secret": KEY, "secret_fallbacks": "0123456789abcdef"}

    assert read(**settings).warnings == []


@pytest.mark.parametrize("option", ["secret", "validate_key"])
@pytest.mark.parametrize(
    "key", ["a" * 40, "ab" * 20, "abcdefgh" * 5, "0" * 39 + "1"]
)
def test_a_long_key_that_is_as_easily_guessed_is_a_warning(option, key):
    [warning] = read(**{option: key}).warnings

    assert warning.startswith(f"session.{option} has 40 characters, but few")
    assert key not in warning


def test_a_former_key_that_is_easily_guessed_is_a_warning():
    settings = {
        "secret": KEY,
        "secret_fallbacks": f"{KEY[2:5] * 10} {'y' * 40}",
    }
    [warning] = read(**settings).warnings

    assert warning.startswith("session.secret_fallbacks has a key of few diff")


def test_random_keys_are_no_warning():
    digits = Random(11)
    keys = [f"{digits.getrandbits(64):016x}" for _ in range(500)]

    assert [read(secret=key).warnings for key in keys] == [[]] * 500


# Sessions in cookies

COOKIE = {"type": "cookie", "validate_key": KEY, "data_serializer": "json"}


@pytest.mark.parametrize("option", ["timeout", "absolute_timeout"])
def test_sessions_in_cookies_are_warned_about(option):
    assert read(**COOKIE, **{option: "60"}).warnings == [
        "session.type is 'cookie': a copied cookie works again after logout, "
        "until it times out; parallel requests overwrite each other. "
        "Choose another type if that matters."
    ]


def test_a_copied_cookie_that_never_ends_is_warned_about():
    [warning] = read(**COOKIE).warnings

    assert "for ever, since there is no session.timeout;" in warning


def test_sessions_in_cookies_without_cookies_are_warned_about():
    [_, warning] = read(**COOKIE, timeout="60", use_cookies="off").warnings

    assert warning == (
        "session.type is 'cookie', so that session.use_cookies off has no "
        "effect. Remove one of these lines."
    )


def test_pickles_in_cookies_are_warned_about():
    _, warning = read(**COOKIE | {"data_serializer": "pickle"}).warnings

    assert warning == (
        "session.data_serializer is 'pickle', in cookies: anyone who knows "
        "session.validate_key can run code in Zope. "
        "Set session.data_serializer json."
    )


def test_pickles_elsewhere_are_not_warned_about():
    assert read(type="memory", data_serializer="pickle").warnings == []


# Encryption


@pytest.fixture
def unauthenticated(monkeypatch):
    """The encryption of Beaker with PyCryptodome, by another library."""
    monkeypatch.setitem(crypto.CRYPTO_MODULES, "pycryptodome", AES_CTR)


def test_encryption_that_notices_no_change_is_refused(unauthenticated):
    keys = {"encrypt_key": KEY, "validate_key": KEY}
    [error] = session_errors(**keys, crypto_type="pycryptodome")

    assert "crypto_type 'pycryptodome'" in error
    assert "set session.crypto_type cryptography" in error
    assert KEY not in error
    assert session_errors(**keys, crypto_type="cryptography") == []


def test_encryption_in_a_signed_cookie_may_notice_no_change(unauthenticated):
    keys = {"encrypt_key": KEY, "validate_key": KEY}

    assert (
        session_errors(type="cookie", **keys, crypto_type="pycryptodome") == []
    )


@pytest.fixture
def without_aes(monkeypatch):
    """As if no library with AES were installed."""
    monkeypatch.setitem(crypto.CRYPTO_MODULES, "default", noencryption)


def test_encryption_needs_a_library(without_aes):
    [error] = session_errors(encrypt_key=KEY, validate_key=KEY)

    assert error.startswith("session.encrypt_key (hidden) needs an AES")
    assert error.endswith("Install collective.beaker[crypto].")


def test_without_encryption_no_library_is_needed(without_aes):
    assert session_errors(validate_key=KEY) == []


def test_a_crypto_type_needs_its_library(monkeypatch):
    monkeypatch.delitem(crypto.CRYPTO_MODULES, "pycryptodome", raising=False)
    monkeypatch.setitem(sys.modules, "Crypto", None)
    monkeypatch.setitem(sys.modules, "beaker.crypto.pycrypto", None)
    [error] = session_errors(crypto_type="pycryptodome")

    assert error.startswith("session.crypto_type is 'pycryptodome', but it")


# One place for sessions and caches


@pytest.mark.parametrize(
    ("session", "cache", "place"),
    [
        (
            {"type": "ext:redis", "url": "redis://localhost"},
            {"type": "ext:redis", "url": "redis://u:pw@127.0.0.1:6379/0"},
            "Redis database",
        ),
        (
            {"type": "ext:redis", "url": "unix:///run/redis?db=1"},
            {"type": "ext:redis", "url": "unix:///run/redis?db=1"},
            "Redis database",
        ),
        (
            {"type": "ext:redis", "url": "redis+sentinel://a:1,b:2/sky"},
            {"type": "ext:redis", "url": "redis+sentinel://u:p@B:2/sky/0"},
            "Redis database",
        ),
        (
            {"type": "ext:memcached", "url": "a:11211;b:11211"},
            {"type": "ext:memcached", "url": "c;B"},
            "memcached",
        ),
    ],
)
@pytest.mark.parametrize("region", ["", "a."])
def test_sessions_and_caches_in_one_place_are_a_warning(
    session, cache, place, region
):
    settings = {f"session.{name}": value for name, value in session.items()}
    settings |= {f"cache.{region}{name}": cache[name] for name in cache}
    settings["session.secret"] = KEY
    [warning] = read_configuration(settings | {"cache.regions": "a"}).warnings

    prefix = "cache.a" if region else "cache"
    assert warning.startswith(f"session.type and {prefix}.type are ")
    assert f"what they store in one {place}:" in warning
    assert "pw" not in warning


@pytest.mark.parametrize(
    ("session", "cache"),
    [
        (
            {"type": "ext:redis", "url": "redis://localhost/0"},
            {"type": "ext:redis", "url": "redis://localhost/1"},
        ),
        (
            {"type": "ext:memcached", "url": "a:11211"},
            {"type": "ext:memcached", "url": "a:11212"},
        ),
        (
            {"type": "ext:database", "url": "sqlite:////srv/a.db"},
            {
                "type": "ext:database",
                "url": "sqlite:////srv/a.db",
                "table_name": "beaker_cache",
            },
        ),
        ({"data_dir": "/srv/a"}, {"type": "file", "data_dir": "/srv/a"}),
        ({"data_dir": "/srv/a"}, {"type": "file", "data_dir": "/srv/b"}),
        ({"data_dir": "/srv/a"}, {"type": "dbm", "data_dir": "/srv/a"}),
    ],
)
def test_places_of_their_own_are_no_warning(session, cache):
    settings = {f"session.{name}": value for name, value in session.items()}
    settings |= {f"cache.{name}": cache[name] for name in cache}
    settings["session.secret"] = KEY

    assert read_configuration(settings).warnings == []


# Caches


def cached(**options):
    settings = {"cache.type": "ext:redis", "cache.url": "redis://elsewhere"}
    for option, value in options.items():
        settings[option.replace("__", ".")] = value
    return read_configuration(settings)


def test_unsigned_values_on_another_machine_are_warned_about():
    [warning] = cached(cache__url="redis://user:password@elsewhere/1").warnings

    assert warning == (
        "cache keeps values at redis://***@elsewhere/1, and they are not "
        "signed: anyone who can write there can run code in Zope. "
        "Set cache.secret."
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"cache__secret": KEY},
        {"session__secret": KEY},
        {"cache__url": "redis://localhost"},
        {"cache__url": "redis://127.0.0.1:6379/0"},
        {"cache__url": "unix:///run/redis.sock"},
        {"cache__type": "ext:memcached", "cache__url": "localhost:11211"},
        {"cache__type": "ext:database", "cache__url": "sqlite:////srv/a.db"},
    ],
)
def test_values_that_nobody_else_can_forge_are_not_warned_about(settings):
    found = cached(**settings)

    assert found.warnings == found.errors == []


def test_a_region_on_another_machine_is_warned_about_once():
    found = cached(
        cache__regions="same, other",
        cache__other__type="ext:memcached",
        cache__other__url="localhost;elsewhere:11211",
    )

    assert [warning.split(" keeps")[0] for warning in found.warnings] == [
        "cache",
        "cache.other",
    ]


@pytest.mark.parametrize("others", [{}, {"session__secret": KEY[::-1]}])
def test_former_secrets_of_caches_need_a_current_one(others):
    """That of the sessions would replace them."""
    [error] = cached(cache__secret_fallbacks=KEY, **others).errors

    assert error.startswith("cache.secret_fallbacks (hidden) holds former")


def test_a_short_secret_of_caches_is_a_warning_without_the_secret():
    [warning] = cached(cache__secret="abc").warnings

    assert warning.startswith("cache.secret has 3 characters and might be")
    assert "abc" not in warning


def test_a_secret_that_caches_have_from_sessions_is_warned_about_once():
    assert len(cached(session__secret="abc").warnings) == 1


# plone.memoize


@pytest.fixture(params=[True])
def memoize_installed(request, monkeypatch):
    """As if plone.memoize were installed, or not."""
    monkeypatch.setattr(checks, "is_memoize_installed", lambda: request.param)


MEMOIZED = {
    "cache.memoize": "long",
    "cache.regions": "long, short",
    "cache.type": "file",
    "cache.data_dir": "/srv/data",
    "cache.long.expire": "3600",
}


def test_a_region_for_plone_is_no_mistake(memoize_installed):
    configuration = read_configuration(MEMOIZED)

    assert configuration.memoize == "long"
    assert configuration.errors == []
    assert configuration.warnings == []
    assert "memoize" not in configuration.cache
    assert "memoize" not in configuration.regions["long"]


@pytest.mark.parametrize(
    ("regions", "there"), [("short, a", "short, a"), ("", "there is none")]
)
def test_a_region_for_plone_has_to_be_there(regions, there):
    settings = {"cache.memoize": "long"}
    if regions:
        settings["cache.regions"] = regions

    assert read_configuration(settings).errors == [
        f"cache.memoize is 'long', which is no cache region ({there}). "
        "Name one of cache.regions, or add it there."
    ]


def test_a_backend_of_another_package_keeps_nothing_of_plone(monkeypatch):
    monkeypatch.setitem(
        backends.BACKENDS, "foreign", backends.Backend("foreign")
    )
    settings = MEMOIZED | {"cache.long.type": "foreign"}

    [error] = read_configuration(settings).errors

    assert error.startswith("cache.memoize is 'long', and the values of this")
    assert error.endswith("Choose another cache.long.type, or another region.")


@pytest.mark.parametrize("memoize_installed", [False], indirect=True)
def test_without_plone_a_region_for_it_is_a_warning(memoize_installed):
    assert read_configuration(MEMOIZED).warnings == [
        "cache.memoize is 'long', and has no effect, as plone.memoize is not "
        "installed. It belongs to Plone. Remove the line."
    ]


def test_values_of_plone_in_the_memory_of_each_zope_are_a_warning(
    memoize_installed,
):
    settings = MEMOIZED | {"cache.long.type": "memory"}

    [warning] = read_configuration(settings).warnings

    assert warning.endswith("Choose another cache.long.type.")


def test_values_of_plone_that_never_expire_are_a_warning(memoize_installed):
    settings = {**MEMOIZED}
    del settings["cache.long.expire"]

    [warning] = read_configuration(settings).warnings

    assert warning.endswith("Set cache.long.expire.")
