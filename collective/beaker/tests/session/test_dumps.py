"""What code sees of the cookie, and what Zope's error log shows of it."""

import re
import xmlrpc.client
from http.cookies import SimpleCookie

import pytest
from OFS.DTMLMethod import DTMLMethod
from Products.PageTemplates.ZopePageTemplate import ZopePageTemplate
from Products.PythonScripts.PythonScript import PythonScript
from webob import Request
from ZPublisher.interfaces import IPubFailure

from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.interfaces import Record
from collective.beaker.maintenance.sites import Owned
from collective.beaker.maintenance.sites import Sites
from collective.beaker.maintenance.stored import InspectedRecord
from collective.beaker.session.codec import make_codec
from collective.beaker.session.merge import difference
from collective.beaker.session.policy import make_policy
from collective.beaker.settings.section import read_configuration
from collective.beaker.settings.sentinels import read_sentinel_url
from collective.beaker.settings.zope_conf import ZopeConf
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import ignore_session
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.visitors import session_cookie
from collective.beaker.tests.helpers.zope import subscribed


def cookie_of(request):
    return request.cookies[COOKIE]


def header_of(request):
    return request.environ["HTTP_COOKIE"]


def id_of(request):
    return ISession(request).id


WHAT_CODE_SEES = pytest.mark.parametrize("see", [cookie_of, header_of, id_of])


@pytest.fixture(params=["a secret of the tests", None])
def any_secret(request, config):
    config["secret"] = request.param


@WHAT_CODE_SEES
def test_code_sees_plain_text(any_secret, visitor, see):
    def is_plain(request):
        value = see(request)
        ISession(request).get("count")
        return str(type(value) is str and value in repr((value,)))

    visitor.visit(count)

    assert visitor.visit(is_plain).text == "True"


@WHAT_CODE_SEES
def test_what_is_cached_for_one_visitor_is_not_shown_to_another(
    any_secret, visitor, other_visitor, see
):
    keys = []

    def make_key(request):
        # As decorators of caches make a key of a tuple.
        keys.append(str((see(request), "cart")))

    for each in (visitor, other_visitor):
        each.visit(count)
        each.visit(make_key)

    assert len(set(keys)) == 2


@WHAT_CODE_SEES
def test_xml_rpc_takes_what_code_sees(any_secret, visitor, see):
    def marshal(request):
        return xmlrpc.client.dumps((see(request),))

    visitor.visit(count)

    assert "<string>" in visitor.visit(marshal).text


@pytest.fixture
def in_root(visitor):
    """Put an object into the root of the ZODB for one test."""

    def put(thing):
        name = thing.getId()
        visitor.visit(
            lambda request: request["PARENTS"][-1]._setObject(name, thing)
        )
        names.append(name)

    names = []
    yield put
    visitor.visit(
        lambda request: request["PARENTS"][-1].manage_delObjects(names)
    )


def script(id, expression):
    made = PythonScript(id)
    made.write(f"request = context.REQUEST\nreturn {expression}\n")
    return made


def page_template(id, expression):
    return ZopePageTemplate(id, f'<p tal:replace="python:{expression}"></p>')


def dtml_method(id, expression):
    tags = '<dtml-let request="REQUEST"><dtml-var "{}"></dtml-let>'
    return DTMLMethod(tags.format(expression), __name__=id)


@pytest.mark.parametrize("make", [script, page_template, dtml_method])
@pytest.mark.parametrize(
    "expression",
    [
        f"request.cookies['{COOKIE}'].strip()",
        "request.environ['HTTP_COOKIE'].partition('=')[2]",
    ],
)
def test_code_in_the_zodb_may_use_what_it_sees(
    visitor, in_root, make, expression
):
    """It may call no method of another class of text."""
    in_root(make("reader", expression))
    visitor.visit(count)
    text = visitor.browser.get("/reader").text

    assert text.strip() == visitor.cookies[COOKIE]


@pytest.fixture
def error_log(visitor):
    """Return a function that gives the dumps in Zope's error log."""
    logs = []

    def find_log(request):
        logs.append(request["PARENTS"][-1].error_log._getLog())

    visitor.visit(find_log)
    logs[0].clear()
    return lambda: [entry["req_html"] for entry in logs[0]]


def fail_after(view):
    """Return a view that fails after another one."""

    def fail(request):
        view(request)
        raise ValueError("The page failed.")

    return fail


def webob_cookies(environ):
    """Parse cookies as middleware before Zope does that is made of WebOb."""
    return Request(environ).cookies.get("theme")


