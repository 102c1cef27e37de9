"""The demo, started and used as its visitors do."""

import re
from base64 import b64encode
from http.cookiejar import CookieJar
from http.cookies import SimpleCookie
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor
from urllib.request import HTTPRedirectHandler
from urllib.request import ProxyHandler
from urllib.request import Request
from urllib.request import build_opener
from xml.etree import ElementTree

import pytest

from collective.beaker.documentation import DOCUMENTATION
from collective.beaker.tests.helpers.demo import DEMO
from collective.beaker.tests.helpers.demo import Demo
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope_alone import zope_alone


pytestmark = pytest.mark.skipif(
    not DEMO.is_dir(), reason="The package was installed without its demo."
)


class StayHere(HTTPRedirectHandler):
    """Follows no redirects."""

    def redirect_request(self, *args):
        return None


class Visitor:
    """Someone with a browser of their own, who keeps cookies."""

    def __init__(self, address):
        self.address = address
        self.browser = build_opener(
            ProxyHandler({}), HTTPCookieProcessor(CookieJar())
        )

    def log_in(self, name="admin", password="demo"):
        """Follow the link that asks for a password; return the page."""
        credentials = b64encode(f"{name}:{password}".encode()).decode()
        header = ("Authorization", f"Basic {credentials}")
        self.browser.addheaders.append(header)
        return self.open("log-in")

    def look(self):
        """Open the start page."""
        return self.open("")

    def press(self, button, **fields):
        """Press a button of the page; return the page that comes then."""
        data = urlencode(fields).encode()
        return self.open(button, data)

    def open(self, path, data=None):
        return Page(self.ask(f"{self.address}/{path}", data))

    def ask(self, request, data=None):
        return self.browser.open(request, data, timeout=SECONDS)


class Page:
    """What a visitor sees."""

    def __init__(self, response):
        self.url = response.url
        self.headers = response.headers
        self.tree = ElementTree.fromstring(response.read())

    def __getitem__(self, id):
        """Return the text of the element with that id."""
        text = "".join(self.tree.find(f".//*[@id='{id}']").itertext())
        return " ".join(text.split())

    def __contains__(self, id):
        return self.tree.find(f".//*[@id='{id}']") is not None


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo that runs, for many visitors."""
    demo = Demo(tmp_path_factory.mktemp("demo"))
    yield demo
    demo.kill()


@pytest.fixture
def start(tmp_path):
    """Start a demo with a folder of the test's own."""
    started = []

    def start(folder=tmp_path, **options):
        started.append(Demo(folder, **options))
        return started[-1]

    yield start
    for demo in started:
        demo.kill()


@pytest.fixture
def visitor(demo):
    return Visitor(demo.address)


# The page


def test_the_counter_counts(visitor):
    counts = [visitor.look()["visit-count"] for visit in range(3)]

    assert counts == ["1", "2", "3"]


def test_visitors_are_counted_apart(visitor, demo):
    visitor.look()

    assert Visitor(demo.address).look()["visit-count"] == "1"


def test_the_page_says_who_is_new_and_who_is_known(visitor):
    assert "You are new here" in visitor.look()["session-status"]
    assert "your session was found" in visitor.look()["session-status"]


def test_the_page_shows_the_id_of_the_session_in_the_cookie(visitor):
    page = visitor.look()

    assert sent_cookie(page).value.endswith(page["session-id"])


def test_the_page_shows_the_flags_as_they_are_sent(visitor):
    page = visitor.look()
    cookie = sent_cookie(page)

    assert page["cookie-name"] == cookie.key
    assert page["cookie-httponly"] == ("yes" if cookie["httponly"] else "no")
    assert page["cookie-samesite"] == cookie["samesite"]
    assert page["cookie-secure"] == ("yes" if cookie["secure"] else "no")
    assert page["cookie-path"] == cookie["path"]


def test_the_cookie_is_httponly_and_lax(visitor):
    cookie = sent_cookie(visitor.look())

    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_each_card_shows_code_that_runs_in_the_demo(visitor):
    cards = visitor.look().tree.findall(".//section")
    shown = ["".join(card.find(".//pre").itertext()) for card in cards]
    source = (DEMO / "visits" / "examples.py").read_text()

    assert len(cards) == 7
    functions = [part for code in shown for part in code.split("\n\n")]
    assert all(f"{function}\n" in source for function in functions)


