"""What a response tells of the session."""

from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from threading import Barrier
from urllib.request import parse_http_list

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zExceptions import NotFound
from zExceptions import Redirect
from ZPublisher.HTTPResponse import HTTPResponse
from ZPublisher.interfaces import IPubFailure

from collective.beaker.session.answers import answer_by
from collective.beaker.session.answers import copy_answer
from collective.beaker.session.answers import depend_on_cookie
from collective.beaker.session.answers import forget_answer
from collective.beaker.session.answers import keep_private
from collective.beaker.session.answers import send_cookie
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import published
from collective.beaker.tests.helpers.zope import subscribed


ID = "0123456789abcdef0123456789abcdef"


# Setting the cookie


def cookie(value="abc", name="id", **attributes):
    """Return a cookie as Beaker makes it."""
    cookies = SimpleCookie()
    cookies[name] = value
    cookies[name].update({"path": "/"} | attributes)
    return cookies[name]


SENT = "id=abc; Path=/"


def sent_headers(response, name):
    """Return what a response sends under one name."""
    return [
        value
        for key, value in response.listHeaders()
        if key.lower() == name.lower()
    ]


def set_cookies(response):
    return sent_headers(response, "Set-Cookie")


def test_a_cookie_is_set_with_its_attributes():
    response = HTTPResponse()
    send_cookie(response, cookie(httponly=True, samesite="Lax"), False)

    [header] = set_cookies(response)
    assert header.split("; ")[0] == "id=abc"
    assert set(header.split("; ")[1:]) == {
        "Path=/",
        "HttpOnly",
        "SameSite=Lax",
    }


@pytest.mark.parametrize("configured", [True, ""])
@pytest.mark.parametrize(
    ("secure", "expected"), [(True, f"{SENT}; Secure"), (False, SENT)]
)
def test_the_caller_decides_whether_the_cookie_is_secure(
    configured, secure, expected
):
    response = HTTPResponse()
    send_cookie(response, cookie(secure=configured), secure)

    assert set_cookies(response) == [expected]


def test_a_cookie_replaces_an_earlier_one_with_all_its_attributes():
    response = HTTPResponse()
    send_cookie(response, cookie("old", domain="localhost"), True)
    send_cookie(response, cookie(), False)

    assert set_cookies(response) == [SENT]


@pytest.mark.parametrize("name", ["Set-Cookie", "set-cookie"])
@pytest.mark.parametrize(
    "add",
    [
        lambda response, name, value: response.addHeader(name, value),
        lambda response, name, value: response.setHeader(name, value),
        lambda response, name, value: response.setHeader(name, value, 1),
    ],
    ids=["added", "set", "literal"],
)
def test_a_cookie_replaces_one_that_was_set_as_a_header(name, add):
    response = HTTPResponse()
    add(response, name, "id=old; Path=/")
    send_cookie(response, cookie(), False)

    assert set_cookies(response) == [SENT]


def test_the_cookies_of_others_stay():
    response = HTTPResponse()
    response.setCookie("other", "1")
    response.setHeader("Set-Cookie", "id2=2")
    response.addHeader("Set-Cookie", "language=de")
    response.addHeader("X-Id", "id=3")
    send_cookie(response, cookie(), False)

    assert set(set_cookies(response)) == {
        "other=1",
        "id2=2",
        "language=de",
        SENT,
    }
    assert sent_headers(response, "X-Id") == ["id=3"]


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("domain", "example.com; Path=/"),
        ("domain", "example.com\r\nX-Evil: 1"),
        ("domain", "example.com, id=def"),
        ("path", "/; Domain=example.com"),
        ("path", "/%; Domain=example.com"),
        ("path", "/\r\nX-Evil: 1"),
        ("path", "/shop\n"),
        ("path", ""),
        ("samesite", "Lax; Domain=example.com"),
    ],
)
def test_what_breaks_out_of_the_header_is_refused(attribute, value):
    response = HTTPResponse()
    send_cookie(response, cookie("old"), False)
    with pytest.raises(ValueError, match="it must be") as caught:
        send_cookie(response, cookie(**{attribute: value}), False)

    assert attribute in str(caught.value)
    assert repr(value) in str(caught.value)
    assert set_cookies(response) == ["id=old; Path=/"]


def test_a_name_that_others_misread_is_refused():
    with pytest.raises(ValueError, match=r"session\.key.*'a:b'.*it must be"):
        send_cookie(HTTPResponse(), cookie(name="a:b"), False)


