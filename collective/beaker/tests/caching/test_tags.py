"""What was made from something that has changed is dropped."""

from contextlib import contextmanager
from itertools import count
from threading import Barrier
from threading import Thread

import pytest
import transaction
from beaker.cache import cache_regions
from persistent.mapping import PersistentMapping
from redis import Redis
from ZODB.DB import DB
from ZODB.MappingStorage import MappingStorage
from zope.component.hooks import getSite
from zope.component.hooks import setSite

from collective.beaker.caching import cached
from collective.beaker.caching import drop
from collective.beaker.caching.factory import find_region
from collective.beaker.caching.names import name_of_tag
from collective.beaker.caching.names import names_of
from collective.beaker.caching.names import prefix_of
from collective.beaker.caching.region import MARK_SECONDS
from collective.beaker.caching.snapshots import MARGIN_SECONDS
from collective.beaker.caching.tags import names_of_tags
from collective.beaker.interfaces import StoreFull
from collective.beaker.stores.values.base import digits
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.regions import in_threads
from collective.beaker.tests.helpers.regions import nothing_is_owed
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.servers import refusing_writes
from collective.beaker.tests.helpers.stores import OPTIONS
from collective.beaker.tests.helpers.stores import SERVER_STORES
from collective.beaker.tests.helpers.stores import on_each
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.waiting import wait_until


class Site(PersistentMapping):
    """A local site, as far as hooks are concerned."""

    def getSiteManager(self):
        return None


@pytest.fixture
def region(monkeypatch, request):
    """A cache region of this test, in memory."""
    options = {"type": "memory", "expire": 3600}
    name = request.node.name
    monkeypatch.setitem(cache_regions, name, options)
    return name


@pytest.fixture
def databases():
    """A database with a site, and one that may be mounted there."""
    databases: dict = {}
    for name in ("main", "catalog"):
        db = DB(MappingStorage(), databases=databases, database_name=name)
        with db.transaction() as connection:
            root = connection.root()
            root["site"] = Site(news="old", teaser="old")
    yield databases
    for db in databases.values():
        db.close()


class Zope:
    """One thread of one Zope, as far as the ZODB is concerned."""

    def __init__(self, databases):
        self.transactions = transaction.TransactionManager()
        self.connection = databases["main"].open(self.transactions)

    @contextmanager
    def at_work(self):
        """Be in the site, in the transaction that has begun."""
        setSite(self.connection.root()["site"])
        try:
            yield getSite()
        finally:
            setSite(None)

    def edit(self, *tags, **changes):
        """Change the site and drop tags, in a transaction of its own."""
        self._change(changes, drop, *tags)

    def edit_and_invalidate(self, function, **changes):
        """Change the site and invalidate a result, in a transaction."""
        self._change(changes, function.invalidate)

    def _change(self, changes, forget, *args):
        self.transactions.begin()
        with self.at_work() as site:
            if changes:
                site.update(changes)
            forget(*args)
            self.transactions.commit()

    def see(self, function, *args):
        """Call a function in a transaction that begins now."""
        self.transactions.begin()
        return self.see_still(function, *args)

    def see_still(self, function, *args):
        """Call a function in the transaction that has begun."""
        with self.at_work():
            return function(*args)

    def close(self):
        self.transactions.abort()
        self.connection.close()


@pytest.fixture
def zopes(databases):
    zopes = [Zope(databases) for _ in range(3)]
    yield zopes
    for zope in zopes:
        zope.close()


@pytest.fixture
def zope(zopes):
    return zopes[0]


@pytest.fixture
def computed():
    """The names for which something was computed."""
    return []


@pytest.fixture
def news(region):
    """A cached function that reads from the site, without a tag."""

    @cached(region, name=region)
    def news():
        return getSite()["news"]

    return news


@pytest.fixture
def title(region, computed):
    """A cached function that reads from the site, with the name as tag."""

    @cached(region, tags=lambda name: name, name=region)
    def title(name):
        computed.append(name)
        return getSite()[name]

    return title


