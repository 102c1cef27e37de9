import pytest
from zope.component import getUtility

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.tests.zope import Visitor
from collective.beaker.tests.zope import load_application
from collective.beaker.tests.zope import make_instance


SETTINGS = """
    session.secret  a secret of the tests
    cache.regions   Short, long
    cache.short.expire 60
"""


@pytest.fixture(scope="session")
def application(tmp_path_factory):
    """The WSGI application of a real Zope with sessions in memory."""
    folder = tmp_path_factory.mktemp("instance") / "zope"
    return load_application(make_instance(folder, SETTINGS))


@pytest.fixture
def config(application):
    """The session options in force, put back after the test."""
    options = getUtility(ISessionConfig)
    before = dict(options)
    yield options
    options.clear()
    options.update(before)


@pytest.fixture
def visitor(application, config):
    """Someone who visits the Zope of the tests."""
    return Visitor(application)


@pytest.fixture
def another_visitor(application, config):
    return Visitor(application)