def test_the_links_lead_to_pages_of_the_documentation(visitor):
    pages = {
        link.get("href").removeprefix(DOCUMENTATION).partition("#")[0]
        for link in visitor.look().tree.findall(".//a")
        if link.get("href").startswith(DOCUMENTATION)
    }

    assert len(pages) > 3
    for page in pages:
        assert (DEMO / f"../docs{page}").with_suffix(".rst").exists()


def test_nobody_between_keeps_the_page(visitor):
    assert visitor.look().headers["Cache-Control"] == "no-store"


def test_the_page_shows_ages(visitor):
    page = visitor.look()

    assert re.fullmatch(r"\d+ (second|minute)s?", page["session-age"])
    assert re.fullmatch(r"\d+ (second|minute)s?", page["number-age"])
    assert page["number-expire"] == "1 minute"


def test_the_page_has_its_style(visitor):
    page = visitor.look()
    link = page.tree.find(".//link[@rel='stylesheet']")

    style = visitor.ask(link.get("href"))

    assert style.headers.get_content_type() == "text/css"
    assert b"prefers-color-scheme" in style.read()


def test_each_form_of_the_page_posts_to_the_demo(visitor, demo):
    forms = visitor.look().tree.findall(".//form")

    assert {form.get("method") for form in forms} == {"post"}
    assert {form.get("action") for form in forms} == {
        f"{demo.address}/{button}" for button in BUTTONS
    }


def sent_cookie(page):
    [cookie] = SimpleCookie(page.headers["Set-Cookie"]).values()
    return cookie


# The buttons

BUTTONS = [
    "save-note",
    "refresh-number",
    "edit-news",
    "delete-session",
    "invalidate-session",
]
ALL_BUTTONS = [*BUTTONS, "log-out-other-devices"]
"""With those of a user."""


def test_a_note_is_kept(visitor):
    visitor.press("save-note", note="Water the plants")

    assert visitor.look()["kept-note"] == "Water the plants"


def test_a_note_is_no_html(visitor):
    page = visitor.press("save-note", note="<em>&</em>")

    assert page["kept-note"] == "<em>&</em>"


def test_without_a_note_the_page_says_so(visitor):
    assert "There is no note" in visitor.look()["note"]


def test_who_deletes_the_session_comes_back_as_a_new_visitor(visitor):
    before = visitor.press("save-note", note="Water the plants")

    page = visitor.press("delete-session")

    assert page["session-id"] != before["session-id"]
    assert page["visit-count"] == "1"
    assert "kept-note" not in page
    assert "You are new here" in page["session-status"]


def test_who_invalidates_the_session_has_an_empty_one(visitor):
    before = visitor.press("save-note", note="Water the plants")

    page = visitor.press("invalidate-session")

    assert page["session-id"] != before["session-id"]
    assert page["visit-count"] == "1"
    assert "kept-note" not in page
    assert "your session was found" in page["session-status"]


def test_the_number_is_the_same_until_it_is_refreshed(visitor, demo):
    numbers = set()
    # Two numbers among 999 may be the same; ten are not.
    for _ in range(10):
        shown = visitor.press("refresh-number")["number-value"]
        assert Visitor(demo.address).look()["number-value"] == shown
        numbers.add(shown)

    assert len(numbers) > 1


def test_the_teaser_is_cached_until_its_object_is_edited(visitor, demo):
    for title in ("Rain", "Sun"):
        visitor.press("edit-news", title=title)
        assert visitor.look()["teaser-text"] == title
        assert Visitor(demo.address).look()["teaser-text"] == title


def test_the_page_shows_what_the_cache_saves(visitor):
    before = visitor.press("edit-news", title="Snow")

    page = visitor.look()

    assert int(page["hits"]) > int(before["hits"])
    assert seconds_saved(page) >= seconds_saved(before) + 0.2


def seconds_saved(page):
    return float(page["saved"].removesuffix(" seconds"))


@pytest.mark.parametrize("button", ALL_BUTTONS)
def test_a_button_answers_with_a_redirect_to_the_page(button, demo, visitor):
    page = visitor.press(button)

    assert page.url.startswith(f"{demo.address}/#")
    assert page.url.partition("#")[2] in page