def test_what_was_dropped_is_computed_anew(zope, title):
    assert zope.see(title, "news") == "old"
    zope.edit("news", news="new")

    assert zope.see(title, "news") == "new"


def test_what_has_another_tag_is_kept(zope, title, computed):
    zope.see(title, "news")
    zope.edit("teaser", teaser="new")

    zope.see(title, "news")
    assert computed == ["news"]


def test_what_was_computed_after_the_commit_is_kept(zopes, title, computed):
    editor, *readers = zopes
    editor.edit("news", news="new")
    for reader in readers:
        assert reader.see(title, "news") == "new"

    assert computed == ["news"]


def test_what_somebody_stores_who_does_not_see_the_commit_reaches_nobody(
    zopes, title
):
    editor, late, reader = zopes
    late.transactions.begin()
    editor.edit("news", news="new")
    assert late.see_still(title, "news") == "old"

    assert reader.see(title, "news") == "new"
    assert late.see(title, "news") == "new"


@pytest.fixture(params=on_each(*SERVER_STORES, "rediscluster", "mongodb"))
def stored(request, region, tmp_path, monkeypatch):
    """The region of this test, in each kind of store."""
    options = OPTIONS[request.param](request, tmp_path)
    options |= {"expire": 3600, "socket_timeout": SECONDS}
    monkeypatch.setitem(cache_regions, region, options)


def test_drops_are_exact_in_each_store(stored, zopes, title, computed):
    editor, late, reader = zopes
    late.transactions.begin()
    editor.edit("news", news="new")
    late.see_still(title, "news")

    for _ in range(3):
        assert reader.see(title, "news") == "new"
    assert computed == ["news"] * 2


def test_what_is_being_computed_during_the_commit_reaches_nobody(
    zopes, region
):
    editor, late, reader = zopes

    @cached(region, tags=lambda: "news", name=region)
    def title():
        site = getSite()
        if site._p_jar is late.connection:
            edit = Thread(target=editor.edit, args=["news"], kwargs=changes)
            edit.start()
            edit.join()
        return site["news"]

    changes = {"news": "new"}
    assert late.see(title) == "old"
    assert reader.see(title) == "new"


def test_nothing_is_dropped_if_the_transaction_aborts(zope, title, computed):
    zope.see(title, "news")
    with zope.at_work() as site:
        site["news"] = "new"
        drop("news")
        zope.transactions.abort()

    assert zope.see(title, "news") == "old"
    assert computed == ["news"]


def test_what_is_dropped_after_a_savepoint_is_rolled_back_with_it(
    zope, title, computed
):
    for name in ("news", "teaser"):
        zope.see(title, name)
    with zope.at_work() as site:
        site["news"] = "new"
        drop("news")
        savepoint = zope.transactions.savepoint()
        site["teaser"] = "new"
        drop("teaser")
        savepoint.rollback()
        zope.transactions.commit()

    assert zope.see(title, "news") == "new"
    assert zope.see(title, "teaser") == "old"
    assert computed == ["news", "teaser", "news"]


def test_a_drop_after_a_first_one_was_rolled_back_counts(zope, title):
    zope.see(title, "news")
    with zope.at_work() as site:
        savepoint = zope.transactions.savepoint()
        drop("teaser")
        savepoint.rollback()
        site["news"] = "new"
        drop("news")
        zope.transactions.commit()

    assert zope.see(title, "news") == "new"


def test_one_transaction_drops_several_times(zope, title):
    for name in ("news", "teaser"):
        zope.see(title, name)
    with zope.at_work() as site:
        site.update(news="new", teaser="new")
        drop("news")
        drop("teaser", "news")
        drop()
        zope.transactions.commit()

    assert zope.see(title, "news") == zope.see(title, "teaser") == "new"


