from contextlib import contextmanager

import pytest
from beaker.session import SignedCookie
from hypothesis import given
from hypothesis import strategies as st
from zope.component import getGlobalSiteManager
from zope.interface import implementer
from ZPublisher.HTTPRequest import parse_cookie
from ZPublisher.interfaces import ICookieValuePolicy

from collective.beaker.session.answers import send_cookie
from collective.beaker.session.cookies import MAX_COOKIE_SIZE
from collective.beaker.session.cookies import CookieMaker
from collective.beaker.session.cookies import cookie_header
from collective.beaker.session.cookies import cookie_size
from collective.beaker.session.cookies import presented_values


ID = "0123456789abcdef0123456789abcdef"


# From the request


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("", []),
        ("other=1", []),
        ("id=", []),
        ("id=abc", ["abc"]),
        ("other=1; id=abc", ["abc"]),
        ('id="abc"', ["abc"]),
        ("id=a%3Db", ["a=b"]),
        ("id=abc; id=def", ["abc", "def"]),
        ("id=abc; other=1; id=def; id=abc", ["abc", "def"]),
        ("id=; id=abc", ["abc"]),
        ('id=abc; an other=1; id="d%3De"', ["abc", "d=e"]),
        ("id=a b; id=abc", ["abc"]),
        ("valid=1; id=abc", ["abc"]),
        ("id=a; id=b; id=c; id=d; id=e; id=f", [*"abcde"]),
        ("other; id=abc", ["abc"]),
        ("an other=1; id=abc", ["abc"]),
        ('"other"; id=abc', ["abc"]),
        ("an other=1; id=a%3Db", ["a=b"]),
        ('an other=1; id="abc"', ["abc"]),
        ("id=a b", []),
        ("id=%00", []),
        ("id=%C3%A9", []),
        ("an other=1; id=%00", []),
    ],
)
def test_a_visitor_presents_the_values_of_our_cookies(sent, expected):
    assert presented_values(parse_cookie(sent), sent, "id") == expected


def test_zopes_own_reading_of_a_cookie_goes_first():
    assert presented_values({"id": "abc"}, "id=def", "id") == ["abc"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", ""), ("abc", "id=abc"), ("a=b", 'id="a=b"')],
)
def test_a_header_holds_the_cookie_for_beaker_to_read(value, expected):
    assert cookie_header("id", value) == expected


# Signatures


def signed(content, key):
    """Return a value as Beaker signs it."""
    return SignedCookie(key).value_encode(content)[1]


VISIBLE_ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126))
ANY_TEXT = st.text(st.characters(exclude_categories=[]))
# HMAC pads keys with NUL, so that two keys may be the same.
KEY = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
KEYS = st.lists(KEY, min_size=1, unique=True)


@given(content=VISIBLE_ASCII, keys=KEYS, data=st.data())
def test_the_key_that_signed_a_value_is_found(content, keys, data):
    key = data.draw(st.sampled_from(keys))
    value = signed(content, key)

    found, position = CookieMaker("id", keys).verify(value)
    assert (found, keys[position]) == (content, key)


def test_the_first_of_equal_keys_is_found():
    assert CookieMaker("id", ["a", "b", "b"]).verify(signed(ID, "b")) == (
        ID,
        1,
    )


@given(value=ANY_TEXT, keys=KEYS)
def test_what_nobody_signed_bears_no_signature(value, keys):
    assert CookieMaker("id", keys).verify(value) is None


@given(value=ANY_TEXT)
def test_a_signature_does_not_hold_for_another_value(value):
    signature = signed(ID, "key")[: -len(ID)]

    assert CookieMaker("id", ["key"]).verify(signature + value) is None


@pytest.mark.parametrize(
    "tamper",
    [
        lambda value: "",
        lambda value: value[1:],
        lambda value: value[:39],
        lambda value: value[:-1],
        lambda value: value.upper(),
        lambda value: "é" + value[1:],
        lambda value: value + "é",
        lambda value: value + "\udc80",
    ],
)
def test_a_tampered_value_bears_no_signature(tamper):
    value = signed(ID, "key")

    cookies = CookieMaker("id", ["key"])

    assert cookies.verify(value) == (ID, 0)
    assert cookies.verify(tamper(value)) is None


def test_without_the_key_a_signature_is_worth_nothing():
    assert CookieMaker("id", ["other"]).verify(signed(ID, "key")) is None


# Setting the cookie


@contextmanager
def cookie_value_policy(policy):
    components = getGlobalSiteManager()
    components.registerUtility(policy, ICookieValuePolicy)
    try:
        yield
    finally:
        components.unregisterUtility(policy, ICookieValuePolicy)


@implementer(ICookieValuePolicy)
class Plain:
    """Cookies without an encoding."""

    def dump(self, name, value):
        return value

    def load(self, name, value):
        return value


@pytest.mark.parametrize(
    ("value", "size"), [("", 3), ("abc", 6), ("a=b", 8), ("é", 9)]
)
def test_the_size_of_a_cookie_is_that_of_name_and_value_as_sent(value, size):
    assert cookie_size("id", value) == size


def test_the_size_of_a_cookie_follows_the_policy_of_the_site():
    with cookie_value_policy(Plain()):
        assert cookie_size("id", "a=b") == len("id=a=b")
        assert cookie_size("id", "é") == 5


@pytest.mark.parametrize("value", ["abc", "a+b/c==", "a b"])
def test_zope_sends_as_many_bytes_as_said(visitor, value):
    def view(request):
        request.response.setCookie("id", value)

    [header] = visitor.visit(view).headers.getall("Set-Cookie")

    assert len(header.encode()) == cookie_size("id", value)


def test_a_signed_value_comes_back_as_it_was_sent(visitor):
    cookies = SignedCookie("key")
    cookies["id"] = "a+b/c=="
    cookies["id"]["path"] = "/"

    def send(request):
        send_cookie(request.response, cookies["id"], False)

    def read(request):
        header = request.environ["HTTP_COOKIE"]
        return presented_values(request.cookies, header, "id")[0]

    visitor.visit(send)

    assert visitor.visit(read).text == signed("a+b/c==", "key")


def test_the_greatest_size_is_that_of_rfc_6265():
    assert MAX_COOKIE_SIZE == 4096
