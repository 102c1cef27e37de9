"""The page in a real browser, as the one who runs a site uses it.

With BEAKER_SCREENSHOTS, which names a folder, the screenshots of the
documentation are taken into it.
"""

import os
from pathlib import Path

import pytest

from collective.beaker.tests.helpers.screens import PHONE
from collective.beaker.tests.helpers.screens import WIDE
from collective.beaker.tests.helpers.servers import write
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.visits import ZCML
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import zope_server


pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

SETTINGS = """
    session.type            file
    session.data_dir        {folder}/sessions_of_the_visitors/of_this_site
    session.timeout         3600
    session.secret          the-secret-of-the-tests-of-the-page
    session.data_serializer json
    cache.type              file
    cache.data_dir          {folder}/cache
    cache.regions           short, long, list
    cache.short.expire      60
    cache.short.data_dir    {folder}/cache-short
    cache.long.expire       86400
    cache.list.type         memory
    cache.list.expire       300
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A Zope in a process of its own, with an administrator."""
    folder = tmp_path_factory.mktemp("page")
    settings = SETTINGS.format(folder=folder / "var")
    zope_ini = make_instance(folder / "zope", settings, ZCML)
    write(folder / "zope/inituser", "admin:a password\n")
    with zope_server(zope_ini, popen={"cwd": str(folder)}) as server:
        server.url = f"http://127.0.0.1:{server.port}"
        server.folder = folder
        yield server


@pytest.fixture
def sessions(site):
    """The stored sessions of that Zope: none, at first."""
    options = {
        "type": "file",
        "data_dir": str(
            site.folder / "var/sessions_of_the_visitors/of_this_site"
        ),
        "timeout": 3600,
        "secret": "the-secret-of-the-tests-of-the-page",
        "data_serializer": "json",
    }
    return Sessions(options).alone()


@pytest.fixture
def open_browser(chromium, site):
    """Return a function that opens the browser of somebody."""
    contexts = []

    def open_browser(password=None, **options):
        if password:
            options["http_credentials"] = {
                "username": "admin",
                "password": password,
            }
        contexts.append(chromium.new_context(base_url=site.url, **options))
        contexts[-1].set_default_timeout(SECONDS * 1000)
        return contexts[-1].new_page()

    yield open_browser
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_browser, sessions):
    """The page as the administrator sees it, without JavaScript."""
    page = open_browser("a password", java_script_enabled=False)
    page.goto("/@@beaker")
    return page


def press(page, button):
    """Press a button; return the message on the page that comes then."""
    page.get_by_role("button", name=button, exact=True).click()
    return page.get_by_role("status").inner_text()


# Looking


def test_who_does_not_log_in_sees_nothing(open_browser):
    for password in (None, "wrong"):
        browser = open_browser(password).context.request
        assert browser.get("/@@beaker").status == 401


def test_who_logs_in_sees_how_all_is(page):
    assert page.title() == "Sessions and caches: Zope"
    assert page.locator("#verdict").inner_text() == "All is well"
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    assert headings == [
        "Stores",
        "Stored sessions",
        "Caches",
        "Settings in force",
        "Versions",
    ]


def test_defaults_are_shown_when_they_are_asked_for(page):
    setting = page.get_by_role("rowheader", name="session.httponly")
    assert not setting.is_visible()

    page.locator("summary", has_text="All other").click()

    assert setting.is_visible()


def test_the_data_of_the_page_are_there_as_json(page):
    page.get_by_role("link", name="this page as JSON").click()

    page.wait_for_url("**/@@beaker-status.json")
    assert '"verdict": "ok"' in page.content()


# Buttons


def test_expired_sessions_are_removed(page, sessions):
    sessions.make(idle=7200)
    alive = sessions.make()

    message = press(page, "Remove expired sessions")

    assert "Removed 1 expired session" in message
    assert sessions.ids() == {alive}


