"""Sessions as visitors see them: over HTTP, in a real Zope."""

import logging
from collections import UserDict
from datetime import date
from datetime import datetime
from io import BytesIO

import beaker.session
import pytest
import transaction
from beaker.middleware import SessionMiddleware
from persistent.mapping import PersistentMapping
from plone.subrequest import subrequest
from zExceptions import NotFound
from zExceptions import Redirect
from ZODB.POSException import ConflictError
from zope.globalrequest import getRequest
from zope.interface import implementer
from ZPublisher.interfaces import IPubSuccess
from ZPublisher.Iterators import IStreamIterator

from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.views import begin_basket
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import ignore_session
from collective.beaker.tests.helpers.views import look_into_basket
from collective.beaker.tests.helpers.views import put_into_basket
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.views import read_id
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.visitors import session_cookie
from collective.beaker.tests.helpers.zope import Visitor
from collective.beaker.tests.helpers.zope import subscribed


# What a visitor keeps


def test_a_saved_session_is_there_in_the_next_requests(any_store, visitor):
    counts = [visitor.visit(count).text for _ in range(5)]

    assert counts == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("use", [count, read_count])
def test_a_request_longer_than_the_timeout_ends_no_session(
    config, visitor, clock, use
):
    def take_long(request):
        use(request)
        clock(100)

    config["timeout"] = 60
    visitor.visit(count)
    visitor.visit(take_long)

    assert visitor.visit(read_count).text == ("2" if use is count else "1")


def test_another_visitor_has_another_session(
    any_store, visitor, other_visitor
):
    visitor.visit(count)

    assert other_visitor.visit(read_count).text == "None"


def test_what_wraps_a_session_can_empty_it(visitor):
    def empty(request):
        wrapper = UserDict()
        wrapper.data = ISession(request)
        with pytest.raises(KeyError):
            for _ in range(100):
                wrapper.popitem()
        assert len(wrapper) == 0
        wrapper.data.save()

    visitor.visit(count)
    visitor.visit(empty)

    assert visitor.visit(count).text == "1"
    assert visitor.visit(count).text == "2"


def test_an_assignment_without_save_is_not_kept(any_store, visitor):
    def assign(request):
        ISession(request)["count"] = 100

    visitor.visit(count)
    visitor.visit(assign)

    assert visitor.visit(read_count).text == "1"


def test_with_auto_an_assignment_is_kept(any_store, config, visitor):
    def assign(request):
        ISession(request)["count"] = 100

    config["auto"] = True
    visitor.visit(assign)

    assert visitor.visit(read_count).text == "100"


def test_with_auto_an_emptied_session_stays_empty(any_store, config, visitor):
    def empty(request):
        ISession(request).clear()

    config["auto"] = True
    visitor.visit(count)
    visitor.visit(empty)

    assert visitor.visit(read_count).text == "None"


def test_a_change_inside_a_stored_value_is_kept_without_save(
    any_store, visitor
):
    visitor.visit(begin_basket)
    visitor.visit(put_into_basket)

    assert visitor.visit(look_into_basket).text == "['a book']"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("date", date(2011, 5, 11)),
        (("a", "tuple"), ("as", "key")),
        ("persistent", PersistentMapping(a=1)),
    ],
    ids=["date", "tuple", "persistent"],
)
def test_values_are_anything_that_can_be_pickled(
    any_store, visitor, key, value
):
    def keep(request):
        session = ISession(request)
        session[key] = value
        session.save()

    kept = []

    def look(request):
        kept.append(ISession(request)[key])

    visitor.visit(keep)
    visitor.visit(look)

    assert kept == [value]
    assert kept[0] is not value


def test_the_json_serializer_keeps_what_json_can_express(
    any_store, config, visitor
):
    config["data_serializer"] = "json"

    assert [visitor.visit(count).text for _ in range(2)] == ["1", "2"]


def test_a_folder_alone_makes_it_a_file_session(config, visitor, tmp_path):
    config.update(type=None, data_dir=str(tmp_path))
    visitor.visit(count)

    assert len(list(tmp_path.rglob("*.cache"))) == 1


# Reading leaves nothing


def test_a_request_that_uses_no_session_reads_writes_and_sends_nothing(
    config, visitor, tmp_path
):
    config.update(type="file", data_dir=str(tmp_path / "sessions"))

    response = visitor.visit(
        ignore_session, headers={"Cookie": f"{COOKIE}={'a' * 72}"}
    )

    assert session_cookie(response) is None
    assert list(tmp_path.iterdir()) == []