def test_no_message_shows_an_id():
    with pytest.raises(ValueError, match=r"'/\*\*\*;'") as caught:
        send_cookie(HTTPResponse(), cookie(ID, path=f"/{ID};"), False)

    assert ID not in str(caught.value)


PREFIXED = [
    ("__Secure-id", {}, False),
    ("__Host-id", {}, False),
    ("__Host-id", {"path": "/shop"}, True),
    ("__Host-id", {"domain": "example.com"}, True),
]


@pytest.mark.parametrize(("name", "attributes", "secure"), PREFIXED)
def test_a_prefix_whose_rules_do_not_hold_is_refused(name, attributes, secure):
    with pytest.raises(ValueError, match=name):
        send_cookie(HTTPResponse(), cookie(name=name, **attributes), secure)


@pytest.mark.parametrize("name", ["__Secure-id", "__Host-id"])
def test_a_prefix_whose_rules_hold_is_sent(name):
    response = HTTPResponse()
    send_cookie(response, cookie(name=name), True)

    assert set_cookies(response) == [f"{name}=abc; Path=/; Secure"]


# Caches


ADD = pytest.mark.parametrize(
    "add",
    [
        lambda response, name, value: response.setHeader(name, value),
        lambda response, name, value: response.setHeader(name, value, 1),
        lambda response, name, value: response.addHeader(name, value),
        lambda response, name, value: response.addHeader(name.lower(), value),
    ],
    ids=["set", "literal", "added", "added in lower case"],
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Accept-Encoding", "Accept-Encoding, Cookie"),
        ("Cookie", "Cookie"),
        ("Accept, cookie", "Accept, cookie"),
        ("X-Cookie", "X-Cookie, Cookie"),
        ("*", "*"),
        ("Accept, *", "Accept, *"),
        ("", "Cookie"),
    ],
)
@ADD
def test_a_response_depends_on_the_cookie_once(add, before, after):
    response = HTTPResponse()
    add(response, "Vary", before)
    depend_on_cookie(response)

    assert sent_headers(response, "Vary") == [after]


def test_a_response_without_vary_gets_it():
    response = HTTPResponse()
    depend_on_cookie(response)
    depend_on_cookie(response)

    assert sent_headers(response, "Vary") == ["Cookie"]


def test_nothing_that_varies_is_lost():
    response = HTTPResponse()
    response.setHeader("Vary", "Accept")
    response.addHeader("Vary", "Accept-Encoding")
    depend_on_cookie(response)

    assert sent_headers(response, "Vary") == [
        "Accept, Accept-Encoding, Cookie"
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("public", "private"),
        ("Public, S-MaxAge=60", "private"),
        ("max-age=0, s-maxage=60", "private, max-age=0"),
        (
            'max-age=0, x="public, a", public',
            'private, max-age=0, x="public, a"',
        ),
        ('x="\\", public, ", public', 'private, x="\\", public, "'),
        ("no-store", "no-store"),
        ("No-Store, public", "No-Store, public"),
        ("max-age=0, Private", "max-age=0, Private"),
        ("private, public, s-maxage=9", "private"),
        ('private="x, y"', "private"),
        ('private = "x, y", max-age=1', "private, max-age=1"),
        ('x="private, no-store"', 'private, x="private, no-store"'),
        ('max-age=1, x="y, public', 'private, max-age=1, x="y'),
        (" , max-age=1,", "private, max-age=1"),
        ("", "private"),
    ],
)
@ADD
def test_no_shared_cache_may_store_what_is_private(add, before, after):
    response = HTTPResponse()
    add(response, "Cache-Control", before)
    keep_private(response)

    assert sent_headers(response, "Cache-Control") == [after]


def test_a_response_without_cache_control_gets_it():
    response = HTTPResponse()
    keep_private(response)

    assert sent_headers(response, "Cache-Control") == ["private"]


def test_a_response_with_two_headers_is_private():
    response = HTTPResponse()
    response.setHeader("Cache-Control", "max-age=60")
    response.addHeader("Cache-Control", "public")
    keep_private(response)

    assert sent_headers(response, "Cache-Control") == ["private, max-age=60"]


