"""The stores that tests run on: their options, and fixtures of them."""

from types import SimpleNamespace
from zlib import crc32

import mongomock
import pytest
import sqlalchemy
from redis import Redis

from collective.beaker.ids import new_id
from collective.beaker.stores import find_store
from collective.beaker.stores import guarded
from collective.beaker.tests.helpers.records import engine_of


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
    with engine_of(url).begin() as connection:
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


OPTIONS = {
    "memory": _memory,
    "file": _file,
    "dbm": _dbm,
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "mariadb": _mariadb,
    "redis": _redis,
    "memcached": _memcached,
    "rediscluster": _rediscluster,
    "mongodb": _mongodb,
    "cookie": _cookie,
}
"""The functions that return the options of each store.

Each is called with pytest's ``request`` and with a folder of the test.
"""

CONTRACT_STORES = [name for name in OPTIONS if name != "cookie"]
"""The stores that the contract runs on."""

SERVER_STORES = [
    "memory",
    "file",
    "dbm",
    "sqlite",
    "postgresql",
    "mariadb",
    "redis",
    "memcached",
]
"""The stores that most tests run on: a session stays on the server, in a
record as Beaker writes it."""

LISTING_STORES = [name for name in SERVER_STORES if name != "memcached"]
"""Those that can list their sessions."""

SHARED_STORES = [name for name in LISTING_STORES if name != "memory"]
"""Those that can list the sessions of other processes."""

LEASING_STORES = [
    name for name in SHARED_STORES if name not in ("file", "dbm")
]
"""Those whose locks are records that have an end."""


TYPES = {
    "redis": "ext:redis",
    "memcached": "ext:memcached",
    "postgresql": "ext:database",
    "mariadb": "ext:database",
}
"""The types of the stores in each server."""


WRONG_ADDRESSES = [
    {"type": "ext:redis", "url": "redis://:secret@a..b/0"},
    {"type": "ext:redis", "url": "redis+sentinel://:secret@a..b/shop"},
    {"type": "ext:rediscluster", "urls": "redis://:secret@a..b:7000"},
    {"type": "ext:memcached", "url": f"{'a' * 64}.example.org"},
    {"type": "ext:mongodb", "url": "mongodb+srv://a:secret@a..b.c/a"},
    {"type": "ext:database", "url": "postgresql+psycopg://a:secret@a..b/a"},
    {"type": "ext:database", "url": "mysql+pymysql://a:secret@a..b/a"},
    {"type": "ext:database", "url": "mysql+pymysql://a:secret@h/a?charset=no"},
]
"""Options with which client libraries raise what is none of their errors."""


def on_each(*names):
    """Return parameters of a fixture: one for each of these stores.

    The mark tells pytest which of them to choose where one is enough.
    """
    return [
        pytest.param(name, marks=pytest.mark.store(name=name, among=names))
        for name in names
    ]


def is_chosen(item):
    """Tell whether a test is to run where one store for each will do.

    Which store that is depends on nothing but the name of the test, and
    all stores have their share of the tests.
    """
    mark = item.get_closest_marker("store")
    if not mark:
        return True
    names = mark.kwargs["among"]
    test = item.nodeid.partition("[")[0]
    return names[crc32(test.encode()) % len(names)] == mark.kwargs["name"]


def store_fixture(*names):
    """Return a fixture that keeps sessions in each of these stores."""

    @pytest.fixture(params=on_each(*names))
    def store(request, config, tmp_path):
        options = OPTIONS[request.param](request, tmp_path)
        config.update(options)
        return SimpleNamespace(folder=tmp_path, **options)

    return store


def close_circuits():
    """Forget which servers the tests before this one have left hanging."""
    for store in list(guarded._all):
        store._circuit.close()


def server_fixture(*names):
    """Return a fixture that keeps sessions in each of these servers."""

    @pytest.fixture(params=on_each(*names))
    def server(request, config, start_server):
        """A server that keeps the sessions, and that a test may end."""
        server = start_server(request.param)
        close_circuits()
        config.update(type=TYPES[request.param], url=server.url)
        return server

    return server


def make_store(kind, timeout=None, **options):
    return find_store({"type": kind, **options}, timeout)


def text(store, id):
    """Return the text that is stored under an id, or None."""
    record = store.load(id)
    return None if record is None else store.payload(record)