def paste_cookies(environ):
    """Keep cookies as ``paste.request.get_cookies`` does."""
    header = environ["HTTP_COOKIE"]
    environ["paste.cookies"] = (SimpleCookie(header), header)


@pytest.mark.parametrize("use", [ignore_session, read_count, count])
@pytest.mark.parametrize("cookie", ["beaker.session.id", "special"])
def test_the_error_log_does_not_show_the_cookie(
    sites, visitor, error_log, cookie, use
):
    path = "/special" if cookie == "special" else "/plain"
    value = session_cookie(visitor.visit(count, path), cookie).value
    assert visitor.fails(fail_after(use), path)

    [dump] = error_log()
    assert "HTTP_COOKIE" in dump
    assert value[-32:] not in dump


@pytest.mark.parametrize(
    "options",
    [
        {"secret": "a secret of the site"},
        {"secret": None},
        {"type": "cookie", "validate_key": "a key of the site"},
    ],
    ids=["signed", "not signed", "in the cookie"],
)
def test_the_error_log_does_not_show_the_cookie_of_another_site(
    sites, visitor, error_log, options
):
    def configure(request):
        site = request["PARENTS"][-1].special
        config = site.getSiteManager().getUtility(ISessionConfig)
        config.update(options)

    visitor.visit(configure)
    visitor.visit(count, "/special")
    value = visitor.cookies["special"].strip('"')
    assert visitor.fails(fail_after(count), "/plain")

    [dump] = error_log()
    assert "special" in dump
    assert value[:32] not in dump


def test_the_error_log_shows_nothing_that_has_the_name_of_the_site_s_cookie(
    sites, visitor, error_log
):
    """A class of another package may have ids of another form."""
    visitor.browser.set_cookie("special", "another-form")
    assert visitor.fails(fail_after(ignore_session), "/special")

    [dump] = error_log()
    assert "special" in dump
    assert "another-form" not in dump


def test_the_error_log_shows_other_cookies(visitor, error_log):
    visitor.visit(count)
    visitor.browser.set_cookie("other", "shown")
    assert visitor.fails(fail_after(count))

    [dump] = error_log()
    assert "shown" in dump


@pytest.mark.parametrize(
    "header",
    ['q="open; {}; r="shut', 'q="; {}; "', "a=b, {}", "a=b, {}; c=d"],
)
def test_the_error_log_does_not_show_a_cookie_taken_for_a_part_of_another(
    visitor, error_log, header
):
    visitor.visit(count)
    value = visitor.cookies[COOKIE]
    sent = {"Cookie": header.format(f"{COOKIE}={value}")}
    assert visitor.fails(fail_after(ignore_session), headers=sent)

    [dump] = error_log()
    assert "HTTP_COOKIE" in dump
    assert value[-32:] not in dump


@pytest.mark.parametrize("parse", [webob_cookies, paste_cookies])
def test_the_error_log_does_not_show_what_middleware_parsed(
    visitor, error_log, parse
):
    visitor.visit(count)
    assert visitor.fails(fail_after(lambda request: parse(request.environ)))

    [dump] = error_log()
    assert "HTTP_COOKIE" in dump
    assert visitor.cookies[COOKIE][-32:] not in dump


def test_a_session_may_be_opened_after_the_cookie_was_masked(visitor):
    found = []

    def look(event):
        found.append(ISession(event.request).get("count"))

    visitor.visit(count)
    with subscribed(look, IPubFailure):
        assert visitor.fails(fail_after(ignore_session))

    assert found == [1]


def test_what_holds_a_secret_does_not_show_it(tmp_path):
    """Tools that collect errors keep the variables of each function."""
    key, data = "a-key-of-the-tests-0123456789", {"city": "Lisbon"}
    options = {"secret": key, "validate_key": key, "encrypt_key": key}
    section = {f"session.{name}": key for name in options}
    policy = make_policy({"data_dir": str(tmp_path), **options})
    zope_conf = ZopeConf(section, str(tmp_path), {"PASSWORD": key}, key)
    address = f"redis+sentinel://:{key}@one/main/0"

    shown = [
        repr(policy),
        repr(policy.owners),
        repr(policy.cookies),
        repr(make_codec(policy.options)._encryption),
        repr(read_configuration(section)),
        repr(zope_conf),
        repr(Sites([Owned("/Plone", options)])),
        repr(read_sentinel_url(address)),
        repr(difference({}, data)),
        repr(InspectedRecord("0" * 32, Record(b""), data)),
    ]

    for text in shown:
        assert not re.search(f"{key}|Lisbon|0000", text), text
