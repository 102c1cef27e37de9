"""The session cookie and its companions in the headers, in a real Zope."""

import logging
from itertools import cycle
from itertools import pairwise

import pytest
from zExceptions import Redirect
from ZPublisher.interfaces import IPubBeforeCommit

from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import ignore_session
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.views import read_id
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.visitors import all_session_cookies
from collective.beaker.tests.helpers.visitors import session_cookie
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import published
from collective.beaker.tests.helpers.zope import subscribed


def words(response, name):
    """Return the elements of a header that is a list."""
    value = response.headers.get(name, "")
    return [word.strip() for word in value.split(",") if word.strip()]


# Signatures


def tampered(cookie):
    return ("0" if cookie[0] != "0" else "1") + cookie[1:]


def test_a_wrong_signature_is_logged_with_the_visitors_address(
    either_store, visitor, other_visitor, caplog
):
    cookie = session_cookie(visitor.visit(count)).coded_value
    caplog.set_level(logging.DEBUG, "collective.beaker")
    response = other_visitor.visit(
        count,
        headers={"Cookie": f"{COOKIE}={tampered(cookie)}"},
        extra_environ={"REMOTE_ADDR": "192.0.2.7"},
    )

    assert response.text == "1"
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "wrong signature" in record.getMessage()
    assert "192.0.2.7" in record.getMessage()
    assert cookie[-32:] not in record.getMessage()


def test_a_wrong_signature_is_no_error_with_invalidate_corrupt_off(
    either_store, config, visitor, other_visitor
):
    config["invalidate_corrupt"] = False
    cookie = session_cookie(visitor.visit(count)).coded_value
    header = {"Cookie": f"{COOKIE}={tampered(cookie)}"}

    assert other_visitor.visit(count, headers=header).text == "1"


@pytest.fixture
def rotate(config):
    """Return a function that replaces a key and keeps the former one."""

    def rotate(option, fallbacks):
        former = config[option]
        config[option] = f"the key after {len(former)} others"
        config[fallbacks] = [former]

    return rotate


def test_a_secret_can_be_rotated(one_store, config, visitor, rotate):
    visitor.visit(count)
    rotate("secret", "secret_fallbacks")
    response = visitor.visit(count)

    assert response.text == "2"
    # From now on it is signed with the new one.
    assert session_cookie(response) is not None
    config["secret_fallbacks"] = []
    assert session_cookie(visitor.visit(count)) is None
    assert visitor.visit(read_count).text == "3"


FORMER = "the key that all began with"
NEW = "the key that all end with"
STEPS = [
    (FORMER, []),
    (FORMER, [NEW]),
    (NEW, [FORMER]),
    (NEW, []),
]


@pytest.mark.parametrize("step", list(pairwise(STEPS)))
def test_several_processes_can_be_given_a_new_secret_one_after_the_other(
    config, visitor, step
):
    # Of two processes, one is a step ahead.
    numbers = range(1, 7)
    for number, (secret, fallbacks) in zip(numbers, cycle(step)):
        config.update(secret=secret, secret_fallbacks=fallbacks)
        assert visitor.visit(count).text == str(number)


def test_reading_signs_with_the_new_secret(one_store, visitor, rotate):
    visitor.visit(count)
    rotate("secret", "secret_fallbacks")

    assert session_cookie(visitor.visit(read_count)) is not None
    assert session_cookie(visitor.visit(read_count)) is None


def test_a_former_secret_that_was_removed_opens_nothing(
    one_store, config, visitor, rotate
):
    visitor.visit(count)
    rotate("secret", "secret_fallbacks")
    config["secret_fallbacks"] = []

    assert visitor.visit(read_count).text == "None"


def test_former_keys_that_code_gives_as_text_are_keys_not_letters(
    one_store, config, visitor, other_visitor
):
    config["secret"] = "d"
    cookie = session_cookie(visitor.visit(count)).coded_value
    config.update(secret="a new secret", secret_fallbacks="the old secret")
    header = {"Cookie": f"{COOKIE}={cookie}"}

    assert other_visitor.visit(read_count, headers=header).text == "None"


@pytest.mark.parametrize("options", [{}, {"encrypt_key": "another key"}])
def test_the_key_of_a_cookie_session_can_be_rotated(
    config, visitor, rotate, options
):
    config.update(type="cookie", validate_key="the first key", **options)
    visitor.visit(count)
    rotate("validate_key", "validate_key_fallbacks")

    assert visitor.visit(count).text == "2"
    config["validate_key_fallbacks"] = []
    assert visitor.visit(count).text == "3"


def test_reading_signs_a_cookie_session_with_the_new_key(
    config, visitor, rotate
):
    config.update(type="cookie", validate_key="the first key")
    visitor.visit(count)
    rotate("validate_key", "validate_key_fallbacks")
    visitor.visit(read_count)
    config["validate_key_fallbacks"] = []

    assert visitor.visit(read_count).text == "1"


