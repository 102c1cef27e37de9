from inspect import signature

import pytest
from beaker.session import CookieSession
from beaker.session import Session

from collective.beaker.settings.options import OWN_OPTIONS
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.settings.options import SESSION_OPTIONS
from collective.beaker.settings.options import redacted


def test_every_session_option_has_a_default():
    assert SESSION_DEFAULTS.keys() == SESSION_OPTIONS.keys()


@pytest.mark.parametrize("beakers", [Session, CookieSession])
def test_our_own_options_are_unknown_to_beaker(beakers):
    assert SESSION_OPTIONS.keys() >= OWN_OPTIONS
    assert OWN_OPTIONS.isdisjoint(signature(beakers).parameters)


@pytest.mark.parametrize(
    "option",
    [
        "secret",
        "secret_fallbacks",
        "validate_key",
        "validate_key_fallbacks",
        "encrypt_key",
        "password",
        "ssl_password",
    ],
)
def test_keys_and_passwords_are_hidden(option):
    assert redacted(option, "sesame") == "(hidden)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("redis://host:1/0", "redis://host:1/0"),
        ("redis://user:sesame@host:1/0", "redis://***@host:1/0"),
        ("redis://:se/sa@me@host:1/0", "redis://***@host:1/0"),
        # A password may hold any character, so that nothing behind it shows.
        ("redis://host/0?password=sesame&db=1", "redis://host/0?password=***"),
        ("redis://host/0?token=sesame", "redis://host/0?token=***"),
        ("redis://host/0?pass=sesame", "redis://host/0?pass=***"),
        ("redis://host/0?db=1&auth=sesame", "redis://host/0?db=1&auth=***"),
        ("redis://host/0?credential=sesame", "redis://host/0?credential=***"),
        ("http://host/?Credentials=sesame", "http://host/?Credentials=***"),
        ("http://host/?passphrase=sesame", "http://host/?passphrase=***"),
        (
            "http://host/?client_secret=sesame",
            "http://host/?client_secret=***",
        ),
        ("http://host/?apikey=sesame", "http://host/?apikey=***"),
        ("http://host/?u=%3Fauth%3Dsesame", "http://host/?u=%3Fauth%3D***"),
        ("mongodb://h/?authSource=admin", "mongodb://h/?authSource=admin"),
        ("postgresql://auth:5432/pass", "postgresql://auth:5432/pass"),
        ("/srv/secret/pass/key", "/srv/secret/pass/key"),
        ("redis://:se\nsame@host:1/0", "redis://***@host:1/0"),
        ("user:sesame@host:11211", "***@host:11211"),
        (
            "mssql://h/?odbc_connect=PWD%3D{a;b}",
            "mssql://h/?odbc_connect=PWD%3D***",
        ),
        ("redis://:sesame@a:1,redis://:sesame@b:2", "redis://***@b:2"),
        (
            "redis+sentinel://u:sesame@a:1,b:2/sky/0?sentinel_password=sesame",
            "redis+sentinel://***@a:1,b:2/sky/0?sentinel_password=***",
        ),
        (60, "60"),
    ],
)
def test_credentials_are_taken_out_of_addresses(value, shown):
    assert redacted("url", value) == shown


def test_a_hostile_address_is_read_in_one_pass():
    """Else this would take hours."""
    address = "//" * 500_000

    assert redacted("url", address) == address
    assert redacted("url", f"{address}@host") == "//***@host"


@pytest.mark.parametrize(
    "option",
    [
        "secrett",
        "secret_key",
        "encrypt_keys",
        "validate-key",
        "auth",
        "pass",
        "ssl_passphrase",
    ],
)
def test_what_might_be_a_misspelt_key_is_hidden(option):
    assert redacted(option, "sesame") == "(hidden)"


@pytest.mark.parametrize("option", ["key", "key_length", "timeout"])
def test_what_is_no_secret_is_shown(option):
    assert redacted(option, "shown") == "shown"
