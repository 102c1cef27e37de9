"""request.SESSION in a Zope that was started from its zope.conf."""

from http.cookiejar import CookieJar
from urllib.request import HTTPCookieProcessor
from urllib.request import build_opener

from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import zope_server
from collective.beaker.tests.helpers.zope_sessions import ZCML


def test_zope_conf_switches_it_on(tmp_path):
    zope_ini = make_instance(
        tmp_path / "instance", "session.zope_session  on", ZCML
    )
    cookies = CookieJar()
    browser = build_opener(HTTPCookieProcessor(cookies))
    with zope_server(zope_ini) as zope:
        url = f"http://127.0.0.1:{zope.port}/@@zope-visits"
        texts = [browser.open(url, timeout=SECONDS).read() for _ in range(2)]

    assert texts == [b"1", b"2"]
    assert [cookie.name for cookie in cookies] == ["beaker.session.id"]


def test_without_the_setting_a_request_has_none(visitor):
    def look(request):
        return str(request.get("SESSION"))

    assert visitor.visit(look).text == "None"
