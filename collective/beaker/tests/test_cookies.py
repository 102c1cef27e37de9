from http.cookies import SimpleCookie
from io import BytesIO

import pytest
from zExceptions import Redirect
from ZPublisher.HTTPRequest import HTTPRequest
from ZPublisher.HTTPResponse import HTTPResponse

from collective.beaker.cookies import cookie_header
from collective.beaker.cookies import copy_cookie
from collective.beaker.cookies import set_cookie


def make_request(header):
    environ = {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}
    if header is not None:
        environ["HTTP_COOKIE"] = header
    return HTTPRequest(BytesIO(), environ, HTTPResponse())


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (None, ""),
        ("", ""),
        ("other=1", ""),
        ("id=", ""),
        ("id=abc", "id=abc"),
        ("other=1; id=abc", "id=abc"),
        ('id="abc"', "id=abc"),
        ("id=a%3Db", 'id="a=b"'),
        ("id=abc; id=def", "id=abc"),
        ("other; id=abc", "id=abc"),
        ("an other=1; id=abc", "id=abc"),
        ('"other"; id=abc', "id=abc"),
        ("an other=1; id=a%3Db", 'id="a=b"'),
        ("id=a b", ""),
        ("id=%00", ""),
        ("id=%C3%A9", ""),
    ],
)
def test_the_header_holds_our_cookie_only(sent, expected):
    assert cookie_header(make_request(sent), "id") == expected


def cookie(**attributes):
    cookies = SimpleCookie()
    cookies["id"] = "abc"
    cookies["id"].update(attributes)
    return cookies["id"]


def set_cookies(response):
    return [
        value for key, value in response.listHeaders() if key == "Set-Cookie"
    ]


def test_a_cookie_is_set_with_its_attributes():
    response = HTTPResponse()
    set_cookie(response, cookie(path="/", httponly=True, samesite="Lax"))

    [header] = set_cookies(response)
    assert header.split("; ")[0] == "id=abc"
    assert set(header.split("; ")[1:]) == {
        "Path=/",
        "HttpOnly",
        "SameSite=Lax",
    }


def test_a_cookie_replaces_an_earlier_one_with_all_its_attributes():
    response = HTTPResponse()
    set_cookie(response, cookie(domain="localhost"))
    set_cookie(response, cookie())

    assert set_cookies(response) == ["id=abc"]


def test_a_cookie_is_copied_to_an_http_exception():
    response = HTTPResponse()
    set_cookie(response, cookie())
    error = Redirect("/")
    copy_cookie(response, "id", error)

    assert error.headers["Set-Cookie"] == "id=abc"


def test_a_cookie_stands_beside_the_one_of_the_exception():
    response = HTTPResponse()
    set_cookie(response, cookie())
    error = Redirect("/")
    error.setHeader("Set-Cookie", "language=de")
    copy_cookie(response, "id", error)

    assert sorted(error.headers.values()) == ["/", "id=abc", "language=de"]


@pytest.mark.parametrize("error", [None, ValueError()])
def test_other_exceptions_carry_no_headers(error):
    response = HTTPResponse()
    set_cookie(response, cookie())
    copy_cookie(response, "id", error)

    assert not hasattr(error, "headers")


def test_an_exception_gets_no_cookie_that_was_not_set():
    error = Redirect("/")
    copy_cookie(HTTPResponse(), "id", error)

    assert "Set-Cookie" not in error.headers
