"""The page of the demo in a real browser.

With BEAKER_SCREENSHOTS, which names a folder, its screenshot is taken there.
"""

import os
from pathlib import Path

import pytest

from collective.beaker.tests.helpers.demo import DEMO
from collective.beaker.tests.helpers.demo import Demo
from collective.beaker.tests.helpers.screens import PHONE
from collective.beaker.tests.helpers.screens import WIDE
from collective.beaker.tests.helpers.waiting import SECONDS


axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = pytest.mark.skipif(
    not DEMO.is_dir(), reason="The package was installed without its demo."
)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    demo = Demo(tmp_path_factory.mktemp("demo"))
    yield demo.address
    demo.kill()


@pytest.fixture
def open_demo(chromium, address):
    """Return a function that shows the demo to its administrator."""
    contexts = []

    def open_demo(**options):
        options["http_credentials"] = {"username": "admin", "password": "demo"}
        contexts.append(chromium.new_context(**options))
        contexts[-1].set_default_timeout(SECONDS * 1000)
        page = contexts[-1].new_page()
        page.goto(f"{address}/log-in")
        page.get_by_role("textbox", name="Note").fill("Water the plants")
        page.get_by_role("button", name="Save").click()
        return page

    yield open_demo
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_demo_is_accessible_and_fits(scheme, screen, open_demo):
    page = open_demo(color_scheme=scheme, viewport=screen)
    page.locator("summary").click()

    found = axe.Axe().run(page)

    assert found.response["violations"] == [], found.generate_report()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == screen["width"]


@pytest.mark.skipif(
    "BEAKER_SCREENSHOTS" not in os.environ,
    reason="BEAKER_SCREENSHOTS names no folder for screenshots",
)
def test_the_screenshot_is_taken(open_demo, address):
    page = open_demo(viewport=WIDE)
    for _ in range(3):
        page.goto(address)

    folder = Path(os.environ["BEAKER_SCREENSHOTS"])
    card = page.locator("#number").bounding_box()
    shown = {"width": WIDE["width"], "height": card["y"] + card["height"] + 16}
    page.screenshot(path=folder / "demo.png", clip={"x": 0, "y": 0, **shown})
