"""The page, its buttons, its JSON and the health check, in plain Zope."""

import json
import logging
import os
import re
import socket
from contextlib import suppress

import pytest
from beaker.cache import CacheManager
from beaker.container import NamespaceManager
from OFS.interfaces import IApplication
from webtest import TestApp
from zope.component import getUtility
from zope.interface import alsoProvides

from collective.beaker.browser import actions
from collective.beaker.browser import base
from collective.beaker.browser import seals
from collective.beaker.browser.messages import COOKIE
from collective.beaker.browser.tokens import FIELD
from collective.beaker.browser.tokens import has_valid_token
from collective.beaker.documentation import DOCUMENTATION
from collective.beaker.ids import new_id
from collective.beaker.interfaces import ICacheManager
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.maintenance.slices import last_result_within
from collective.beaker.report.sessions import count_sessions
from collective.beaker.report.sessions import is_available
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stored_sessions import options_of
from collective.beaker.tests.helpers.visits import count_visit
from collective.beaker.tests.helpers.zope import Visitor


VIEWS = ["@@beaker", "@@beaker-status.json", "@@beaker-metrics"]
BUTTONS = [
    "@@beaker-sweep",
    "@@beaker-clear",
    "@@beaker-revoke",
    "@@beaker-user",
]
USERS = {"manager": ["Manager"], "other": ["Manager"], "visitor": []}


@pytest.fixture
def users(application, config):
    """People with passwords; a function that opens the browser of one."""

    def add(request):
        folder = request["PARENTS"][-1].acl_users
        for name, roles in USERS.items():
            folder._doAddUser(name, "a password", roles, [])

    def remove(request):
        request["PARENTS"][-1].acl_users._doDelUsers(list(USERS))

    def browser_of(name):
        browser = TestApp(application)
        browser.authorization = ("Basic", (name, "a password"))
        return browser

    Visitor(application).visit(add)
    yield browser_of
    Visitor(application).visit(remove)


@pytest.fixture
def manager(users):
    return users("manager")


@pytest.fixture
def file_sessions(config, tmp_path):
    """The stored sessions of the Zope of the tests, in files."""
    config.update(type="file", data_dir=str(tmp_path), timeout=3600)
    return Sessions(dict(config))


def text_of(response, id):
    """Return the text of the element with that id."""
    return " ".join(response.html.find(id=id).get_text(" ").split())


def press(browser, form, button=None, **fields):
    """Press a button of the page; return the text that the page then shows."""
    return text_of(page_after(browser, form, button, **fields), "message")


def page_after(browser, form, button=None, **fields):
    """Press a button of the page; return the page that comes then."""
    form = browser.get("/@@beaker").forms[form]
    for name, value in fields.items():
        form[name] = value
    response = form.submit(button)
    assert response.status_int == 303
    assert response.location.endswith("/@@beaker")
    return response.follow()


def visit_as(browser, user_agent):
    """Have the user of a browser visit a view that stores a session."""
    visitor = Visitor(browser.app)
    visitor.browser.authorization = browser.authorization
    visitor.browser.extra_environ["HTTP_USER_AGENT"] = user_agent
    visitor.visit(count_visit)


# Who may look


@pytest.mark.parametrize("view", VIEWS + BUTTONS)
def test_anonymous_visitors_are_asked_who_they_are(view, application, config):
    response = TestApp(application).get(f"/{view}", status=401)

    assert response.headers["WWW-Authenticate"].startswith("basic")


@pytest.mark.parametrize("view", VIEWS + BUTTONS)
def test_a_user_who_manages_nothing_is_refused(view, users):
    users("visitor").get(f"/{view}", status=401)


@pytest.mark.parametrize("view", [*VIEWS, "@@beaker-health"])
def test_nobody_keeps_the_page(view, manager):
    response = manager.get(f"/{view}")

    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("view", [*VIEWS, "@@beaker-health"])
def test_looking_begins_no_session(view, manager, file_sessions):
    response = manager.get(f"/{view}")

    assert "Set-Cookie" not in response.headers
    assert file_sessions.ids() == set()