def test_a_transaction_sees_what_it_has_changed_and_nobody_else_does(
    zopes, title
):
    editor, reader, _ = zopes
    editor.see(title, "news")
    with editor.at_work() as site:
        site["news"] = "new"
        drop("news")

        assert title("news") == "new"
    assert reader.see(title, "news") == "old"


def test_what_sees_an_uncommitted_change_is_not_stored(zopes, title):
    editor, reader, _ = zopes
    editor.transactions.begin()
    with editor.at_work() as site:
        site["news"] = "new"

        assert title("news") == "new"
    assert reader.see(title, "news") == "old"


def test_what_a_function_computes_that_changes_something_is_not_stored(
    zopes, region
):
    editor, reader, _ = zopes

    @cached(region, name=region)
    def count():
        getSite()["count"] = getSite().get("count", 0) + 1
        return getSite()["count"]

    assert editor.see(count) == 1
    assert editor.see_still(count) == 2
    editor.transactions.abort()
    reader.see(count)
    assert reader.see_still(count) == 2


def test_each_transaction_of_a_thread_drops_for_itself(zopes, title):
    one, other, _ = zopes
    one.see(title, "news")
    with one.at_work():
        drop("teaser")
    other.edit("news", news="new")
    one.transactions.abort()

    assert one.see(title, "news") == "new"


def test_a_tag_has_the_id_of_the_commit_that_dropped_it(zope, region, title):
    zope.see(title, "news")
    zope.edit("news", news="new")
    commit = zope.connection.root()["site"]._p_serial
    [name] = names_of_tags(("news",), "main").by_commit
    record = name_of_tag(name)

    found = find_region(region).store.get([record])
    assert found == {record: commit.hex().encode()}


def test_several_tags_are_each_enough(zope, region):
    @cached(region, tags=[lambda: "news", lambda: ("a", "b")], name=region)
    def site():
        return dict(getSite())

    for number, tag in enumerate(("news", "a", "b")):
        zope.see(site)
        zope.edit(tag, number=number)
        assert zope.see(site)["number"] == number


def test_a_tag_is_dropped_in_all_regions(zope, title, monkeypatch, request):
    other = f"{request.node.name} too"
    options = {"type": "memory", "expire": 3600}
    monkeypatch.setitem(cache_regions, other, options)

    @cached(other, tags=lambda: "news", name=other)
    def news():
        return getSite()["news"]

    assert zope.see(title, "news") == zope.see(news) == "old"
    zope.edit("news", news="new")
    assert zope.see(title, "news") == zope.see(news) == "new"


def test_a_process_that_is_killed_after_the_commit_has_dropped_before(
    zopes, title
):
    editor, reader, _ = zopes
    reader.see(title, "news")

    class Killed:
        """Ends the commit when the ZODB is done."""

        def tpc_finish(self, transaction):
            raise SystemExit

        def sortKey(self):
            return "~"

        abort = tpc_begin = commit = tpc_vote = tpc_abort = print

    editor.transactions.begin()
    editor.transactions.get().join(Killed())
    with editor.at_work() as site, pytest.raises(SystemExit):
        site["news"] = "new"
        drop("news")
        editor.transactions.commit()

    assert reader.see(title, "news") == "new"


def test_a_store_that_fails_does_not_keep_anybody_from_committing(
    zope, title, monkeypatch, request, caplog
):
    options = {"type": "ext:redis", "url": f"redis://127.0.0.1:{free_port()}"}
    monkeypatch.setitem(cache_regions, f"{request.node.name} too", options)
    zope.see(title, "news")
    zope.edit("news", news="new")

    assert zope.see(title, "news") == "new"
    [record] = log_of(caplog)
    assert "keeps values that were dropped" in record.getMessage()


def test_a_store_that_comes_back_is_told_what_was_dropped(
    zope, title, region, start_server, monkeypatch
):
    server = start_server("redis")
    options = {"type": "ext:redis", "url": server.url, "expire": 3600}
    monkeypatch.setitem(cache_regions, region, options)
    assert zope.see(title, "news") == "old"
    server.kill()
    zope.edit("news", news="new")

    server.start()
    wait_until(nothing_is_owed)
    assert zope.see(title, "news") == "new"