def test_reading_in_a_new_visitors_request_sends_no_cookie(any_store, visitor):
    assert session_cookie(visitor.visit(read_count)) is None


def test_reading_in_a_new_visitors_request_sends_no_cookie_with_auto(
    any_store, config, visitor
):
    config["auto"] = True

    assert session_cookie(visitor.visit(read_count)) is None


def test_reading_in_the_request_of_an_expired_visitor_sends_no_cookie(
    server_store, config, visitor, monkeypatch
):
    config["timeout"] = 60
    visitor.visit(count)
    monkeypatch.setattr("beaker.session.time.time", lambda: 4_000_000_000.0)

    assert session_cookie(visitor.visit(read_count)) is None


def test_an_expired_visitor_who_saves_gets_a_new_id(
    server_store, config, visitor, monkeypatch
):
    config["timeout"] = 60
    visitor.visit(count)
    before = visitor.visit(read_id).text
    monkeypatch.setattr("beaker.session.time.time", lambda: 4_000_000_000.0)
    response = visitor.visit(count)

    assert response.text == "1"
    assert before not in session_cookie(response).value


def test_a_session_is_true_when_it_is_new(visitor):
    def ask(request):
        session = ISession(request)
        return f"{bool(session)} {bool(session and 'count' in session)}"

    assert visitor.visit(ask).text == "True False"


# Ending a session


def test_delete_ends_the_session_and_its_cookie(any_store, visitor):
    def delete(request):
        ISession(request).delete()

    visitor.visit(count)
    response = visitor.visit(delete)

    assert session_cookie(response)["expires"]
    assert COOKIE not in visitor.cookies
    assert visitor.visit(count).text == "1"


@pytest.mark.parametrize("end", ["delete", "invalidate", "regenerate_id"])
def test_the_old_cookie_finds_nothing_after_the_end(
    server_store, visitor, other_visitor, end
):
    def end_session(request):
        getattr(ISession(request), end)()

    cookie = session_cookie(visitor.visit(count)).value
    visitor.visit(end_session)
    header = {"Cookie": f"{COOKIE}={cookie}"}

    assert other_visitor.visit(read_count, headers=header).text == "None"


def test_invalidate_starts_an_empty_session_under_a_new_id(any_store, visitor):
    def invalidate(request):
        ISession(request).invalidate()

    visitor.visit(count)
    before = visitor.visit(read_id).text
    visitor.visit(invalidate)

    assert visitor.visit(read_count).text == "None"
    assert visitor.visit(read_id).text != before


def test_an_assignment_after_invalidate_is_not_kept_without_save(
    any_store, visitor
):
    def start_anew(request):
        session = ISession(request)
        session.invalidate()
        session["count"] = 100

    visitor.visit(count)
    visitor.visit(start_anew)

    assert visitor.visit(read_count).text == "None"


def test_what_is_saved_after_invalidate_is_kept(any_store, visitor):
    def start_anew(request):
        session = ISession(request)
        session.invalidate()
        return count(request)

    visitor.visit(count)

    assert visitor.visit(start_anew).text == "1"
    assert visitor.visit(count).text == "2"


@pytest.mark.parametrize("access_times", [True, False])
def test_regenerate_id_keeps_the_data_under_a_new_id(
    any_store, config, visitor, access_times
):
    config["save_accessed_time"] = access_times

    def regenerate(request):
        ISession(request).regenerate_id()

    visitor.visit(count)
    before = visitor.visit(read_id).text
    visitor.visit(regenerate)

    assert visitor.visit(read_id).text != before
    assert visitor.visit(read_count).text == "1"


def test_get_by_id_gives_the_session_of_another_visitor(
    server_store, visitor, other_visitor
):
    visitor.visit(count)
    id = visitor.visit(read_id).text

    def look(request):
        return str(ISession(request).get_by_id(id)["count"])

    assert other_visitor.visit(look).text == "1"


def test_get_by_id_gives_none_for_an_unknown_session(any_store, visitor):
    def look(request):
        return str(ISession(request).get_by_id("0" * 32))

    assert visitor.visit(look).text == "None"


# How a request may end


def test_save_before_response_redirect(visitor):
    def redirect(request):
        count(request)
        request.response.redirect("/elsewhere")

    response = visitor.visit(redirect)

    assert response.status_int == 302
    assert visitor.visit(read_count).text == "1"


