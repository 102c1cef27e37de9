"""The demo, started and used as its visitors do."""

import os
import re
import signal
import subprocess
import sys
from base64 import b64encode
from functools import cached_property
from http.cookiejar import CookieJar
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor
from urllib.request import HTTPRedirectHandler
from urllib.request import ProxyHandler
from urllib.request import Request
from urllib.request import build_opener
from xml.etree import ElementTree

import pytest

from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.waiting import limited


DEMO = Path(__file__).parents[4] / "demo"

pytestmark = pytest.mark.skipif(
    not DEMO.is_dir(), reason="The package was installed without its demo."
)


class Demo:
    """The demo in a process of its own, and what it prints."""

    def __init__(self, folder, port="0"):
        self.folder = folder
        self.said = ""
        self.process = subprocess.Popen(
            [sys.executable, DEMO / "run.py", port],
            env=os.environ | {"DEMO_VAR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_line(self):
        """Return the next line that is printed; end a demo that hangs."""
        with limited(self.process):
            return self.process.stdout.readline()

    @cached_property
    def address(self):
        """The address that is printed, once the demo can be visited."""
        while line := self.read_line():
            self.said += line
            if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                return match[0]
        pytest.fail(f"The demo printed no address:\n{self.said}")

    def press_ctrl_c(self):
        self.process.send_signal(signal.SIGINT)

    def end(self):
        """Wait for the end; return the exit status and the last output."""
        with limited(self.process):
            output, _ = self.process.communicate()
        return self.process.returncode, output

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


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
    "delete-session",
    "invalidate-session",
]


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


@pytest.mark.parametrize("button", BUTTONS)
def test_a_button_answers_with_a_redirect_to_the_page(button, demo, visitor):
    page = visitor.press(button)

    assert page.url.startswith(f"{demo.address}/#")
    assert page.url.partition("#")[2] in page


@pytest.mark.parametrize("button", BUTTONS)
def test_a_button_redirects_with_303(button, demo):
    """So that the page is fetched with GET, whatever the browser."""
    browser = build_opener(ProxyHandler({}), StayHere)

    with pytest.raises(HTTPError) as answer:
        browser.open(f"{demo.address}/{button}", b"", timeout=SECONDS)

    assert answer.value.status == 303


@pytest.mark.parametrize("button", BUTTONS)
def test_the_address_of_a_button_changes_nothing(button, demo, visitor):
    visitor.press("save-note", note="Water the plants")
    before = visitor.press("refresh-number")

    page = visitor.open(button)

    assert page["kept-note"] == "Water the plants"
    assert page["session-id"] == before["session-id"]
    assert page["number-value"] == before["number-value"]


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
