"""The snapshot that a transaction sees, on each kind of storage."""

import time
from contextlib import ExitStack
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import transaction
from persistent.mapping import PersistentMapping
from ZODB.DB import DB
from ZODB.DemoStorage import DemoStorage
from ZODB.FileStorage import FileStorage
from ZODB.MappingStorage import MappingStorage
from ZODB.utils import p64
from ZODB.utils import u64
from zope.component.hooks import setSite

from collective.beaker.caching.snapshots import MARGIN_SECONDS
from collective.beaker.caching.snapshots import Snapshot
from collective.beaker.caching.snapshots import connection_in_use
from collective.beaker.caching.snapshots import last_committed
from collective.beaker.caching.snapshots import number_of_time
from collective.beaker.caching.snapshots import other_snapshots
from collective.beaker.caching.snapshots import snapshot_in_use
from collective.beaker.tests.helpers.waiting import wait_until


STORAGES = [
    "FileStorage",
    "DemoStorage",
    "MappingStorage",
    "ZEO",
    "RelStorage",
    "RelStorage without history",
]


class Zope:
    """A database as one process has it open, with one transaction."""

    def __init__(self, db):
        self.transactions = transaction.TransactionManager()
        self.connection = db.open(self.transactions)

    @property
    def snapshot(self):
        return Snapshot(self.connection)

    def begin(self):
        self.transactions.begin()

    def write(self, **values):
        root = self.connection.root()
        if "page" not in root:
            root["page"] = PersistentMapping()
        root["page"].update(values)

    def commit(self):
        """Commit; return the id of the transaction."""
        self.transactions.commit()
        return u64(self.connection.root()["page"]._p_serial)

    def read(self, name):
        return self.connection.root()["page"][name]

    def close(self):
        self.transactions.abort()
        self.connection.close()


def open_zeo(stack):
    """Return a function that connects to a ZEO server once more."""
    ZEO = pytest.importorskip("ZEO")
    address, stop = ZEO.server()
    stack.callback(stop)
    return lambda: ZEO.DB(address)


def open_relstorage(url, keep_history):
    """Return a function that connects to PostgreSQL once more."""
    pytest.importorskip("relstorage")
    from relstorage.adapters.postgresql import PostgreSQLAdapter
    from relstorage.options import Options
    from relstorage.storage import RelStorage

    at = urlsplit(url)
    dsn = (
        f"dbname={database_of(url, keep_history)} user={at.username} "
        f"password={at.password} host={at.hostname} port={at.port}"
    )

    def open_database():
        options = Options(keep_history=keep_history, driver="auto")
        adapter = PostgreSQLAdapter(dsn=dsn, options=options)
        return DB(RelStorage(adapter, options=options))

    return open_database


def database_of(url, keep_history):
    """Create a database for one kind of RelStorage; return its name."""
    from sqlalchemy import create_engine
    from sqlalchemy import text

    name = "history" if keep_history else "free"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return name


@pytest.fixture(params=STORAGES)
def zopes(request, tmp_path):
    """Two Zopes with one database, and a page in it."""
    name = request.param
    with ExitStack() as stack:
        if name == "ZEO":
            connect = open_zeo(stack)
            databases = [connect(), connect()]
        elif name.startswith("RelStorage"):
            pytest.importorskip("relstorage")
            url = request.getfixturevalue("postgresql").url
            connect = open_relstorage(url, name == "RelStorage")
            databases = [connect(), connect()]
        else:
            storage = {
                "FileStorage": lambda: FileStorage(str(tmp_path / "fs")),
                "DemoStorage": DemoStorage,
                "MappingStorage": MappingStorage,
            }[name]()
            databases = [DB(storage)] * 2
        for db in dict.fromkeys(databases):
            stack.callback(db.close)
        made = [Zope(db) for db in databases]
        for zope in made:
            stack.callback(zope.close)
        made[0].write(title="old")
        made[0].commit()
        wait_until(lambda: sees(made[1], "old"))
        yield made


def sees(zope, title):
    """Begin a transaction; tell whether it sees a title."""
    zope.begin()
    root = zope.connection.root()
    return "page" in root and root["page"]["title"] == title


def test_a_snapshot_has_the_id_of_the_last_commit_that_it_shows(zopes):
    writer, reader = zopes
    writer.write(title="new")
    commit = writer.commit()
    wait_until(lambda: sees(reader, "new"))

    assert writer.snapshot.tid == commit
    assert reader.snapshot.tid == commit