@pytest.mark.parametrize(
    ("error", "status"), [(Redirect("/elsewhere"), 302), (NotFound("x"), 404)]
)
def test_save_before_an_http_exception(visitor, error, status):
    def fail(request):
        count(request)
        raise error

    response = visitor.visit(fail, status=status)

    assert session_cookie(response) is not None
    assert visitor.visit(read_count).text == "1"


def test_an_exceptions_own_cookie_is_sent_beside_ours(visitor):
    def redirect(request):
        count(request)
        error = Redirect("/elsewhere")
        error.setHeader("Set-Cookie", "language=de")
        raise error

    visitor.visit(redirect)

    assert visitor.cookies["language"] == "de"
    assert visitor.visit(read_count).text == "1"


def test_the_session_of_a_request_that_failed_is_saved(visitor):
    def fail(request):
        count(request)
        raise ValueError("The page failed.")

    visitor.visit(count)

    assert visitor.fails(fail)
    assert visitor.visit(read_count).text == "2"


def test_a_request_that_is_retried_counts_once(any_store, visitor):
    attempts = []

    def conflict_once(request):
        result = count(request)
        attempts.append(result)
        if len(attempts) == 1:
            raise ConflictError
        return result

    visitor.visit(count)
    visitor.visit(conflict_once)

    assert attempts == ["2", "2"]
    assert visitor.visit(read_count).text == "2"


def test_the_first_request_of_a_visitor_that_is_retried_sends_the_cookie(
    visitor,
):
    attempts = []

    def conflict_once(request):
        attempts.append(count(request))
        if len(attempts) == 1:
            raise ConflictError
        return attempts[-1]

    assert session_cookie(visitor.visit(conflict_once)) is not None
    assert visitor.visit(count).text == "2"


def test_a_session_is_saved_when_the_transaction_is_doomed(visitor):
    def doom(request):
        count(request)
        transaction.doom()

    visitor.visit(doom)

    assert visitor.visit(read_count).text == "1"


def test_a_failure_after_success_saves_once(config, visitor):
    def fail(event):
        raise Redirect("/elsewhere")

    saved = []

    class Session(beaker.session.Session):
        def save(self, accessed_only=False):
            saved.append(self.id)
            super().save(accessed_only)

    config["session_class"] = Session
    with subscribed(fail, IPubSuccess):
        response = visitor.visit(count, status=302)

    assert len(saved) == 1
    assert session_cookie(response) is not None


def test_response_write_in_a_new_visitors_request_sends_the_cookie(visitor):
    def stream(request):
        request.response.write(b"one ")
        count(request)
        request.response.write(b"two")

    response = visitor.visit(stream)

    assert response.text == "one two"
    assert visitor.visit(read_count).text == "1"


@implementer(IStreamIterator)
class Stream(BytesIO):
    def __len__(self):
        return len(self.getvalue())


def test_a_stream_iterator_in_a_new_visitors_request_sends_the_cookie(
    visitor,
):
    def stream(request):
        count(request)
        request.response.setHeader("Content-Type", "text/plain")
        request.response.setHeader("Content-Length", "3")
        return Stream(b"abc")

    response = visitor.visit(stream)

    assert response.body == b"abc"
    assert visitor.visit(read_count).text == "1"


def test_a_subrequest_shares_the_session_of_its_outer_request(visitor):
    sessions = []

    def page(request):
        sessions.append(ISession(getRequest()))
        if len(sessions) == 1:
            subrequest(request["URL"])
        return count(request)

    visitor.visit(page)

    assert len(sessions) == 2
    assert sessions[0] is sessions[1]
    assert visitor.visit(read_count).text == "2"


# The cookie


def test_the_cookie_is_httponly_and_lax_and_ends_with_the_browser(visitor):
    cookie = session_cookie(visitor.visit(count))

    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
    assert not cookie["secure"]
    assert not cookie["expires"]


def test_httponly_off_takes_the_flag_away(config, visitor):
    config["httponly"] = False

    assert not session_cookie(visitor.visit(count))["httponly"]


def test_httponly_is_on_under_a_utility_that_does_not_mention_it(
    config, visitor
):
    config.clear()
    config["type"] = "memory"

    assert session_cookie(visitor.visit(count))["httponly"]