# What the page shows


def test_the_page_shows_the_settings_and_where_they_come_from(manager, config):
    config["timeout"] = 900
    table = text_of(manager.get("/@@beaker"), "settings")

    assert "session.timeout 900 run time" in table
    assert "cache.Short.expire 60 zope.conf" in table
    assert "session.httponly on default" in table
    assert "session.auto off default" in table
    assert "cache.regions Short, long zope.conf" in table
    assert "session.log_file not set default" in table


def test_the_page_shows_no_secret_and_no_session_id(manager, file_sessions):
    id = file_sessions.make(city="Lisbon")
    secret = file_sessions.options["secret"]

    for view in VIEWS:
        text = manager.get(f"/{view}").text
        assert ("(hidden)" in text) == (view != "@@beaker-metrics")
        assert secret not in text
        assert id not in text
        assert "Lisbon" not in text


def make_root_of_special(manager):
    """Have a site for tests look as if it had the page."""

    def make_root(request):
        alsoProvides(request["PARENTS"][-1].special, IApplication)

    Visitor(manager.app).visit(make_root)


def test_the_options_of_a_site_come_from_its_utility(manager, sites):
    make_root_of_special(manager)

    table = text_of(manager.get("/special/@@beaker"), "settings")

    assert "session.key special site-local utility" in table


def test_a_warning_is_shown_and_counted(manager, monkeypatch):
    section = {"session.type": "memory", "session.colour": "red"}
    monkeypatch.setattr(base, "running_section", lambda: section)

    page = manager.get("/@@beaker")

    assert "session.colour" in text_of(page, "attention")
    assert "warning" in text_of(page, "verdict")


def test_a_setting_and_a_warning_have_the_permanent_link(manager, monkeypatch):
    section = {"session.type": "memory", "session.secret": "hush"}
    monkeypatch.setattr(base, "running_section", lambda: section)

    page = manager.get("/@@beaker")

    address = f"{DOCUMENTATION}/options.html#confval-session"
    for place, option in (("settings", "type"), ("attention", "secret")):
        links = page.html.find(id=place).find_all("a")
        assert f"{address}.{option}" in [link["href"] for link in links]


def test_errors_in_the_settings_are_shown(manager, monkeypatch):
    section = {"session.type": "file"}
    monkeypatch.setattr(base, "running_section", lambda: section)

    page = manager.get("/@@beaker")

    assert "needs session.data_dir" in text_of(page, "attention")
    assert "1 error" in text_of(page, "verdict")


def test_without_a_section_the_page_says_so(
    manager, unconfigured, monkeypatch
):
    monkeypatch.setattr(base, "running_section", lambda: None)

    page = manager.get("/@@beaker")

    assert "no <product-config beaker>" in text_of(page, "attention")
    assert "No caches are configured" in text_of(page, "caches")
    assert "no sessions are configured" in text_of(page, "sessions")


def test_the_page_shows_the_health_of_any_store(manager, any_store):
    page = manager.get("/@@beaker")

    stores = text_of(page, "stores")
    if any_store.type == "cookie":
        assert "session" not in stores
    else:
        # Regions that are kept in the same store stand in its line.
        assert re.search(rf"session\b.* {any_store.type}", stores)
    assert "failed" not in stores


def test_the_page_shows_what_a_store_that_is_down_says(manager, config):
    url = f"redis://me:very-secret@127.0.0.1:{free_port()}/0"
    config.update(type="ext:redis", url=url)

    page = manager.get("/@@beaker")

    assert "failed" in text_of(page, "stores")
    assert page.text.count("ConnectionError") == 1
    assert "their store has failed" in text_of(page, "sessions-error")
    assert text_of(page, "verdict") == "1 store failed"
    assert "very-secret" not in page.text


def disabled_buttons(page):
    """Return the texts of the buttons that cannot be pressed."""
    buttons = page.html.select("button[disabled]")
    return [" ".join(button.get_text().split()) for button in buttons]