def test_who_owes_a_drop_to_a_store_does_not_find_what_it_keeps(
    zope, title, region, redis, monkeypatch
):
    options = {"type": "ext:redis", "url": redis.url, "expire": 3600}
    monkeypatch.setitem(cache_regions, region, options)
    assert zope.see(title, "news") == "old"

    with refusing_writes(redis):
        zope.edit("news", news="new")
        assert zope.see(title, "news") == "new"


def test_what_was_invalidated_does_not_come_back_when_the_new_value_expires(
    zopes, news, clock
):
    editor, late, reader = zopes
    late.transactions.begin()
    editor.edit_and_invalidate(news, news="new")
    assert reader.see(news) == "new"
    clock(3600)

    assert late.see_still(news) == "old"
    assert reader.see(news) == "new"


@pytest.mark.parametrize("changes", [{"news": "new"}, {}])
def test_a_store_that_comes_back_is_told_what_was_invalidated(
    changes, zope, title, computed, region, start_server, monkeypatch
):
    server = start_server("redis")
    options = {"type": "ext:redis", "url": server.url, "expire": 3600}
    monkeypatch.setitem(cache_regions, region, options)
    zope.see(title, "news")
    Redis.from_url(server.url).save()
    server.kill()
    zope.transactions.begin()
    with zope.at_work() as site:
        site.update(changes)
        title.invalidate("news")
        zope.transactions.commit()

    server.start()
    wait_until(nothing_is_owed)
    computed.clear()
    zope.see(title, "news")
    assert computed


# Without a commit in the ZODB


def test_without_a_change_in_the_zodb_the_time_of_the_commit_counts(
    zope, title, computed, clock
):
    zope.see(title, "news")
    clock(1)
    zope.edit("news")

    zope.see(title, "news")
    # Clocks differ: this might have been before the commit.
    zope.see(title, "news")
    assert len(computed) == 3

    clock(MARGIN_SECONDS + 1)
    zope.see(title, "news")
    zope.see(title, "news")
    assert len(computed) == 4


def test_the_time_of_a_drop_does_not_hide_a_later_commit(zope, title, clock):
    zope.edit("news")
    clock(MARGIN_SECONDS + 1)
    assert zope.see(title, "news") == "old"
    zope.edit("news", news="new")

    assert zope.see(title, "news") == "new"


@pytest.fixture
def rates():
    """What is kept outside of the ZODB."""
    return {"EUR": 1}


@pytest.fixture
def euro(region, rates):
    """A cached function that reads from the rates."""

    @cached(region, tags=lambda: "rates", name=region)
    def euro():
        return rates["EUR"]

    return euro


def test_without_a_zodb_a_transaction_drops_by_time(rates, euro):
    assert euro() == 1
    rates["EUR"] = 2
    drop("rates")
    transaction.abort()
    assert euro() == 1

    drop("rates")
    transaction.commit()
    assert euro() == 2


def test_a_clock_that_was_far_ahead_drops_nothing_until_that_time(
    zope, title, computed, clock
):
    clock(3600)
    zope.see(title, "news")
    clock(-3600)
    zope.see(title, "news")
    assert len(computed) == 2

    clock(MARGIN_SECONDS + 1)
    zope.see(title, "news")
    zope.see(title, "news")
    assert len(computed) == 3


def test_nor_does_it_keep_values_without_a_zodb_from_being_stored(
    region, computed, clock
):
    @cached(region, name=region)
    def euro():
        computed.append("EUR")
        return 1

    clock(3600)
    euro()
    clock(-3600)
    euro()
    euro()

    assert len(computed) == 2


def test_what_a_clock_far_ahead_has_stored_for_ever_can_be_dropped(
    region, rates, euro, clock, monkeypatch
):
    monkeypatch.setitem(cache_regions[region], "expire", None)
    clock(3600)
    assert euro() == 1
    clock(-3600)
    rates["EUR"] = 2
    drop("rates")
    transaction.commit()

    assert euro() == 2