@pytest.mark.parametrize(
    ("option", "value", "attribute", "sent"),
    [
        ("secure", True, "secure", True),
        ("samesite", "Strict", "samesite", "Strict"),
        ("cookie_path", "/shop", "path", "/shop"),
        ("cookie_domain", "localhost", "domain", "localhost"),
        (
            "cookie_expires",
            datetime(2038, 1, 19, 3, 14, 7),
            "expires",
            "Tue, 19-Jan-2038 03:14:07 GMT",
        ),
    ],
)
def test_an_option_reaches_the_cookie(
    either_store, config, visitor, option, value, attribute, sent
):
    config[option] = value

    assert session_cookie(visitor.visit(count))[attribute] == sent


def test_the_cookie_has_the_configured_name(either_store, config, visitor):
    config["key"] = "shop"

    assert session_cookie(visitor.visit(count), "shop") is not None
    assert visitor.visit(count).text == "2"


def test_code_may_set_domain_and_path_of_the_cookie(either_store, visitor):
    def restrict(request):
        session = ISession(request)
        session.domain = "localhost"
        session.path = "/shop"
        count(request)

    cookie = session_cookie(visitor.visit(restrict))

    assert (cookie["domain"], cookie["path"]) == ("localhost", "/shop")


def test_the_cookie_that_deletes_has_the_attributes_of_the_one_that_set(
    either_store, config, visitor
):
    def delete(request):
        ISession(request).delete()

    config.update(cookie_path="/", cookie_domain="localhost", secure=True)
    https = {"extra_environ": {"wsgi.url_scheme": "https"}}
    set_cookie = session_cookie(visitor.visit(count, **https))
    deleting = session_cookie(visitor.visit(delete, **https))

    assert deleting["expires"]
    for attribute in ("path", "domain", "secure", "httponly", "samesite"):
        assert deleting[attribute] == set_cookie[attribute]


@pytest.mark.parametrize(
    "other",
    ['{"json": [1, 2]}', "a b=c", '"quoted"', "=", "x=[1,2]", "x={}; a b"],
)
def test_another_applications_cookie_does_not_hide_ours(
    either_store, visitor, other
):
    cookie = session_cookie(visitor.visit(count))
    header = f"{other}; {COOKIE}={cookie.coded_value}"
    visitor.browser.reset()

    again = visitor.visit(count, headers={"Cookie": header})

    assert again.text == "2"


def test_a_cookie_that_cannot_be_ours_is_no_session(either_store, visitor):
    header = f"{COOKIE}=%00%0d%0aSet-Cookie:x"

    assert visitor.visit(count, headers={"Cookie": header}).text == "1"


def test_an_id_with_a_wrong_signature_is_no_session(
    server_store, visitor, other_visitor
):
    cookie = session_cookie(visitor.visit(count)).value
    forged = ("0" if cookie[0] != "0" else "1") + cookie[1:]
    header = {"Cookie": f"{COOKIE}={forged}"}

    assert other_visitor.visit(read_count, headers=header).text == "None"


def test_without_use_cookies_no_cookie_is_sent(one_store, config, visitor):
    config["use_cookies"] = False

    assert session_cookie(visitor.visit(count)) is None


def test_the_cookie_is_sent_once(one_store, visitor):
    assert session_cookie(visitor.visit(count)) is not None
    assert session_cookie(visitor.visit(count)) is None
    assert session_cookie(visitor.visit(read_count)) is None


# Stored sessions that cannot be read


def break_stored_session(folder):
    [file] = folder.rglob("*.cache")
    file.write_bytes(b"no pickle")


def test_a_corrupt_session_is_replaced_by_a_fresh_one(
    config, visitor, tmp_path, caplog
):
    config.update(type="file", data_dir=str(tmp_path))
    visitor.visit(count)
    id = visitor.visit(read_id).text
    break_stored_session(tmp_path)

    assert visitor.visit(count).text == "1"
    assert visitor.visit(count).text == "2"
    [record] = caplog.records
    assert record.name == "collective.beaker"
    assert record.levelno == logging.WARNING
    assert "cannot be read (UnpicklingError)" in record.getMessage()
    assert id not in record.getMessage()


def test_a_corrupt_cookie_session_is_replaced_by_a_fresh_one(
    config, visitor, caplog
):
    config.update(type="cookie", validate_key="a key for the tests")
    visitor.visit(count)
    config["validate_key"] = "another key for the tests"

    assert visitor.visit(count).text == "1"
    assert visitor.visit(count).text == "2"
    assert len(caplog.records) == 1


class Large:
    """A value that this process has no memory for now."""

    fits = False

    def __getstate__(self):
        return "large"

    def __setstate__(self, state):
        if not self.fits:
            raise MemoryError