def test_buttons_that_need_a_store_that_is_down_are_disabled(
    manager, config, monkeypatch
):
    url = f"redis://127.0.0.1:{free_port()}/0"
    section = {
        "session.type": "ext:redis",
        "session.url": url,
        "cache.regions": "short, long",
        "cache.short.type": "ext:redis",
        "cache.short.url": url,
    }
    monkeypatch.setattr(base, "running_section", lambda: section)
    config.update(type="ext:redis", url=url)

    page = manager.get("/@@beaker")

    assert disabled_buttons(page) == [
        "Remove expired sessions",
        "End the session",
        "List",
        "End them all",
        "Empty short",
    ]
    assert "Its store has failed." in text_of(page, "region-short")


def test_stores_that_are_alike_are_one_line(manager, file_sessions):
    page = manager.get("/@@beaker")

    lines = page.html.select("#stores tbody .name")
    assert [line.get_text() for line in lines] == [
        "session",
        "cache, cache.Short, cache.long",
    ]


def test_the_page_says_who_has_measured_and_when(manager):
    page = manager.get("/@@beaker")

    measured = text_of(page, "measured")
    assert f"process {os.getpid()} on {socket.gethostname()}" in measured
    assert re.search(r"at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", measured)
    assert page.html.find("a", string="Refresh")["href"].endswith("/@@beaker")


def test_a_region_that_cannot_be_emptied_says_why_at_once(
    manager, monkeypatch
):
    section = {
        "cache.regions": "other",
        "cache.other.namespace_class": NamespaceManager,
    }
    monkeypatch.setattr(base, "running_section", lambda: section)

    page = manager.get("/@@beaker")

    assert "another package" in text_of(page, "region-other")
    assert not page.html.select("#caches details")


def test_the_page_counts_sessions(manager, file_sessions):
    for idle in (0, 0, 120, 7200):
        file_sessions.make(idle)

    sessions = text_of(manager.get("/@@beaker"), "sessions")

    assert "Sessions 4 Expired 1" in sessions
    charts = sessions[sessions.index("Not used for") :]
    assert re.search(
        "up to 1 minute 2 1 minute to 1 hour 1 1 hour to 1 day 1", charts
    )


def test_the_page_tells_what_is_unreadable_and_how_large_all_is(
    manager, file_sessions
):
    file_sessions.make(text="a" * 5000)
    file_sessions.put("no session at all")

    facts = text_of(manager.get("/@@beaker"), "sessions")

    assert "Unreadable 1 " in facts
    assert re.search(r"Total size 6\.\d kB", facts), facts


def test_the_longest_bar_is_as_long_as_its_place(manager, file_sessions):
    for idle in (0, 0, 120):
        file_sessions.make(idle)

    page = manager.get("/@@beaker")

    chart = page.html.find(class_="chart")
    bars = [bar["width"] for bar in chart.find_all("rect", class_="fill")]
    assert bars == ["100%", "50%"]


def test_the_page_shows_what_a_sweep_would_remove(manager, file_sessions):
    for idle in (0, 3610, 7200):
        file_sessions.make(idle=idle)

    facts = text_of(manager.get("/@@beaker"), "sessions")

    assert "Expired 2 (1 due for a sweep) " in facts


def test_the_page_does_not_count_for_long(manager, file_sessions, monkeypatch):
    for _ in range(150):
        file_sessions.make()
    monkeypatch.setattr(base, "COUNT_SECONDS", 0)

    page = manager.get("/@@beaker")

    assert "Sessions 100 " in text_of(page, "sessions")
    assert "about 300 records, including locks" in text_of(page, "incomplete")


def test_a_store_that_cannot_list_says_so(manager, config, memcached):
    memcached.start()
    config.update(type="ext:memcached", url=memcached.url)
    page = manager.get("/@@beaker")

    error = text_of(page, "sessions-error")

    assert "cannot list its sessions" in error
    assert disabled_buttons(page) == ["Remove expired sessions"]