def test_nobody_waits_in_turn_for_what_was_dropped_a_moment_ago(
    region, monkeypatch
):
    monkeypatch.setitem(cache_regions[region], "lock_timeout", 2 * SECONDS)
    calls = count(1)
    both = Barrier(2)

    @cached(region, tags=lambda: "rates", name=region)
    def euro():
        if next(calls) == 1:
            counters = find_region(region).counters
            wait_until(lambda: counters.waits == 2)
        else:
            both.wait(SECONDS)
        return 1

    drop("rates")
    transaction.commit()

    assert in_threads(3, euro) == [1, 1, 1]


def test_a_refresh_replaces_nothing_that_is_newer(zopes, news):
    editor, late, reader = zopes
    late.transactions.begin()
    editor.edit_and_invalidate(news, news="new")
    assert reader.see(news) == "new"

    assert late.see_still(news.refresh) == "old"
    assert reader.see(news) == "new"
    late.see(news.refresh)
    assert late.see(news) == "new"


def test_a_refresh_replaces_nothing_that_is_stored_at_that_moment(
    zopes, region, news, monkeypatch
):
    editor, late, reader = zopes
    late.transactions.begin()
    editor.edit_and_invalidate(news, news="new")
    store = find_region(region).store
    raise_numbers = store.raise_numbers

    def raise_after_another_request(*arguments):
        assert reader.see(news) == "new"
        setSite(late.connection.root()["site"])
        raise_numbers(*arguments)

    monkeypatch.setattr(store, "raise_numbers", raise_after_another_request)
    assert late.see_still(news.refresh) == "old"
    assert reader.see(news) == "new"


def test_a_slow_request_stores_nothing_after_another_invalidate(zopes, news):
    editor, slow, other = zopes
    slow.transactions.begin()
    editor.edit_and_invalidate(news, news="new")
    assert editor.see(news) == "new"
    other.edit_and_invalidate(news)

    assert slow.see_still(news) == "old"
    assert editor.see(news) == "new"


def test_a_full_store_keeps_no_value_that_was_invalidated(
    zope, region, news, monkeypatch
):
    def fail(*arguments):
        raise StoreFull("memory", "", "full")

    zope.see(news)
    store = find_region(region).store
    assert store.size(prefix_of(region)).entries == 1
    with monkeypatch.context() as patched:
        patched.setattr(store, "raise_numbers", fail)
        zope.see(news.invalidate)
        zope.transactions.commit()
        assert store.size(prefix_of(region)).entries == 0
    wait_until(nothing_is_owed)


# Several databases


def test_what_was_read_from_a_database_that_has_changed_is_computed_anew(
    zopes, region, computed
):
    editor, reader, _ = zopes

    @cached(region, tags=lambda: "catalog", name=region)
    def size():
        computed.append("size")
        catalog = getSite()._p_jar.get_connection("catalog")
        return len(catalog.root()["site"])

    assert reader.see(size) == 2
    assert reader.see(size) == 2
    assert reader.see(size) == 2
    # The first time, nobody knew that it would read the catalog.
    assert computed == ["size", "size"]

    editor.transactions.begin()
    with editor.at_work() as site:
        catalog = site._p_jar.get_connection("catalog")
        catalog.root()["site"]["more"] = 1
        editor.transactions.commit()
    assert reader.see(size) == 3


def test_a_value_is_invalidated_while_another_database_is_in_use(
    zope, region, computed
):
    @cached(region, tags=lambda: "catalog", name=region)
    def size():
        computed.append("size")
        catalog = getSite()._p_jar.get_connection("catalog")
        return len(catalog.root()["site"])

    for _ in range(3):
        zope.see(size)
    assert len(computed) == 2
    zope.see(size.invalidate)
    zope.transactions.commit()
    zope.see(size)
    assert len(computed) == 3

    zope.see(size.refresh)
    zope.see(size)
    assert len(computed) == 4


