import pytest

from collective.beaker.options import redacted


@pytest.mark.parametrize("option", ["secret", "validate_key", "encrypt_key"])
def test_keys_are_hidden(option):
    assert redacted(option, "sesame") == "(hidden)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("redis://host:1/0", "redis://host:1/0"),
        ("redis://user:sesame@host:1/0", "redis://***host:1/0"),
        ("redis://:se/sa@me@host:1/0", "redis://***host:1/0"),
        (
            "redis://host/0?password=sesame&db=1",
            "redis://host/0?password=***&db=1",
        ),
        ("redis://:sesame@a:1,redis://:sesame@b:2", "redis://***b:2"),
        (60, "60"),
    ],
)
def test_credentials_are_taken_out_of_addresses(value, shown):
    assert redacted("url", value) == shown