def test_the_page_shows_the_cache_regions(manager):
    caches = text_of(manager.get("/@@beaker"), "caches")

    assert "Short memory 1 minute Empty Short" in caches
    assert "long memory never Empty long" in caches


def test_the_page_shows_versions(manager):
    assert "Beaker 1." in text_of(manager.get("/@@beaker"), "versions")


def test_the_page_has_its_style_and_no_script(manager):
    page = manager.get("/@@beaker")

    style = manager.get(page.html.find("link", rel="stylesheet")["href"])

    assert style.content_type == "text/css"
    assert "prefers-color-scheme" in style.text
    assert not page.html.find_all("script")
    assert not page.html.select("[style], [onclick]")


def test_no_other_site_can_put_the_page_into_a_frame(manager):
    policy = manager.get("/@@beaker").headers["Content-Security-Policy"]

    assert "frame-ancestors 'self'" in policy


# Buttons


@pytest.mark.parametrize("button", BUTTONS)
def test_the_address_of_a_button_does_nothing(button, manager):
    manager.get(f"/{button}", status=405)


def tokens_that_are_wrong(users, clock):
    def token(name):
        page = users(name).get("/@@beaker")
        return page.forms["sweep"][FIELD].value

    mine = token("manager")
    yield {}
    yield {FIELD: ""}
    yield {FIELD: "é.ü"}
    yield {FIELD: mine[:-1] + ("0" if mine[-1] != "0" else "1")}
    yield {FIELD: "x" + mine}
    yield {FIELD: token("other")}
    yield [(FIELD, mine), (FIELD, mine)]
    clock(seals.LIFETIME_SECONDS)
    yield {FIELD: mine}


@pytest.mark.parametrize("button", BUTTONS)
def test_without_the_right_token_a_button_does_nothing(
    button, users, manager, file_sessions, clock
):
    id = file_sessions.make(idle=7200)

    for fields in tokens_that_are_wrong(users, clock):
        more = [("id", id), ("region", "Short")]
        fields = list(fields.items() if isinstance(fields, dict) else fields)
        response = manager.post(f"/{button}", fields + more, status=403)
        assert COOKIE not in response.headers.get("Set-Cookie", "")
        assert "Press the button again" in text_of(response, "message")
        assert response.headers["Cache-Control"] == "no-store"
    assert file_sessions.ids() == {id}


def test_the_page_that_refuses_a_form_has_a_valid_one(manager, file_sessions):
    refused = manager.post("/@@beaker-sweep", status=403)

    assert refused.forms["sweep"].submit().status_int == 303


@pytest.fixture
def error_log(manager):
    """Zope's error log, which keeps dumps of requests that fail."""
    logs = []

    def find_log(request):
        logs.append(request["PARENTS"][-1].error_log._getLog())

    Visitor(manager.app).visit(find_log)
    logs[0].clear()
    return logs[0]


def test_a_cookie_in_a_form_that_is_too_old_is_not_in_the_error_log(
    manager, file_sessions, error_log, clock
):
    form = manager.get("/@@beaker").forms["revoke"]
    form["id"] = "0123456789" * 4 + file_sessions.make()
    clock(seals.LIFETIME_SECONDS)

    form.submit(status=403)

    assert list(error_log) == []


def fail(*arguments):
    raise ValueError("Something is wrong.")


def test_a_cookie_in_a_form_is_not_in_the_error_log_whatever_fails(
    manager, file_sessions, error_log, monkeypatch
):
    id = file_sessions.make()
    form = manager.get("/@@beaker").forms["revoke"]
    form["id"] = "0123456789" * 4 + id
    monkeypatch.setattr(actions, "has_valid_token", fail)

    # Plone answers the error with a page; Zope leaves it to the server.
    with suppress(ValueError):
        form.submit(status=500)

    [entry] = error_log
    assert entry["value"] == "Something is wrong."
    assert FIELD in entry["req_html"]
    assert id not in entry["req_html"]


