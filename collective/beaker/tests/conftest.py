import gc
import os
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck
from hypothesis import settings
from OFS.Folder import Folder
from persistent.mapping import PersistentMapping
from Products.Five.component import enableSite
from zope.component import getGlobalSiteManager
from zope.component import getUtility
from zope.component.persistentregistry import PersistentComponents
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.stores import circuit
from collective.beaker.tests.helpers.chromium import chromium_running
from collective.beaker.tests.helpers.servers import STARTERS
from collective.beaker.tests.helpers.servers import find_program
from collective.beaker.tests.helpers.servers import mariadb_server
from collective.beaker.tests.helpers.servers import memcached_server
from collective.beaker.tests.helpers.servers import postgresql_server
from collective.beaker.tests.helpers.servers import redis_cluster
from collective.beaker.tests.helpers.servers import redis_server
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stored_sessions import options_of
from collective.beaker.tests.helpers.stores import CONTRACT_STORES
from collective.beaker.tests.helpers.stores import LEASING_STORES
from collective.beaker.tests.helpers.stores import LISTING_STORES
from collective.beaker.tests.helpers.stores import SERVER_STORES
from collective.beaker.tests.helpers.stores import SHARED_STORES
from collective.beaker.tests.helpers.stores import is_chosen
from collective.beaker.tests.helpers.stores import store_fixture
from collective.beaker.tests.helpers.zope import Visitor
from collective.beaker.tests.helpers.zope import load_application
from collective.beaker.tests.helpers.zope import make_instance


# The same examples everywhere, however busy the machine.  To look for others,
# run pytest with --hypothesis-profile=default.
settings.register_profile(
    __name__,
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(__name__)


def pytest_collection_modifyitems(items):
    """Mark what runs once only: see ``product`` in pyproject.toml."""
    for item in items:
        if not is_chosen(item):
            item.add_marker("product")


def pytest_collection_finish():
    """Have no garbage collected among what stays there to the end."""
    gc.freeze()


SETTINGS = """
    session.secret      a secret of the tests
    cache.regions       Short, long
    cache.Short.expire  60
"""


@pytest.fixture(scope="session")
def application(tmp_path_factory):
    """The WSGI application of a real Zope, with sessions in memory."""
    folder = tmp_path_factory.mktemp("instance") / "zope"
    with pytest.MonkeyPatch.context() as patches:
        # Zope waits for up to eight seconds before it tries again.
        patches.setattr(HTTPRequest, "delay_retry", lambda self: None)
        yield load_application(make_instance(folder, SETTINGS))


@pytest.fixture
def config(application):
    """The session options in force, put back after the test."""
    options = getUtility(ISessionConfig)
    before = dict(options)
    yield options
    options.clear()
    options.update(before)


@pytest.fixture
def unconfigured(config):
    """As if zope.conf had no beaker section."""
    utilities = getGlobalSiteManager()
    utilities.unregisterUtility(config, ISessionConfig)
    yield
    utilities.registerUtility(config, ISessionConfig)


@pytest.fixture
def clock(monkeypatch):
    """Return a function that lets seconds pass; else the time stands."""
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])

    def let_pass(seconds):
        now[0] += seconds

    return let_pass


@pytest.fixture
def impatient(monkeypatch):
    """Ask a server that has not answered again at once."""
    monkeypatch.setattr(circuit, "PAUSE_SECONDS", 0)


@pytest.fixture
def visitor(application, config):
    """Someone who visits the Zope of the tests."""
    return Visitor(application)


@pytest.fixture
def other_visitor(application, config):
    return Visitor(application)


@pytest.fixture(scope="module")
def chromium():
    """A real browser."""
    pytest.importorskip("playwright.sync_api")
    with chromium_running(find_program("chromium")) as browser:
        yield browser


@pytest.fixture
def sites(application):
    """The paths of two sites, one of which configures its own sessions."""

    def make_sites(request):
        app = request["PARENTS"][-1]
        for name in ("plain", "special"):
            site = Folder(name)
            app._setObject(name, site)
            components = PersistentComponents()
            components.__bases__ = (getGlobalSiteManager(),)
            site.setSiteManager(components)
            enableSite(site)
        app.special.getSiteManager().registerUtility(
            PersistentMapping(type="memory", key="special"), ISessionConfig
        )

    def remove_sites(request):
        request["PARENTS"][-1].manage_delObjects(["plain", "special"])

    Visitor(application).visit(make_sites)
    yield
    Visitor(application).visit(remove_sites)


@pytest.fixture(scope="session")
def redis(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_port(redis):
    return redis.port


@pytest.fixture(scope="session")
def memcached(tmp_path_factory):
    with memcached_server(tmp_path_factory.mktemp("memcached")) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql():
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb():
    with mariadb_server() as server:
        yield server


@pytest.fixture(scope="session")
def cluster_urls(tmp_path_factory):
    """The addresses of a Redis Cluster, as session.urls takes them."""
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield ",".join(server.url for server in servers)


any_store = store_fixture(*SERVER_STORES, "cookie")
# For rules that hold before a store is asked; a session may be in a cookie.
either_store = store_fixture("file", "cookie")
one_store = store_fixture("file")
server_store = store_fixture(*SERVER_STORES)
every_store = store_fixture(*CONTRACT_STORES)
cookie_store = store_fixture("cookie")
memcached_store = store_fixture("memcached")
crowded_store = store_fixture("redis", "memcached")
mongodb_store = store_fixture("mongodb")
listing_store = store_fixture(*LISTING_STORES)
shared_store = store_fixture(*SHARED_STORES)
pickling_store = store_fixture(
    *(name for name in SERVER_STORES if name != "memory")
)
containing_store = store_fixture(*SHARED_STORES)
every_listing_store = store_fixture(*LISTING_STORES, "rediscluster", "mongodb")
every_leasing_store = store_fixture(*LEASING_STORES, "rediscluster", "mongodb")


@pytest.fixture(scope="module")
def start_server(tmp_path_factory):
    """Return a function that starts a server which these tests may end."""
    servers = {}
    with ExitStack() as stack:

        def start_server(name):
            if name not in servers:
                folder = tmp_path_factory.mktemp(name)
                servers[name] = stack.enter_context(STARTERS[name](folder))
            servers[name].start()
            return servers[name]

        yield start_server


@pytest.fixture
def sessions(every_listing_store):
    """The sessions of a store: none, at first."""
    options = {**options_of(every_listing_store), "timeout": 3600}
    return Sessions(options).alone()


@pytest.fixture
def file_sessions(tmp_path):
    return Sessions({"data_dir": str(tmp_path), "timeout": 3600})


@pytest.fixture
def lock_files(file_sessions):
    """The lock files of the sessions, and a function that makes them old."""
    folder = file_sessions.store._lock_folder

    def paths():
        return [
            os.path.join(where, name)
            for where, _, names in os.walk(folder)
            for name in names
        ]

    def make_old():
        for path in paths():
            os.utime(path, (1, 1))

    return SimpleNamespace(paths=paths, make_old=make_old)