def test_end_a_session(page, open_browser):
    visitor = open_browser()
    for count in ("1", "2"):
        visitor.goto("/@@visits")
        assert visitor.inner_text("body").endswith(f": {count}")
    (cookie,) = visitor.context.cookies()

    page.get_by_label("Session ID").fill(cookie["value"][-32:])
    message = press(page, "End the session")

    assert message == "Ended the session."
    visitor.goto("/@@visits")
    assert visitor.inner_text("body").endswith(": 1")


@pytest.mark.parametrize("region", ["short", "list"])
def test_empty_a_region(page, region):
    message = press(page, f"Empty {region}")

    assert f"Emptied {region}: 0 values removed." in message


def test_a_reload_repeats_nothing(page, sessions):
    press(page, "Remove expired sessions")
    sessions.make(idle=7200)

    page.reload()

    assert page.locator("#message").count() == 0
    assert len(sessions.ids()) == 1


def test_a_form_of_another_site_does_nothing(page, open_browser, sessions):
    sessions.make(idle=7200)
    attacker = open_browser("a password")
    attacker.goto("/@@beaker")
    attacker.set_content(
        '<form action="/@@beaker-sweep" method="post">'
        "<button>Win a prize</button></form>"
    )

    with attacker.expect_response("**/@@beaker-sweep") as answer:
        attacker.get_by_role("button").click()

    assert answer.value.status == 403
    assert len(sessions.ids()) == 1


# For everyone


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_page_is_accessible(scheme, screen, open_browser, sessions):
    sessions.make(idle=7200)
    page = open_browser("a password", color_scheme=scheme, viewport=screen)
    page.goto("/@@beaker")
    page.locator("summary", has_text="All other").click()
    page.get_by_label("Session ID").fill("none")
    page.get_by_role("button", name="End the session").click()
    assert "32 hexadecimal digits" in page.locator("#id-error").inner_text()

    found = axe.Axe().run(page)

    assert found.response["violations"] == [], found.generate_report()


def test_a_phone_need_not_scroll_sideways(open_browser, sessions):
    page = open_browser("a password", viewport=PHONE)
    page.goto("/@@beaker")
    page.locator("summary", has_text="All other").click()

    width = page.evaluate("document.documentElement.scrollWidth")

    assert width == PHONE["width"]


BROKEN_WORDS = """
    elements => elements.flatMap(element => {
        const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT)
        const broken = []
        while (walker.nextNode()) {
            for (const word of walker.currentNode.data.matchAll(/[^/ -]+/g)) {
                const range = document.createRange()
                range.setStart(walker.currentNode, word.index)
                range.setEnd(walker.currentNode, word.index + word[0].length)
                if (range.getClientRects().length > 1) broken.push(word[0])
            }
        }
        return broken
    })
"""
"""JavaScript that finds words which do not stand on one line."""


@pytest.mark.parametrize("width", [360, 600, 1100])
def test_no_path_breaks_within_a_word(width, open_browser, sessions):
    page = open_browser("a password", viewport={**PHONE, "width": width})
    page.goto("/@@beaker")
    page.locator("summary", has_text="All other").click()

    assert page.locator(".code").evaluate_all(BROKEN_WORDS) == []


# Screenshots


@pytest.mark.skipif(
    "BEAKER_SCREENSHOTS" not in os.environ,
    reason="BEAKER_SCREENSHOTS names no folder for screenshots",
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [WIDE, PHONE], ids=["wide", "phone"])
def test_screenshots_are_taken(scheme, screen, open_browser, sessions):
    for idle, number in ((10, 24), (300, 131), (2400, 58), (7200, 17)):
        for some in range(number):
            sessions.make(idle, idle + 900 * (some % 5), note="x" * 60 * some)
    page = open_browser("a password", color_scheme=scheme, viewport=screen)
    page.goto("/@@beaker")
    press(page, "Remove expired sessions")

    # Nobody needs to know where it was taken.
    page.locator("#process").evaluate(
        "element => element.textContent = 'process 4711 on zope1'"
    )
    name = "wide" if screen is WIDE else "phone"
    folder = Path(os.environ["BEAKER_SCREENSHOTS"])
    page.screenshot(path=folder / f"page-{name}-{scheme}.png")