def test_a_cookie_in_a_form_is_not_in_the_error_log_of_who_logged_out(
    manager, file_sessions, error_log
):
    """Zope's error log keeps Unauthorized, too, if it is told to."""
    id = file_sessions.make()

    def set_ignored(*names):
        def view(request):
            request["PARENTS"][-1].error_log._ignored_exceptions = names

        Visitor(manager.app).visit(view)

    form = manager.get("/@@beaker").forms["revoke"]
    form["id"] = id
    manager.authorization = None
    set_ignored()
    try:
        form.submit(status=401)
    finally:
        set_ignored("Unauthorized", "NotFound", "Redirect")

    [entry] = error_log
    assert FIELD in entry["req_html"]
    assert id not in entry["req_html"]


@pytest.fixture
def site_with_users(manager, sites):
    """A site that has a user of the same name as the root, and the page."""

    def add(request):
        site = request["PARENTS"][-1].plain
        alsoProvides(site, IApplication)
        site.manage_addUserFolder()
        site.acl_users._doAddUser("manager", "of the site", ["Manager"], [])

    Visitor(manager.app).visit(add)
    browser = TestApp(manager.app)
    browser.authorization = ("Basic", ("manager", "of the site"))
    return browser


def token_of(browser, page):
    return browser.get(page).forms["sweep"][FIELD].value


def test_a_token_is_not_that_of_the_same_name_in_another_folder(
    manager, site_with_users
):
    manager.authorization = ("Basic", ("manager", "a password"))
    token = token_of(site_with_users, "/plain/@@beaker")

    for page in ("/plain/@@beaker-sweep", "/@@beaker-sweep"):
        manager.post(page, {FIELD: token}, status=403)
    site_with_users.post("/plain/@@beaker-sweep", {FIELD: token}, status=303)


def test_a_token_of_one_page_is_not_for_another(manager, site_with_users):
    mine = token_of(manager, "/@@beaker")
    at_the_site = token_of(manager, "/plain/@@beaker")

    manager.post("/plain/@@beaker-sweep", {FIELD: mine}, status=403)
    manager.post("/@@beaker-sweep", {FIELD: at_the_site}, status=403)
    manager.post("/@@beaker-sweep", {FIELD: mine}, status=303)


def test_a_token_is_accepted_by_another_process(
    manager, file_sessions, monkeypatch
):
    form = manager.get("/@@beaker").forms["sweep"]
    monkeypatch.setattr(seals, "_PROCESS_KEY", "that of another process")

    assert form.submit().status_int == 303


def test_without_a_secret_a_token_is_that_of_a_process(
    manager, config, monkeypatch
):
    config["secret"] = None
    form = manager.get("/@@beaker").forms["sweep"]
    assert form.submit().status_int == 303
    monkeypatch.setattr(seals, "_PROCESS_KEY", "that of another process")

    form.submit(status=403)


def test_a_token_with_characters_that_are_none_is_wrong(application):
    def check(request):
        request.form[FIELD] = "\udcff.\ud800"
        return str(has_valid_token(request["PARENTS"][-1], request))

    assert Visitor(application).visit(check).text == "False"


def test_who_is_refused_is_told_what_else_may_be_wrong(manager):
    refused = manager.post("/@@beaker-sweep", status=403)

    assert "set session.secret" in text_of(refused, "message")


@pytest.fixture
def region_folder(tmp_path, monkeypatch):
    """The folder of a cache region, which is called filed."""
    section = {
        "cache.regions": "filed",
        "cache.filed.type": "file",
        "cache.filed.data_dir": str(tmp_path),
    }
    monkeypatch.setattr(base, "running_section", lambda: section)
    return str(tmp_path)


def test_a_region_of_another_package_is_not_emptied(manager, monkeypatch):
    section = {
        "cache.regions": "other",
        "cache.other.namespace_class": NamespaceManager,
    }
    monkeypatch.setattr(base, "running_section", lambda: section)

    page = manager.get("/@@beaker")
    assert "clear-other" not in page.forms
    assert "a backend of another package" in text_of(page, "caches")

    form = page.forms["sweep"]
    form.action = "/@@beaker-clear?region=other"
    assert "of another package" in form.submit().follow().text


