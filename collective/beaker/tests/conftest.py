import time
from types import SimpleNamespace

import mongomock
import pytest
import sqlalchemy
from hypothesis import HealthCheck
from hypothesis import settings
from OFS.Folder import Folder
from persistent.mapping import PersistentMapping
from Products.Five.component import enableSite
from redis import Redis
from zope.component import getGlobalSiteManager
from zope.component import getUtility
from zope.component.persistentregistry import PersistentComponents

from collective.beaker.ids import new_id
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.tests.helpers.servers import mariadb_server
from collective.beaker.tests.helpers.servers import memcached_server
from collective.beaker.tests.helpers.servers import postgresql_server
from collective.beaker.tests.helpers.servers import redis_cluster
from collective.beaker.tests.helpers.servers import redis_server
from collective.beaker.tests.helpers.zope import Visitor
from collective.beaker.tests.helpers.zope import load_application
from collective.beaker.tests.helpers.zope import make_instance


# How fast examples are made depends on what else the machine does.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")

SETTINGS = """
    session.secret      a secret of the tests
    cache.regions       Short, long
    cache.Short.expire  60
"""


@pytest.fixture(scope="session")
def application(tmp_path_factory):
    """The WSGI application of a real Zope, with sessions in memory."""
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
def visitor(application, config):
    """Someone who visits the Zope of the tests."""
    return Visitor(application)


@pytest.fixture
def other_visitor(application, config):
    return Visitor(application)


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


def _running(request, name):
    """Return a server, which a test before this one may have ended."""
    server = request.getfixturevalue(name)
    server.start()
    return server


def _memory(request, folder):
    return {"type": "memory"}


def _file(request, folder):
    return {"type": "file", "data_dir": str(folder)}


def _dbm(request, folder):
    return {"type": "dbm", "data_dir": str(folder)}


def _sqlite(request, folder):
    return {"type": "ext:database", "url": f"sqlite:///{folder}/sessions.db"}


def _postgresql(request, folder):
    return _database(_running(request, "postgresql").url)


def _mariadb(request, folder):
    return _database(_running(request, "mariadb").url)


def _database(url):
    """Return the options of a store, and leave nothing in its tables."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        for name in sqlalchemy.inspect(connection).get_table_names():
            connection.execute(sqlalchemy.table(name).delete())
    return {"type": "ext:database", "url": url}


def _redis(request, folder):
    server = _running(request, "redis")
    Redis.from_url(server.url).flushall()
    return {"type": "ext:redis", "url": server.url}


def _rediscluster(request, folder):
    urls = request.getfixturevalue("cluster_urls")
    return {"type": "ext:rediscluster", "urls": urls}


def _mongodb(request, folder):
    """A MongoDB is not to be had here; mongomock stands in for it."""
    # Clients of one address are equal, whatever they hold.
    client = mongomock.MongoClient(f"mongodb://{new_id()}/sessions")
    return {"type": "ext:mongodb", "url": client}


def _memcached(request, folder):
    server = _running(request, "memcached")
    return {"type": "ext:memcached", "url": server.url}


def _cookie(request, folder):
    return {"type": "cookie", "validate_key": "a key for the tests"}


SERVER_STORES = [
    _memory,
    _file,
    _dbm,
    _sqlite,
    _postgresql,
    _mariadb,
    _redis,
    _memcached,
]


def _store_fixture(stores):
    ids = [store.__name__.strip("_") for store in stores]

    @pytest.fixture(params=stores, ids=ids)
    def store(request, config, tmp_path):
        options = request.param(request, tmp_path)
        config.update(options)
        return SimpleNamespace(folder=tmp_path, **options)

    return store


any_store = _store_fixture([*SERVER_STORES, _cookie])
server_store = _store_fixture(SERVER_STORES)
every_store = _store_fixture([*SERVER_STORES, _rediscluster, _mongodb])
cookie_store = _store_fixture([_cookie])
memcached_store = _store_fixture([_memcached])
crowded_store = _store_fixture([_redis, _memcached])
pickling_store = _store_fixture(
    [store for store in SERVER_STORES if store is not _memory]
)
containing_store = _store_fixture(
    [store for store in SERVER_STORES if store not in (_memory, _memcached)]
)