def test_a_transaction_invalidates_values_of_sites_in_two_databases(
    zopes, region
):
    """Each by the commit in the database that it was computed from."""

    @cached(region, name=region)
    def size():
        return len(getSite())

    def size_in_catalog(zope):
        catalog = zope.connection.get_connection("catalog")
        setSite(catalog.root()["site"])
        return size()

    editor, reader, later = zopes
    reader.transactions.begin()
    reader.connection.get_connection("catalog").root()["site"].keys()

    with editor.at_work():
        size.invalidate()
        catalog = editor.connection.get_connection("catalog").root()["site"]
        setSite(catalog)
        catalog["more"] = 1
        size.invalidate()
        editor.transactions.commit()

    assert reader.see_still(size_in_catalog, reader) == 2
    assert later.see(size_in_catalog, later) == 3


def test_a_script_without_a_site_drops_what_sites_have_stored(
    databases, zope, title
):
    zope.see(title, "news")
    connection = databases["main"].open()
    connection.root()["site"]["news"] = "new"
    drop("news")
    transaction.commit()
    connection.close()

    assert zope.see(title, "news") == "new"


def test_a_script_without_a_site_drops_what_it_has_stored(databases, region):
    connection = databases["main"].open()
    site = connection.root()["site"]

    @cached(region, tags=lambda: "news", name=region)
    def title():
        return site["news"]

    title()
    site["news"] = "new"
    drop("news")
    transaction.commit()

    assert title() == "new"
    connection.close()


@pytest.mark.parametrize("tag", [1, None, b"news", ["news"]])
def test_a_tag_is_a_text(tag):
    with pytest.raises(TypeError, match="A tag is a text, and not"):
        drop("news", tag)


def test_of_invalidations_at_once_the_latest_counts(redis_region):
    """Whichever is done first: commits reach a store in any order."""
    numbers = count(1)
    keys = [b"%d" % number for number in range(100)]
    together = Barrier(4)

    def invalidate():
        number = next(numbers)
        for key in keys:
            together.wait(SECONDS)
            redis_region.invalidate("a cache", key, number)

    in_threads(4, invalidate)

    of_value = names_of(redis_region.name, "a cache").of_value
    found = redis_region.store.get([of_value(key) for key in keys])
    assert set(found.values()) == {digits(4)}


@pytest.mark.parametrize("changes", [{"news": "new"}, {}])
def test_what_was_dropped_is_not_in_memory_for_ever(changes, zope, region):
    """An import may drop the tags of a whole site."""
    remembered = names_of_tags.cache_info().currsize
    zope.edit("news", "weather", **changes)

    assert names_of_tags.cache_info().currsize == remembered


@pytest.mark.parametrize("stored", ["file", "sqlite"], indirect=True)
def test_what_was_dropped_is_not_in_the_store_for_ever(
    stored, zope, region, clock
):
    """Nobody may ever ask for a value that was made of it."""
    zope.edit("news", news="new")
    store = find_region(region).store
    assert list(store.walk("t:"))

    clock(MARK_SECONDS)
    assert not list(store.walk("t:"))


def test_a_tag_that_the_store_has_forgotten_brings_nothing_old_back(
    zopes, region, title
):
    editor, late, reader = zopes
    late.transactions.begin()
    editor.edit("news", news="new")
    find_region(region).store.clear()
    assert late.see_still(title, "news") == "old"

    assert reader.see(title, "news") == "new"


def test_nor_does_one_that_was_dropped_and_forgotten_during_a_computation(
    zopes, region
):
    editor, late, reader = zopes

    @cached(region, tags=lambda name: name, name="title")
    def title(name):
        found = getSite()[name]
        if found == "old":
            in_threads(1, lambda: editor.edit("news", news="new"))
            find_region(region).store.clear("t:")
        return found

    assert late.see(title, "news") == "old"

    assert reader.see(title, "news") == "new"