@pytest.mark.parametrize("where", ["zope", "site"])
def test_a_region_beside_sessions_is_emptied_without_them(
    where, manager, config, sites, region_folder
):
    filed = {"type": "file", "data_dir": region_folder}
    session = Sessions(filed).make()

    def configure(request):
        site = request["PARENTS"][-1].special.getSiteManager()
        site.getUtility(ISessionConfig).update(filed)

    make_root_of_special(manager)
    if where == "zope":
        config.update(filed)
    else:
        Visitor(manager.app).visit(configure)

    form = manager.get("/special/@@beaker").forms["clear-filed"]
    text = text_of(form.submit().follow(), "message")

    assert text == "Emptied filed: 0 values removed."
    assert Sessions(filed).ids() == {session}


def test_what_a_button_says_of_an_error_holds_nothing_of_an_address(
    manager, config, caplog
):
    form = manager.get("/@@beaker").forms["sweep"]
    config.update(type="ext:redis", url="redis://:sesame/x@localhost/0")
    response = form.submit()

    assert "cannot be used (ValueError)" in response.follow().text
    assert "sesame" not in response.follow().text
    assert "sesame" not in caplog.text


def test_sweep_removes_what_has_expired(manager, file_sessions):
    file_sessions.make(idle=7200)
    alive = file_sessions.make()

    text = press(manager, "sweep")

    assert text.startswith("Removed 1 expired session, 0 empty records")
    assert "Kept 1 session;" in text
    assert file_sessions.ids() == {alive}


def test_sweep_does_not_take_long(manager, file_sessions, monkeypatch):
    for _ in range(150):
        file_sessions.make(idle=7200)
    monkeypatch.setattr(actions, "SWEEP_SECONDS", 0)

    text = press(manager, "sweep")

    assert "Time ran out after 100 records." in text
    assert len(file_sessions.ids()) == 50


def test_a_session_is_ended(manager, file_sessions, other_visitor):
    other_visitor.visit(count_visit)
    (id,) = file_sessions.ids()

    text = press(manager, "revoke", id=f" {id} ")

    assert text == "Ended the session."
    assert other_visitor.visit(count_visit).text == "1"


def test_the_cookie_of_a_session_will_do_for_its_id(manager, file_sessions):
    id = file_sessions.make()

    text = press(manager, "revoke", id="0123456789" * 4 + id)

    assert text == "Ended the session."
    assert file_sessions.ids() == set()


@pytest.mark.parametrize(
    ("id", "text"),
    [
        (
            "0" * 32,
            "There is no session with this ID. Those of sites with options of "
            "their own are found by collective-beaker revoke --zope.",
        ),
        (
            "no id",
            "A session ID has 32 hexadecimal digits. "
            "Give the ID, or the value of the cookie.",
        ),
    ],
)
def test_an_id_of_no_session_is_told_beside_its_field(
    id, text, manager, file_sessions, caplog
):
    page = page_after(manager, "revoke", id=id)

    field = page.html.find(id="id-field")
    assert text_of(page, field["aria-describedby"]) == text
    assert field["aria-invalid"] == "true"
    assert "value" not in field.attrs
    assert page.html.find(id="message") is None
    # It is one of the user, not of the site.
    assert "failed" not in caplog.text


def test_the_sessions_of_a_user_are_listed(manager, file_sessions):
    visit_as(manager, "curl/8.14.1")
    (id,) = file_sessions.ids()

    text = press(manager, "user", "list", user="/acl_users/manager")

    assert text.startswith("The user has 1 session: curl, last used ")
    assert file_sessions.ids() == {id}


def test_no_more_than_the_ten_sessions_last_used_are_listed(
    manager, file_sessions
):
    mark = file_sessions.session.policy.owners.mark("/acl_users\0manager")
    for minutes in range(11):
        idle = minutes * 60
        id = file_sessions.make(idle, _user=mark, _client=f"a{minutes}")
        file_sessions.store.add_to_index(mark, id)

    text = press(manager, "user", "list", user="/acl_users/manager")

    assert text.startswith("The user has 11 sessions: a0, last used")
    assert "a9, last used" in text
    assert "a10" not in text