def test_a_session_that_there_is_no_memory_for_is_found_later(
    either_store, visitor, monkeypatch
):
    def begin(request):
        session = ISession(request)
        session["count"], session["large"] = 5, Large()
        session.save()

    visitor.visit(begin)
    assert visitor.fails(count)
    monkeypatch.setattr(Large, "fits", True)

    assert visitor.visit(count).text == "6"


def test_a_corrupt_session_is_an_error_with_invalidate_corrupt_off(
    config, visitor, tmp_path
):
    config.update(
        type="file", data_dir=str(tmp_path), invalidate_corrupt=False
    )
    visitor.visit(count)
    break_stored_session(tmp_path)

    assert visitor.fails(count)


def test_an_error_in_a_new_visitors_request_is_no_corrupt_session(
    config, visitor, caplog
):
    config["type"] = "no such backend"

    assert visitor.fails(read_count)
    assert not any(
        record.name == "collective.beaker" for record in caplog.records
    )


# Configuration


def test_a_change_of_the_configuration_holds_from_the_next_request_on(
    config, visitor
):
    def change(request):
        ISession(request)["count"] = 10
        config["auto"] = True

    def assign(request):
        ISession(request)["count"] = 20

    visitor.visit(count)
    visitor.visit(change)
    assert visitor.visit(read_count).text == "1"

    visitor.visit(assign)
    assert visitor.visit(read_count).text == "20"


def test_a_site_with_its_own_configuration_has_its_own_sessions(
    sites, visitor
):
    visitor.visit(count, "/plain")
    response = visitor.visit(count, "/special")

    assert session_cookie(response, "special") is not None
    assert response.text == "1"
    assert visitor.visit(count, "/special").text == "2"
    assert visitor.visit(count, "/plain").text == "2"


def test_a_site_may_be_the_only_one_with_sessions(
    sites, unconfigured, visitor
):
    def use_anywhere(request):
        session = ISession(request, None)
        assert session is request.environ.get(ENVIRON_KEY)
        return "no session" if session is None else count(request)

    assert visitor.visit(use_anywhere, "/plain").text == "no session"
    assert visitor.visit(use_anywhere, "/special").text == "1"
    assert visitor.visit(use_anywhere, "/special").text == "2"


def test_webtest_finds_the_session_under_the_configured_name(config, visitor):
    config["webtest_varname"] = "session"

    assert visitor.visit(count).session["count"] == 1


# Without a configuration, and under Beaker's own middleware


def test_without_configuration_there_is_no_session(unconfigured, visitor):
    def adapt(request):
        assert ISession(request, None) is None
        with pytest.raises(TypeError):
            ISession(request)
        return "adapted"

    assert visitor.visit(adapt).text == "adapted"


@pytest.fixture
def middleware_visitor(application, config, tmp_path):
    """Someone who visits Zope through Beaker's middleware."""
    options = {"session.type": "file", "session.data_dir": str(tmp_path)}
    return Visitor(SessionMiddleware(application, options))


def test_the_middlewares_session_is_found(unconfigured, middleware_visitor):
    def find(request):
        session = ISession(request)
        assert isinstance(session, beaker.session.SessionObject)
        assert session is request.environ[ENVIRON_KEY]
        return count(request)

    assert middleware_visitor.visit(find).text == "1"
    assert middleware_visitor.visit(find).text == "2"


def test_the_middlewares_sessions_provide_the_interface(
    unconfigured, middleware_visitor
):
    def find_by_id(request):
        session = ISession(request)
        assert ISession.providedBy(session)
        assert ISession.providedBy(session.get_by_id(session.id))

    middleware_visitor.visit(count)
    middleware_visitor.visit(find_by_id)


def test_the_middlewares_session_is_not_saved_by_us(
    unconfigured, middleware_visitor
):
    def assign(request):
        ISession(request)["count"] = 10

    def fail(request):
        ISession(request)["count"] = 10
        raise NotFound

    middleware_visitor.visit(count)
    middleware_visitor.visit(assign)
    middleware_visitor.visit(fail, status=404)

    assert middleware_visitor.visit(read_count).text == "1"


def test_where_sessions_are_configured_ours_replaces_the_middlewares(
    middleware_visitor, tmp_path
):
    middleware_visitor.visit(count)

    assert middleware_visitor.visit(count).text == "2"
    assert list(tmp_path.iterdir()) == []