def test_a_snapshot_stays_what_it_is_while_others_commit(zopes):
    writer, reader = zopes
    reader.begin()
    before = reader.snapshot.tid
    writer.write(title="new")
    commit = writer.commit()

    assert reader.snapshot.tid == before < commit
    assert reader.read("title") == "old"


def test_the_last_commit_is_known_as_soon_as_it_is_done(zopes):
    writer, _ = zopes
    writer.write(title="new")
    commit = writer.commit()

    assert last_committed(writer.connection) == commit


def test_what_others_have_committed_since_is_known_to_an_old_snapshot(zopes):
    writer, reader = zopes
    reader.begin()
    writer.write(title="new")
    commit = writer.commit()

    wait_until(lambda: reader.snapshot.latest == commit)
    assert reader.snapshot.tid < commit
    assert reader.read("title") == "old"


def test_a_snapshot_is_clean_until_something_is_changed(zopes):
    writer, _ = zopes
    writer.begin()
    snapshot = writer.snapshot
    assert snapshot.is_clean
    assert snapshot.is_still_clean()

    writer.write(title="new")
    assert not snapshot.is_clean
    assert not snapshot.is_still_clean()

    writer.transactions.savepoint()
    assert not snapshot.is_clean

    writer.commit()
    assert writer.snapshot.is_clean


def test_a_connection_to_the_past_has_the_id_of_its_time(db):
    zope = Zope(db)
    zope.write(title="old")
    commit = zope.commit()
    zope.write(title="new")
    zope.commit()
    with closing(db.open(at=p64(commit))) as past:
        assert past.root()["page"]["title"] == "old"
        assert Snapshot(past).tid == commit
    zope.close()


# Which connection


@pytest.fixture
def db():
    with closing(DB(MappingStorage())) as db:
        yield db


class Site(PersistentMapping):
    """A local site, as far as hooks are concerned."""

    def getSiteManager(self):
        return None


@pytest.fixture
def site(db):
    connection = db.open()
    connection.root()["site"] = site = Site()
    transaction.commit()
    setSite(site)
    yield site
    setSite(None)
    transaction.abort()
    connection.close()


def test_the_connection_in_use_is_that_of_the_site(site):
    assert connection_in_use() is site._p_jar
    assert snapshot_in_use().tid == u64(site._p_serial)


def test_in_zopes_root_the_connection_in_use_is_that_of_the_request(visitor):
    found = []

    def view(request):
        application = request["PARENTS"][-1]
        found.append(connection_in_use() is application._p_jar)

    visitor.visit(view)
    assert found == [True]


def test_without_a_zodb_the_time_takes_the_place_of_an_id(clock):
    assert connection_in_use() is None
    snapshot = snapshot_in_use()
    moment = number_of_time(time.time())

    assert snapshot.is_clean
    assert snapshot.commit is None
    assert snapshot.tid < moment
    clock(MARGIN_SECONDS)
    assert snapshot_in_use().tid == moment


def test_a_time_is_a_number_as_storages_make_ids_of_it(db):
    before = number_of_time(time.time())
    zope = Zope(db)
    zope.write(title="new")
    commit = zope.commit()
    after = number_of_time(time.time())
    zope.close()

    assert before <= commit <= after


# Several databases


@pytest.fixture
def mounted():
    """A connection to a database in which another one is mounted."""
    databases: dict = {}
    main = DB(MappingStorage(), databases=databases, database_name="main")
    DB(MappingStorage(), databases=databases, database_name="catalog")
    connection = main.open()
    yield connection
    transaction.abort()
    connection.close()
    for db in databases.values():
        db.close()


def test_one_database_has_no_others(mounted):
    assert other_snapshots(mounted) == ()


def test_others_are_those_that_were_opened(mounted):
    catalog = mounted.get_connection("catalog")
    ((name, tid),) = other_snapshots(mounted)

    assert name == "catalog"
    assert tid == Snapshot(catalog).tid


def test_a_change_in_any_database_is_a_change(mounted):
    catalog = mounted.get_connection("catalog")
    catalog.root()["page"] = PersistentMapping()

    assert not Snapshot(mounted).is_clean


def test_what_was_read_from_a_database_that_was_opened_later_is_not_clean(
    mounted,
):
    snapshot = Snapshot(mounted, other_snapshots(mounted))
    assert snapshot.is_still_clean()

    mounted.get_connection("catalog")
    assert snapshot.is_clean
    assert not snapshot.is_still_clean()