def test_the_sessions_of_a_user_are_ended(manager, file_sessions):
    visit_as(manager, "curl/8.14.1")
    other = file_sessions.make()

    text = press(manager, "user", "end", user=" /acl_users/manager ")

    assert text == "Ended 1 session."
    assert file_sessions.ids() == {other}


def test_what_names_no_user_is_told_beside_its_field(manager, file_sessions):
    page = page_after(manager, "user", "end", user="erika")

    text = text_of(page, page.html.find(id="user-field")["aria-describedby"])
    assert "'erika' is not the path of a user" in text
    assert page.html.find(id="message") is None


def test_a_region_is_emptied_and_no_other(manager):
    caches = getUtility(ICacheManager)
    assert isinstance(caches, CacheManager)
    short = caches.get_cache_region("fruit", "Short")
    long = caches.get_cache_region("bread", "long")
    for cache in (short, long):
        cache.put("price", 1)

    text = press(manager, "clear-Short")

    assert text.startswith("Emptied Short: ")
    assert "Other processes of Zope keep their values." in text
    assert "price" not in short
    assert "price" in long


def test_a_region_that_is_not_there_is_an_error(manager):
    form = manager.get("/@@beaker").forms["clear-Short"]
    form["region"] = "Shart"

    text = text_of(form.submit().follow(), "message")

    assert "There is no cache region 'Shart'" in text


@pytest.mark.parametrize(
    ("form", "fields"), [("sweep", {}), ("revoke", {"id": new_id()})]
)
def test_a_button_says_that_the_store_is_down(form, fields, manager, config):
    config.update(type="ext:redis", url=f"redis://127.0.0.1:{free_port()}/0")

    assert "ConnectionError" in press(manager, form, **fields)


def test_a_button_says_that_no_sessions_are_configured(
    manager, file_sessions, unconfigured
):
    token = manager.get("/@@beaker").forms["clear-Short"][FIELD].value

    response = manager.post("/@@beaker-sweep", {FIELD: token})

    text = text_of(response.follow(), "message")
    assert "No sessions are configured" in text


def test_a_message_is_shown_once(manager):
    press(manager, "sweep")

    assert manager.get("/@@beaker").html.find(id="message") is None


@pytest.mark.parametrize(("scheme", "secure"), [("http", 0), ("https", 1)])
def test_the_cookie_of_a_message_is_for_the_page_only(scheme, secure, manager):
    form = manager.get("/@@beaker").forms["sweep"]
    response = form.submit(extra_environ={"wsgi.url_scheme": scheme})

    _, *attributes = response.headers["Set-Cookie"].lower().split("; ")
    assert {"httponly", "samesite=strict"} <= {*attributes}
    assert attributes.count("secure") == secure


def test_a_message_of_a_site_is_shown_once(manager, sites):
    make_root_of_special(manager)
    form = manager.get("/special/@@beaker").forms["sweep"]
    text = text_of(form.submit().follow(), "message")

    assert text.startswith("Removed 0 expired sessions")
    assert manager.get("/special/@@beaker").html.find(id="message") is None


def test_a_message_that_was_made_elsewhere_is_not_shown(manager):
    manager.set_cookie(COOKIE, "WzEsICJoYWhhIl0.0123456789abcdef")

    assert manager.get("/@@beaker").html.find(id="message") is None


def test_a_message_is_no_html(manager):
    form = manager.get("/@@beaker").forms["clear-Short"]
    form["region"] = "<em>&</em>"

    assert "'<em>&</em>'" in text_of(form.submit().follow(), "message")


