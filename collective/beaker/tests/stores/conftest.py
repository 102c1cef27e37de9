"""Fixtures for the tests of stores."""

import os

import pytest

from collective.beaker.ids import new_id


@pytest.fixture
def id():
    return new_id()


@pytest.fixture(params=[0, 0o022, 0o277], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)