@pytest.mark.parametrize("serializer", ["pickle", "json"])
def test_encrypted_sessions_outlive_a_rotation(
    one_store, config, visitor, rotate, serializer
):
    config.update(
        encrypt_key="to encrypt",
        validate_key="the first key",
        data_serializer=serializer,
    )
    visitor.visit(count)
    rotate("validate_key", "validate_key_fallbacks")

    assert visitor.visit(count).text == "2"
    config["validate_key_fallbacks"] = []
    assert visitor.visit(count).text == "3"


# Caches


@pytest.mark.parametrize("view", [read_count, count])
def test_a_response_that_depends_on_the_session_says_so(
    either_store, visitor, view
):
    visitor.visit(count)

    assert words(visitor.visit(view), "Vary") == ["Cookie"]


def test_a_response_that_does_not_use_the_session_varies_not(visitor):
    response = visitor.visit(ignore_session)

    assert "Vary" not in response.headers
    assert "Cache-Control" not in response.headers


def test_reading_leaves_the_cache_control_alone(one_store, visitor):
    def cacheable(request):
        request.response.setHeader("Cache-Control", "public, max-age=60")
        return read_count(request)

    visitor.visit(count)
    response = visitor.visit(cacheable)

    assert words(response, "Cache-Control") == ["public", "max-age=60"]
    assert words(response, "Vary") == ["Cookie"]


def set_public(request):
    request.response.setHeader("Cache-Control", "public, s-maxage=60")
    request.response.setHeader("Vary", "Accept-Encoding")


@pytest.mark.parametrize("when", ["before", "after", "before commit"])
def test_a_response_with_the_cookie_is_private(either_store, visitor, when):
    """When headers for caches come, as those of plone.app.caching."""

    def page(request):
        if when == "before":
            set_public(request)
        count(request)
        if when == "after":
            set_public(request)

    def mutate(event):
        if when == "before commit":
            set_public(event.request)

    with subscribed(mutate, IPubBeforeCommit):
        response = visitor.visit(page)

    assert words(response, "Cache-Control") == ["private"]
    assert words(response, "Vary") == ["Accept-Encoding", "Cookie"]


@pytest.mark.parametrize("own", ["no-store", "private, max-age=5"])
def test_what_the_application_forbids_caches_itself_stays(visitor, own):
    def page(request):
        request.response.setHeader("Cache-Control", own)
        count(request)

    assert visitor.visit(page).headers["Cache-Control"] == own


def test_a_cache_of_a_network_must_not_store_the_cookie_either(visitor):
    def page(request):
        for name in ("CDN-Cache-Control", "Surrogate-Control"):
            request.response.setHeader(name, "max-age=60, public")
        count(request)

    first, second = visitor.visit(page), visitor.visit(page)

    assert words(first, "CDN-Cache-Control") == ["private", "max-age=60"]
    assert "no-store" in words(first, "Surrogate-Control")
    for name in ("CDN-Cache-Control", "Surrogate-Control"):
        assert words(second, name) == ["max-age=60", "public"]


def test_a_redirect_with_the_cookie_is_private(visitor):
    def redirect(request):
        count(request)
        error = Redirect("/elsewhere")
        error.setHeader("Cache-Control", "public, max-age=60")
        raise error

    response = visitor.visit(redirect, status=302)

    assert words(response, "Cache-Control") == ["private", "max-age=60"]
    assert words(response, "Vary") == ["Cookie"]


# A cookie that holds the session itself


@pytest.fixture
def cookie_sessions(config):
    config.update(type="cookie", validate_key="a key for the tests")


def holding(size):
    def view(request):
        session = ISession(request)
        session["text"] = "x" * size
        session.save()

    return view


def test_a_cookie_stays_within_the_limit(cookie_sessions, visitor):
    sizes = []
    for size in range(2600, 3000, 20):
        if visitor.fails(holding(size)):
            break
        response = visitor.visit(holding(size))
        sent = response.headers["Set-Cookie"].partition(";")[0]
        sizes.append(len(sent))

    assert 3800 < max(sizes) <= 4096
    assert size < 2980


def test_what_is_too_large_for_a_cookie_is_an_error_and_changes_nothing(
    cookie_sessions, visitor, caplog
):
    visitor.visit(count)
    before = visitor.cookies[COOKIE]

    assert visitor.fails(holding(3100))
    assert visitor.cookies[COOKIE] == before
    assert visitor.visit(read_count).text == "1"


def test_the_error_names_the_limit_the_size_and_the_remedy(
    cookie_sessions, visitor
):
    from collective.beaker.interfaces import RecordTooLarge
    from collective.beaker.tests.helpers.sessions import open_cookie

    session = open_cookie(validate_key="a key for the tests")
    session["text"] = "x" * 3100

    with pytest.raises(
        RecordTooLarge, match=r"takes 4\d\d\d bytes of the 4096"
    ):
        session.save()


# Attributes


