"""What browsers accept as a cookie."""

import pytest

from collective.beaker.settings.cookie_rules import cookie_errors
from collective.beaker.settings.options import with_defaults
from collective.beaker.settings.section import read_configuration


def session_errors(**options):
    return read_configuration(
        {f"session.{option}": value for option, value in options.items()}
    ).errors


def errors_of(**options):
    """Return the errors of options that code has set."""
    return list(cookie_errors(with_defaults(options)))


def test_samesite_none_needs_secure():
    [error] = session_errors(samesite="None")

    assert error.startswith("session.samesite is 'None'")
    assert session_errors(samesite="None", secure="on") == []


@pytest.mark.parametrize("secure", ["off", "auto"])
@pytest.mark.parametrize(
    "options",
    [{"samesite": "none"}, {"key": "__Host-id"}, {"key": "__Secure-id"}],
)
def test_what_needs_secure_needs_it_always(options, secure):
    [error] = session_errors(secure=secure, **options)

    assert (
        "which browsers accept only together with session.secure on" in error
    )


@pytest.mark.parametrize("key", ["__Host-id", "__hOST-id"])
@pytest.mark.parametrize(
    "options",
    [
        {"secure": "on", "cookie_domain": "example.org"},
        {"secure": "on", "cookie_path": "/shop"},
        {"secure": "auto"},
    ],
)
def test_a_name_with_host_before_it_is_for_one_host(key, options):
    """Browsers do not mind the case of the prefix."""
    assert session_errors(key=key, **options) == [
        f"session.key is {key!r}, which browsers accept only together with "
        "session.secure on, with session.cookie_path / and without "
        "session.cookie_domain. Set these, or choose another name."
    ]
    assert session_errors(key=key, secure="on", cookie_path="/") == []


@pytest.mark.parametrize("key", ["__Secure-id", "__secure-id"])
def test_a_name_with_secure_before_it_is_for_https(key):
    anywhere = {"cookie_domain": "example.org", "cookie_path": "/shop"}

    assert session_errors(key=key, secure="on", **anywhere) == []
    assert session_errors(key=key) == [
        f"session.key is {key!r}, which browsers accept only together with "
        "session.secure on. Set that, or choose another name."
    ]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cookie_domain": "", "samesite": None},
        {"cookie_domain": "example.org", "samesite": "strict"},
        {"key": "__Host-id", "secure": True, "samesite": "None"},
    ],
)
def test_what_code_sets_may_be_right(options):
    assert errors_of(**options) == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("key", "id; Domain=example.org"),
        ("key", ""),
        ("key", None),
        ("cookie_domain", "example.org\r\nSet-Cookie: a=b"),
        ("cookie_domain", b"example.org"),
        ("cookie_path", "/; Secure"),
        ("cookie_path", ""),
        ("cookie_path", None),
        ("samesite", "Lax; Secure"),
        ("samesite", True),
    ],
)
def test_what_code_sets_is_checked_as_well(option, value):
    [error] = errors_of(**{option: value})

    assert error.startswith(f"session.{option} is {value!r}; it must be ")


def test_code_that_sets_secure_must_mean_it():
    [error] = errors_of(samesite="none", secure="auto")

    assert error.startswith("session.samesite is 'None'")
