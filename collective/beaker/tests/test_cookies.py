from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie

import pytest
from zExceptions import Redirect
from ZPublisher.HTTPRequest import parse_cookie
from ZPublisher.HTTPResponse import HTTPResponse

from collective.beaker.cookies import cookie_header
from collective.beaker.cookies import copy_cookie
from collective.beaker.cookies import forget_copied_cookie
from collective.beaker.cookies import set_cookie


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
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
    cookies = parse_cookie(sent)

    assert cookie_header(cookies, sent, "id") == expected


def test_zopes_own_reading_of_a_cookie_goes_first():
    assert cookie_header({"id": "abc"}, "id=def", "id") == "id=abc"


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


@pytest.fixture
def response():
    """A response that sets our cookie."""
    response = HTTPResponse()
    set_cookie(response, cookie())
    yield response
    forget_copied_cookie()


def answer(error):
    """Return the headers with which an exception answers."""
    headers = []
    error({}, lambda status, sent: headers.extend(sent))
    return headers


def test_a_cookie_is_copied_to_an_http_exception(response):
    error = Redirect("/elsewhere")
    copy_cookie(response, "id", error)

    assert ("Set-Cookie", "id=abc") in answer(error)
    assert ("Location", "/elsewhere") in answer(error)


def test_a_cookie_stands_beside_the_one_of_the_exception(response):
    error = Redirect("/")
    error.setHeader("Set-Cookie", "language=de")
    copy_cookie(response, "id", error)

    assert {("Set-Cookie", "language=de"), ("Set-Cookie", "id=abc")} <= set(
        answer(error)
    )


def test_a_cookie_is_forgotten_before_the_next_request(response):
    error = Redirect("/")
    copy_cookie(response, "id", error)
    forget_copied_cookie()

    assert "Set-Cookie" not in dict(answer(error))


def test_another_thread_does_not_answer_with_the_cookie(response):
    error = Redirect("/")
    copy_cookie(response, "id", error)
    with ThreadPoolExecutor(1) as pool:
        headers = pool.submit(answer, error).result()

    assert "Set-Cookie" not in dict(headers)


@pytest.mark.parametrize("error", [None, ValueError()])
def test_other_exceptions_carry_no_headers(response, error):
    copy_cookie(response, "id", error)

    assert not hasattr(error, "headers")


def test_an_exception_gets_no_cookie_that_was_not_set():
    error = Redirect("/")
    copy_cookie(HTTPResponse(), "id", error)

    assert "Set-Cookie" not in dict(answer(error))
