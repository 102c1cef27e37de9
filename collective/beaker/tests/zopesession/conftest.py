import pytest

from collective.beaker.tests.helpers.zope_sessions import zope_sessions_on


@pytest.fixture
def zope_sessions(application):
    with zope_sessions_on():
        yield