@pytest.mark.parametrize("typed", ["a" * 5000, "😀" * 5000])
def test_a_message_that_quotes_a_long_text_fits_into_its_cookie(
    typed, manager, file_sessions
):
    form = manager.get("/@@beaker").forms["user"]
    form["user"] = typed
    response = form.submit("list")

    assert len(response.headers["Set-Cookie"]) < 4096
    page = response.follow()
    text = text_of(page, page.html.find(id="user-field")["aria-describedby"])
    assert text.startswith(f"'{typed[:100]}")
    assert text.endswith("…")


# JSON and health


def test_the_json_has_what_the_page_shows(manager, file_sessions):
    file_sessions.make()

    response = manager.get("/@@beaker-status.json")

    assert response.content_type == "application/json"
    assert response.text.endswith("}\n")
    data = json.loads(response.text)
    assert data["verdict"] in ("ok", "warning")
    assert data["stores"][0]["seconds"].keys() == {
        "store",
        "load",
        "swap",
        "delete",
    }
    assert data["sessions"]["survey"]["sessions"] == 1
    assert data["sessions"]["is_complete"] is True
    (short,) = (each for each in data["regions"] if each["name"] == "Short")
    assert (short["type"], short["expire"]) == ("memory", 60)


def test_a_store_that_answers_is_healthy(any_store, application):
    response = TestApp(application).get("/@@beaker-health")

    assert response.text == "ok"
    assert response.content_type == "text/plain"


def test_a_store_that_is_down_is_unavailable(application, config, caplog):
    url = f"redis://me:very-secret@127.0.0.1:{free_port()}/0"
    config.update(type="ext:redis", url=url)

    response = TestApp(application).get("/@@beaker-health", status=503)

    assert response.text == "unavailable"
    assert "ConnectionError: Connection refused" in caplog.text
    assert "very-secret" not in caplog.text


def test_without_sessions_there_is_nothing_to_be_unavailable(
    application, unconfigured
):
    assert TestApp(application).get("/@@beaker-health").text == "ok"


def test_the_health_check_stores_nothing(listing_store, application):
    sessions = Sessions(options_of(listing_store))
    before = sessions.ids()

    TestApp(application).get("/@@beaker-health")

    assert sessions.ids() == before


def test_an_outage_and_its_end_are_logged_once(
    redis, application, config, caplog
):
    caplog.set_level(logging.INFO)
    redis.start()
    config.update(type="ext:redis", url=redis.url)
    health = TestApp(application)
    for _ in range(2):
        redis.stop()
        for _ in range(3):
            health.get("/@@beaker-health", status=503)
        redis.start()
        for _ in range(3):
            health.get("/@@beaker-health")

    assert caplog.text.count("is unavailable") == 2
    assert caplog.text.count("is available again") == 2


def test_the_store_of_one_site_is_not_that_of_another(caplog):
    down = {"type": "ext:redis", "url": f"redis://127.0.0.1:{free_port()}/0"}

    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert not is_available(down)
            assert is_available({"type": "memory"})

    assert caplog.text.count("is unavailable") == 1
    assert "available again" not in caplog.text


def test_what_nobody_has_thought_of_is_logged_by_its_type(caplog):
    options = {"type": "ext:database", "url": "a very-secret that is no URL"}

    with caplog.at_level(logging.ERROR):
        assert not is_available(options)

    assert "ArgumentError" in caplog.text
    assert "very-secret" not in caplog.text


# Counting for a while


def test_results_are_taken_as_long_as_there_is_time():
    assert last_result_within(60, iter([1, 2, 3])) == (3, True)
    assert last_result_within(0, iter([1, 2, 3])) == (1, False)


def test_a_count_tells_whether_it_is_complete(file_sessions):
    for _ in range(150):
        file_sessions.make()

    all, some = (count_sessions(file_sessions.options, s) for s in (60, 0))

    assert (all.survey.sessions, all.is_complete) == (150, True)
    assert (some.survey.sessions, some.is_complete) == (100, False)
    assert some.estimate == 300  # there are locks, too


def test_a_seal_is_good_for_one_purpose(application):
    sealed = seals.seal("a", "text")

    assert seals.unseal("a", sealed) == "text"
    assert seals.unseal("b", sealed) is None
