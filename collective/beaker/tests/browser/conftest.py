"""A real browser for the tests in this folder."""

import pytest

from collective.beaker.tests.helpers.chromium import chromium_running
from collective.beaker.tests.helpers.servers import find_program


@pytest.fixture(scope="module")
def chromium():
    with chromium_running(find_program("chromium")) as browser:
        yield browser