@pytest.mark.parametrize(
    ("setting", "scheme", "sent"),
    [
        ("auto", "https", True),
        ("auto", "http", False),
        (True, "http", True),
        (False, "https", False),
    ],
)
def test_the_cookie_is_secure_where_it_should_be(
    either_store, config, visitor, setting, scheme, sent
):
    config["secure"] = setting
    environ = {"wsgi.url_scheme": scheme}
    cookie = session_cookie(visitor.visit(count, extra_environ=environ))

    assert bool(cookie["secure"]) is sent


@pytest.mark.parametrize(
    ("scheme", "sent"), [("https", True), ("http", False)]
)
def test_virtual_hosting_knows_the_visitors_url(visitor, scheme, sent):
    path = f"/VirtualHostBase/{scheme}/shop.example:443/VirtualHostRoot"
    with published(count):
        response = visitor.browser.get(f"{path}/@@{VIEW_NAME}")

    assert bool(session_cookie(response)["secure"]) is sent


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("path", "/; Domain=evil.example"),
        ("path", "/\r\nSet-Cookie: a=b"),
        ("path", "shop"),
        ("domain", "shop.example; Path=/"),
        ("domain", "shop example"),
    ],
)
def test_what_could_break_out_of_the_header_is_refused(
    either_store, visitor, attribute, value
):
    def restrict(request):
        session = ISession(request)
        with pytest.raises(ValueError, match=attribute):
            setattr(session, attribute, value)
        return count(request)

    response = visitor.visit(restrict)

    assert response.text == "1"
    assert "evil" not in str(response.headers)


@pytest.mark.parametrize("form", ["/{};", "/{}\n", "{}"])
def test_what_is_said_of_a_wrong_path_shows_no_id(visitor, form):
    def restrict(request):
        session = ISession(request)
        session.save()
        with pytest.raises(ValueError, match="path is") as caught:
            session.path = form.format(session.id)
        return str(session.id not in str(caught.value))

    assert visitor.visit(restrict).text == "True"


@pytest.mark.parametrize(
    "options",
    [
        {"cookie_path": "/; Domain=evil.example"},
        {"cookie_domain": "evil.example; Path=/"},
        {"key": "__Host-session"},
        {"key": "__Host-session", "secure": True, "cookie_path": "/shop"},
        {"key": "__Secure-session", "secure": False},
        {"key": "a b"},
        {"samesite": "None"},
    ],
)
def test_options_that_were_changed_are_checked_when_the_cookie_is_sent(
    either_store, config, visitor, options
):
    config.update(options)

    assert visitor.fails(count)
    assert dict(visitor.cookies) == {}


def test_a_host_cookie_with_the_right_settings_is_sent(
    either_store, config, visitor
):
    config.update(key="__Host-session", secure=True)

    cookie = session_cookie(visitor.visit(count), "__Host-session")
    assert cookie["secure"]
    assert cookie["path"] == "/"
    assert not cookie["domain"]


def test_the_scope_that_code_has_set_holds_for_the_deleting_cookie(
    either_store, visitor
):
    def restrict(request):
        session = ISession(request)
        session.path = "/shop"
        return count(request)

    def delete(request):
        ISession(request).delete()

    cookie = session_cookie(visitor.visit(restrict)).coded_value
    deleting, _ = all_session_cookies(
        visitor.visit(delete, headers={"Cookie": f"{COOKIE}={cookie}"})
    )

    assert deleting["path"] == "/shop"
    assert deleting["expires"]
    assert deleting["httponly"]
    assert deleting["samesite"] == "Lax"


def test_a_new_scope_is_not_sent_without_save(either_store, visitor):
    def restrict(request):
        ISession(request).path = "/shop"

    assert session_cookie(visitor.visit(restrict)) is None
    visitor.visit(count)
    assert session_cookie(visitor.visit(restrict)) is None


@pytest.mark.parametrize("end", ["delete", "invalidate", "regenerate_id"])
def test_a_new_visitor_who_ends_nothing_gets_no_cookie(
    either_store, visitor, end
):
    def end_session(request):
        getattr(ISession(request), end)()

    assert session_cookie(visitor.visit(end_session)) is None


@pytest.mark.parametrize("first", ["delete", "invalidate", "regenerate_id"])
@pytest.mark.parametrize("second", ["delete", "invalidate", "regenerate_id"])
def test_whatever_happens_one_cookie_is_sent(
    either_store, visitor, first, second
):
    def use(request):
        session = ISession(request)
        getattr(session, first)()
        count(request)
        getattr(session, second)()

    visitor.visit(count)

    # session_cookie() looks for a second one.
    assert session_cookie(visitor.visit(use)) is not None


def test_after_invalidate_the_next_request_has_the_same_id(
    either_store, visitor
):
    def invalidate(request):
        ISession(request).invalidate()
        return ISession(request).id

    visitor.visit(count)

    assert visitor.visit(invalidate).text == visitor.visit(read_id).text


def test_a_new_scope_of_a_known_session_is_sent_once(either_store, visitor):
    def restrict(request):
        session = ISession(request)
        session.path = "/@@beaker-test-view"
        return count(request)

    visitor.visit(count)
    cookie, _ = all_session_cookies(visitor.visit(restrict))

    assert cookie["path"] == "/@@beaker-test-view"
