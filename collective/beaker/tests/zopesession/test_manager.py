"""The session data manager, as code for Zope's own sessions uses it."""

import pytest
from OFS.Folder import Folder
from Products.PythonScripts.PythonScript import PythonScript
from zope.component import getUtility

from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.zope import Visitor
from collective.beaker.tests.helpers.zope_sessions import put_item
from collective.beaker.zopesession.interfaces import ISessionDataManager
from collective.beaker.zopesession.manager import StoredSessionDataManager


pytestmark = pytest.mark.usefixtures("zope_sessions")


def manager():
    return getUtility(ISessionDataManager)


def test_it_returns_the_session_of_the_request(visitor):
    def compare(request):
        data = manager().getSessionData()
        return str(data is request.SESSION)

    assert visitor.visit(compare).text == "True"


def test_a_visitor_without_a_session_has_none_unless_it_is_created(visitor):
    def look(request):
        has_data = manager().hasSessionData()
        return f"{has_data} {manager().getSessionData(create=0)}"

    response = visitor.visit(look)

    assert response.text == "False None"
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("when", ["before", "in the same request"])
def test_a_visitor_who_has_stored_something_has_one(visitor, when):
    def look(request):
        if when != "before":
            put_item(request)
        has_data = manager().hasSessionData()
        return f"{has_data} {manager().getSessionData(create=0)['item']}"

    if when == "before":
        visitor.visit(put_item)

    assert visitor.visit(look).text == "True tea"


def test_a_session_that_was_invalidated_is_no_session(visitor):
    visitor.visit(put_item)

    def look(request):
        manager().getSessionData().invalidate()
        return f"{manager().hasSessionData()}"

    assert visitor.visit(look).text == "False"


def test_it_empties_the_session(visitor):
    visitor.visit(put_item)
    visitor.visit(lambda request: manager().clearSessionData())

    assert visitor.visit(lambda request: str(len(request.SESSION))).text == "0"


def test_another_session_is_found_by_its_key(visitor, other_visitor):
    def put_and_tell_key(request):
        put_item(request)
        return request.SESSION.getContainerKey()

    key = visitor.visit(put_and_tell_key).text

    def look(request):
        return manager().getSessionDataByKey(key)["item"]

    assert other_visitor.visit(look).text == "tea"


def test_an_unknown_key_finds_nothing(visitor):
    def look(request):
        return str(manager().getSessionDataByKey("0" * 32))

    assert visitor.visit(look).text == "None"


def test_without_sessions_the_error_names_the_remedy(visitor, unconfigured):
    def look(request):
        with pytest.raises(RuntimeError, match=r"session\.zope_session on"):
            manager().getSessionData()
        return str(manager().getSessionData(create=0))

    assert visitor.visit(look).text == "None"


def test_the_browser_id_is_that_of_the_session(visitor):
    visitor.visit(put_item)

    def look(request):
        browser = manager().getBrowserIdManager()
        assert browser.getBrowserId() == ISession(request).id
        assert browser.getBrowserIdName() == ISession(request).key
        assert browser.hasBrowserId()
        assert browser.isBrowserIdFromCookie()
        assert not browser.isBrowserIdNew()

    visitor.visit(look)


def test_an_id_never_comes_from_an_address_or_gets_into_one(visitor):
    visitor.visit(put_item)

    def look(request):
        browser = manager().getBrowserIdManager()
        assert not browser.isBrowserIdFromForm()
        assert not browser.isBrowserIdFromUrl()
        assert browser.getHiddenFormField() == ""
        return browser.encodeUrl("http://localhost/a?b=c")

    assert visitor.visit(look).text == "http://localhost/a?b=c"


def test_to_flush_the_cookie_ends_the_session(visitor):
    visitor.visit(put_item)

    def flush(request):
        manager().getBrowserIdManager().flushBrowserIdCookie()

    visitor.visit(flush)

    assert not visitor.cookies


# As an object in the database


SCRIPT = """\
data = context.session_data_manager.getSessionData()
data.set('count', data.get('count', 0) + 1)
return data['count']
"""


@pytest.fixture
def stored_manager(visitor):
    """A manager in a folder, and scripts that acquire it."""

    def add(request):
        app = request["PARENTS"][-1]
        app._setObject("site", Folder("site"))
        app.site._setObject("session_data_manager", StoredSessionDataManager())
        for name, text in {
            "count": SCRIPT,
            "peek": "context.session_data_manager.getSessionDataByKey('a')",
            "look": "context.REQUEST.SESSION.find_other('a')",
        }.items():
            script = PythonScript(name)
            script.write(text)
            app.site._setObject(name, script)

    Visitor(visitor.browser.app).visit(add)
    yield
    Visitor(visitor.browser.app).visit(
        lambda request: request["PARENTS"][-1].manage_delObjects(["site"])
    )


def test_a_script_may_acquire_it(visitor, stored_manager):
    texts = [visitor.browser.get("/site/count").text for _ in range(2)]

    assert texts == ["1", "2"]


@pytest.mark.parametrize("script", ["peek", "look"])
def test_a_script_must_not_read_the_sessions_of_others(
    visitor, stored_manager, script
):
    assert visitor.browser.get(f"/site/{script}", status="*").status_int == 401


@pytest.mark.parametrize(
    "method", ["getSessionData", "clearSessionData", "getBrowserIdManager"]
)
def test_no_method_can_be_called_by_its_address(
    visitor, stored_manager, method
):
    path = f"/site/session_data_manager/{method}"

    assert visitor.browser.get(path, status="*").status_int in (403, 404)