@pytest.mark.parametrize("button", ALL_BUTTONS)
def test_a_button_redirects_with_303(button, demo):
    """So that the page is fetched with GET, whatever the browser."""
    browser = build_opener(ProxyHandler({}), StayHere)

    with pytest.raises(HTTPError) as answer:
        browser.open(f"{demo.address}/{button}", b"", timeout=SECONDS)

    assert answer.value.status == 303


@pytest.mark.parametrize("button", ALL_BUTTONS)
def test_the_address_of_a_button_changes_nothing(button, demo, visitor):
    visitor.press("save-note", note="Water the plants")
    before = visitor.press("refresh-number")

    page = visitor.open(button)

    assert page["kept-note"] == "Water the plants"
    assert page["session-id"] == before["session-id"]
    assert page["number-value"] == before["number-value"]


# Other devices


def test_who_is_not_logged_in_is_asked_to(visitor):
    with pytest.raises(HTTPError) as answer:
        visitor.open("log-in")

    assert answer.value.status == 401
    assert "not logged in" in visitor.look()["devices-status"]


@zope_alone
def test_a_login_keeps_the_session_under_a_new_id(visitor):
    before = visitor.press("save-note", note="Water the plants")

    page = visitor.log_in()

    assert page["session-id"] != before["session-id"]
    assert page["kept-note"] == "Water the plants"


@zope_alone
def test_a_user_ends_the_sessions_on_other_devices(visitor, demo):
    other = Visitor(demo.address)
    visitor.log_in()
    visitor.press("log-out-other-devices")
    other.log_in()
    assert "and on 1 other device." in visitor.look()["devices-status"]

    page = visitor.press("log-out-other-devices")

    assert "and on 0 other devices." in page["devices-status"]
    assert int(page["visit-count"]) > 1
    assert "You are new here" in other.look()["session-status"]


# The page of the administrator


def test_the_administrator_logs_in_with_what_is_printed(demo):
    address = demo.address
    name, password = re.search(
        r"as (\w+), with the password (\w+)", demo.said
    ).groups()
    credentials = b64encode(f"{name}:{password}".encode()).decode()
    request = Request(
        f"{address}/@@beaker",
        headers={"Authorization": f"Basic {credentials}"},
    )

    answer = Visitor(address).ask(request)

    assert b"Sessions and caches" in answer.read()


def test_others_do_not_see_the_page_of_the_administrator(visitor):
    with pytest.raises(HTTPError) as answer:
        visitor.open("@@beaker")

    assert answer.value.status == 401


# Start and end


def test_ctrl_c_ends_the_demo_cleanly(start):
    demo = start()
    Visitor(demo.address).look()

    demo.press_ctrl_c()

    assert demo.end() == (0, "")


def test_ctrl_c_ends_a_demo_that_is_still_starting(start):
    demo = start()
    assert "Ctrl-C" in demo.read_line()

    demo.press_ctrl_c()

    assert demo.end() == (0, "")


def test_a_demo_that_was_stopped_and_started_knows_the_visitor(start):
    demo = start()
    visitor = Visitor(demo.address)
    before = visitor.press("save-note", note="Water the plants")

    demo.press_ctrl_c()
    demo.end()
    visitor.address = start().address

    page = visitor.look()
    assert page["session-id"] == before["session-id"]
    assert page["visit-count"] == "2"
    assert page["kept-note"] == "Water the plants"


def test_a_port_that_is_taken_is_named(demo, start):
    port = demo.address.rpartition(":")[2]

    status, output = start(port=port).end()

    assert status == 1
    assert output.startswith(f"Port {port} cannot be used: Address already")
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize("port", ["http", "-1", "65536"])
def test_a_port_that_is_none_is_refused(port, start):
    status, output = start(port=port).end()

    assert status == 1
    assert output == f"The port is {port!r}. Give a number from 1 to 65535.\n"


def test_a_folder_that_is_in_use_is_named(demo, start):
    assert demo.address

    status, output = start(folder=demo.folder).end()

    assert status == 1
    assert output.endswith(
        f"Another demo uses {demo.folder}. Stop it, or set DEMO_VAR.\n"
    )