def test_other_headers_stay():
    response = HTTPResponse()
    response.setHeader("X-Vary", "*")
    response.addHeader("X-Cache-Control", "public")
    depend_on_cookie(response)
    keep_private(response)

    assert sent_headers(response, "X-Vary") == ["*"]
    assert sent_headers(response, "X-Cache-Control") == ["public"]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("CDN-Cache-Control", "public, max-age=60", "private, max-age=60"),
        ("Cloudflare-CDN-Cache-Control", "s-maxage=60", "private"),
        ("CDN-Cache-Control", "no-store", "no-store"),
        (
            "Surrogate-Control",
            'max-age=60, content="ESI/1.0"',
            'private, no-store, max-age=60, content="ESI/1.0"',
        ),
        ("Surrogate-Control", "no-store", "no-store"),
    ],
)
@ADD
def test_no_header_for_certain_caches_allows_more(add, name, before, after):
    response = HTTPResponse()
    add(response, name, before)
    keep_private(response)

    assert sent_headers(response, name) == [after]
    assert sent_headers(response, "Cache-Control") == ["private"]


def test_a_hostile_header_is_read_in_one_pass():
    """Else this would take hours."""
    response = HTTPResponse()
    before = '"\\' * 500_000
    response.setHeader("Cache-Control", before)
    keep_private(response)

    assert sent_headers(response, "Cache-Control") == [f"private, {before}"]


def directive_name(directive):
    return directive.partition("=")[0].strip().lower()


def quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'="{escaped}"'


SHARING = {"public", "s-maxage"}


def others(directives):
    """Return the directives that have no part in what is private."""
    replaced = SHARING | {"private", ""}
    return [
        directive
        for directive in directives
        if directive_name(directive) not in replaced
    ]


NAMES = st.sampled_from(
    [
        "public",
        "private",
        "no-store",
        "s-maxage",
        "max-age",
        "must-revalidate",
        "no-cache",
        "x",
    ]
).flatmap(lambda name: st.sampled_from([name, name.upper(), name.title()]))


QUOTED = st.text('ab,= "\\').map(quoted)


ARGUMENTS = st.sampled_from(["", "=60", '="public, private"']) | QUOTED


DIRECTIVES = st.lists(
    st.builds("".join, st.tuples(NAMES, ARGUMENTS)), unique_by=directive_name
)


@given(directives=DIRECTIVES, comma=st.sampled_from([",", ", ", " ,, "]))
def test_private_holds_whatever_the_application_set(directives, comma):
    before = comma.join(directives)
    response = HTTPResponse()
    response.setHeader("Cache-Control", before)
    keep_private(response)
    [after] = sent_headers(response, "Cache-Control")

    if "no-store" in map(str.lower, directives):
        assert after == before
        return
    kept = parse_http_list(after)
    names = [directive_name(directive) for directive in kept]
    assert names.count("private") == 1
    assert "private" in map(str.lower, kept)
    assert SHARING.isdisjoint(names)
    assert others(kept) == others(parse_http_list(before))


def test_zope_sends_each_of_the_headers_once(visitor):
    def view(request):
        response = request.response
        response.setHeader("Vary", "Accept", literal=1)
        response.addHeader("vary", "Accept-Encoding")
        response.setHeader("Cache-Control", "max-age=60")
        response.addHeader("cache-control", "s-maxage=600")
        response.addHeader("Set-Cookie", "id=old")
        send_cookie(response, cookie(), False)
        depend_on_cookie(response)
        keep_private(response)

    headers = visitor.visit(view).headers

    assert headers.getall("Vary") == ["Accept, Accept-Encoding, Cookie"]
    assert headers.getall("Cache-Control") == ["private, max-age=60"]
    assert headers.getall("Set-Cookie") == [SENT]


# Exceptions that answer


@pytest.fixture(autouse=True)
def forget():
    yield
    forget_answer()


def answer_as(response, error):
    """Have an exception answer as a response does."""
    answer_by(error)
    copy_answer(response, "id")


@pytest.fixture
def response():
    """A response that sets our cookie."""
    response = HTTPResponse()
    send_cookie(response, cookie(), False)
    return response


def answer(error):
    """Return the headers with which an exception answers, by lower name."""
    headers = {}

    def start_response(status, sent):
        for key, value in sent:
            headers.setdefault(key.lower(), []).append(value)

    error({}, start_response)
    return headers


