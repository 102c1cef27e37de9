"""A real browser, which shows itself to nobody."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from collective.beaker.tests.helpers.waiting import SECONDS


ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@contextmanager
def chromium_running(program: str) -> Iterator[Any]:
    """Run a browser, as Playwright's API offers it."""
    # Not everybody who imports the helpers has it.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program, args=ARGUMENTS, timeout=SECONDS * 1000
        )
        yield browser
        browser.close()
