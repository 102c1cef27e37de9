"""Two Zopes with one database, whose pages are edited while they are read."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event
from urllib.parse import urlsplit

import pytest
from redis import Redis

from collective.beaker.tests.helpers.edited_views import ZCML
from collective.beaker.tests.helpers.servers import redis_server
from collective.beaker.tests.helpers.shared_database import use_database
from collective.beaker.tests.helpers.shared_database import zeo_database
from collective.beaker.tests.helpers.sites import Browser
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.waiting import wait_until
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import zope_server


EDITS = 60
READERS = 2
"""How many read at the same time from each Zope."""

SETTINGS = """
    cache.type          ext:redis
    cache.url           {url}
    cache.regions       short
    cache.short.expire  3600
"""

RELSTORAGE = """\
%import relstorage
<zodb_db main>
    <relstorage>
        <postgresql>
            dsn {dsn}
        </postgresql>
    </relstorage>
    mount-point /
</zodb_db>
"""


@pytest.fixture(params=["ZEO", "RelStorage"])
def database(request, tmp_path):
    """The lines of zope.conf for a database that two Zopes share."""
    with ExitStack() as stack:
        if request.param == "ZEO":
            pytest.importorskip("ZEO")
            yield stack.enter_context(zeo_database(tmp_path))
        else:
            pytest.importorskip("relstorage")
            at = urlsplit(request.getfixturevalue("postgresql").url)
            yield RELSTORAGE.format(
                dsn=f"dbname=postgres host={at.hostname} port={at.port} "
                f"user={at.username} password={at.password}"
            )


@pytest.fixture
def redis(tmp_path):
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def zopes(database, redis, tmp_path):
    """Two Zopes with one database, whose caches are in one Redis."""
    with ExitStack() as stack:
        settings = SETTINGS.format(url=redis.url)
        zopes = []
        for number in range(2):
            instance = tmp_path / f"zope{number}"
            zope_ini = make_instance(instance, settings, ZCML)
            use_database(instance / "etc" / "zope.conf", database)
            # The first one creates the database.
            zopes.append(stack.enter_context(zope_server(zope_ini)))
        yield zopes


class Read:
    """What a reader saw in one transaction."""

    def __init__(self, answer):
        assert answer.status_int == 200, answer.text
        title, cached, self.computed = answer.text.split()
        self.title, self.cached = int(title), int(cached)


def test_nobody_gets_a_value_from_before_a_commit_that_they_see(zopes):
    edited = Event()

    def edit():
        try:
            for number in range(1, EDITS + 1):
                browser = Browser(zopes[number % 2].port)
                assert browser.get(f"/@@edit?title={number}").status_int == 200
        finally:
            edited.set()

    def read(zope):
        browser = Browser(zope.port)
        reads = []
        while not edited.is_set():
            reads.append(Read(browser.get("/@@read")))
        return reads

    Browser(zopes[0].port).get("/@@edit?title=0")
    with ThreadPoolExecutor() as threads:
        readers = [threads.submit(read, zope) for zope in zopes * READERS]
        threads.submit(edit).result(SECONDS)
        reads = [found for reader in readers for found in reader.result()]

    assert len(reads) > EDITS
    stale = [found for found in reads if found.cached < found.title]
    assert stale == []
    # A cache that keeps nothing is never stale.
    values = {(found.cached, found.computed) for found in reads}
    assert len(values) < len(reads)
    # This one has made the last edit.
    last = Read(Browser(zopes[EDITS % 2].port).get("/@@read"))
    assert last.cached == EDITS


def test_a_store_that_is_emptied_brings_nothing_old_back(
    zopes, redis, tmp_path
):
    """A slow request goes on with what it saw before an edit."""
    editor, late = (Browser(zope.port) for zope in zopes)
    editor.get("/@@edit?title=0")
    wait_until(lambda: Read(late.get("/@@read")).title == 0)
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(late.get, f"/@@read-late?folder={tmp_path}")
        wait_until((tmp_path / "begun").exists)
        editor.get("/@@edit?title=1")
        Redis.from_url(redis.url).flushall()
        (tmp_path / "others-done").touch()
        assert Read(answer.result()).title == 0

    wait_until(lambda: Read(late.get("/@@read")).title == 1)
    assert Read(late.get("/@@read")).cached == 1