def test_an_exception_answers_with_cookie_and_caching_headers(response):
    error = Redirect("/elsewhere")
    answer_as(response, error)

    assert answer(error) == {
        "content-type": ["text/html;charset=utf-8"],
        "location": ["/elsewhere"],
        "vary": ["Cookie"],
        "cache-control": ["private"],
        "set-cookie": [SENT],
    }


def test_an_exceptions_own_headers_are_extended(response):
    error = Redirect("/")
    error.setHeader("Vary", "Accept")
    error.setHeader("Cache-Control", "public, max-age=60")
    answer_as(response, error)

    assert answer(error)["vary"] == ["Accept, Cookie"]
    assert answer(error)["cache-control"] == ["private, max-age=60"]


def test_a_cookie_stands_beside_the_one_of_the_exception(response):
    error = Redirect("/")
    error.setHeader("Set-Cookie", "language=de")
    answer_as(response, error)

    assert answer(error)["set-cookie"] == ["language=de", SENT]


def test_a_cookie_replaces_that_of_the_exception(response):
    error = Redirect("/")
    error.setHeader("Set-Cookie", "id=old")
    answer_as(response, error)

    assert answer(error)["set-cookie"] == [SENT]


def test_without_a_cookie_an_answer_still_depends_on_it():
    error = Redirect("/")
    error.setHeader("Cache-Control", "public")
    answer_as(HTTPResponse(), error)

    assert answer(error)["vary"] == ["Cookie"]
    assert answer(error)["cache-control"] == ["public"]
    assert "set-cookie" not in answer(error)


def test_an_answer_is_forgotten_before_the_next_request(response):
    error = Redirect("/")
    untouched = answer(error)
    answer_as(response, error)
    forget_answer()

    assert answer(error) == untouched


def test_another_thread_answers_without_it(response):
    error = Redirect("/")
    untouched = answer(error)
    answer_as(response, error)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(answer, error).result() == untouched


def test_the_next_visitor_of_a_shared_exception_gets_nothing(response):
    error = Redirect("/")
    error.setHeader("Vary", "Accept")
    answer_as(response, error)
    answer(error)
    forget_answer()
    answer_as(HTTPResponse(), error)

    assert answer(error)["vary"] == ["Accept, Cookie"]
    assert answer(error).keys().isdisjoint({"set-cookie", "cache-control"})


@pytest.mark.parametrize("error", [None, ValueError()])
def test_other_exceptions_carry_no_headers(response, error):
    answer_as(response, error)

    assert not hasattr(error, "headers")


def test_in_zope_a_redirect_answers_with_each_header_once(visitor):
    def redirect(request):
        send_cookie(request.response, cookie(), False)
        error = Redirect("/elsewhere")
        error.setHeader("Cache-Control", "public")
        raise error

    def copy(event):
        response = event.request.response
        # An error page, as Plone has one for all, answers with these.
        depend_on_cookie(response)
        keep_private(response)
        answer_as(response, event.exc_info[1])

    with subscribed(copy, IPubFailure):
        headers = visitor.visit(redirect, status=302).headers

    assert headers.getall("Vary") == ["Cookie"]
    assert headers.getall("Cache-Control") == ["private"]
    assert headers.getall("Set-Cookie") == [SENT]


def test_each_of_two_visitors_who_meet_gets_an_answer_of_their_own(
    visitor, other_visitor
):
    error = NotFound("x")
    both_copied = Barrier(2, timeout=SECONDS)

    def fail(request):
        if value := request.form.get("value"):
            send_cookie(request.response, cookie(value), False)
        raise error

    def copy_and_meet(event):
        answer_as(event.request.response, event.exc_info[1])
        both_copied.wait()

    def visit(browser, query):
        return browser.get(f"/@@{VIEW_NAME}{query}", status=404).headers

    browsers = [visitor.browser, other_visitor.browser]
    with (
        published(fail),
        subscribed(copy_and_meet, IPubFailure),
        ThreadPoolExecutor(2) as pool,
    ):
        first, second = pool.map(visit, browsers, ["?value=1", "?value=2"])
        third, fourth = pool.map(visit, browsers, ["?value=3", ""])

    assert first.getall("Set-Cookie") == ["id=1; Path=/"]
    assert second.getall("Set-Cookie") == ["id=2; Path=/"]
    assert third.getall("Set-Cookie") == ["id=3; Path=/"]
    assert fourth.getall("Set-Cookie") == []
    assert fourth.getall("Cache-Control") == []
