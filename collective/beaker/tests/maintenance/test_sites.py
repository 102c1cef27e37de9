"""What sites configure for themselves, found in the database of Zope."""

import sys
from contextlib import contextmanager
from types import ModuleType

import pytest
import transaction
from OFS.Application import Application
from OFS.Folder import Folder
from OFS.Image import File
from persistent.mapping import PersistentMapping
from Products.Five.component import enableSite
from ZODB import DB
from zope.component import getGlobalSiteManager
from zope.component.persistentregistry import PersistentComponents
from Zope2.App.ClassFactory import ClassFactory

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.maintenance import sites
from collective.beaker.maintenance.sites import Owned
from collective.beaker.maintenance.sites import one_for_each_place
from collective.beaker.maintenance.sites import read_sites


@contextmanager
def opened(db):
    """Yield the root folder of Zope, without anything loaded."""
    connection = db.open(transaction.TransactionManager())
    try:
        yield connection.root()["Application"]
    finally:
        connection.transaction_manager.commit()
        connection.cacheMinimize()
        connection.close()


class ZopeDB(DB):
    """A database as Zope makes one, in which a class may be missing."""

    classFactory = staticmethod(ClassFactory)


@pytest.fixture
def db():
    db = ZopeDB(None)
    with db.transaction() as connection:
        connection.root()["Application"] = Application()
    yield db
    db.close()


def add_folders(root, path):
    """Add the folders of a path that are missing; return the last one."""
    for name in filter(None, path.split("/")):
        if name not in root.objectIds():
            root._setObject(name, Folder(name))
        root = root[name]
    return root


def make_site(folder, around=None, **options):
    """Make a folder a site, with session options if any are given."""
    components = PersistentComponents()
    components.__bases__ = (around or getGlobalSiteManager(),)
    folder.setSiteManager(components)
    enableSite(folder)
    if options:
        mapping = PersistentMapping(options)
        components.registerUtility(mapping, ISessionConfig)
    return components


@pytest.mark.parametrize("path", ["/", "/site", "/some/folder/site"])
def test_a_site_is_found_at_any_depth(db, path):
    with opened(db) as root:
        make_site(add_folders(root, path), timeout=900)

    with opened(db) as root:
        found = read_sites(root)

    assert found.found == [Owned(path, {"timeout": 900})]
    assert found.problems == []


def test_what_was_found_outlives_the_connection(db):
    with opened(db) as root:
        fallbacks = PersistentMapping(inner=[1])
        make_site(add_folders(root, "/site"), some=fallbacks)

    with opened(db) as root:
        ((_, options),) = read_sites(root).found

    assert type(options) is dict
    assert type(options["some"]) is dict


def test_a_site_without_options_of_its_own_is_none(db, config):
    with opened(db) as root:
        outer = add_folders(root, "/outer")
        around = make_site(outer, timeout=900)
        make_site(add_folders(outer, "inner"), around)
        make_site(add_folders(root, "/plain"))

    with opened(db) as root:
        assert [path for path, _ in read_sites(root).found] == ["/outer"]


def test_what_is_no_folder_is_not_loaded(db):
    with opened(db) as root:
        root._setObject("large", File("large", "", b"content"))

    with opened(db) as root:
        read_sites(root)
        assert root.__dict__["large"]._p_changed is None


def test_a_folder_whose_class_is_missing_is_a_problem(db, monkeypatch):
    module = ModuleType("gone")
    module.Site = type("Site", (Folder,), {"__module__": "gone"})
    with monkeypatch.context() as there, opened(db) as root:
        there.setitem(sys.modules, "gone", module)
        root._setObject("site", module.Site("site"))
        root._p_jar.transaction_manager.commit()

    with opened(db) as root:
        (problem,) = read_sites(root).problems

    assert problem.startswith("/site: its class gone.Site cannot be imported")


def test_what_is_no_catalog_hides_no_sites(db):
    with opened(db) as root:
        make_site(add_folders(root, "/site"), timeout=900)
        root._setObject("portal_catalog", Folder("portal_catalog"))

    with opened(db) as root:
        found = read_sites(root)

    assert [path for path, _ in found.found] == ["/site"]
    assert found.problems[0].startswith("/portal_catalog: it names no sites")


def test_options_that_are_none_are_a_problem(db):
    with opened(db) as root:
        components = make_site(add_folders(root, "/site"))
        components.registerUtility("no options", ISessionConfig)

    with opened(db) as root:
        found = read_sites(root)

    assert found.found == []
    assert found.problems[0].startswith("/site: its options cannot be read")


def test_the_search_has_an_end(db, monkeypatch):
    monkeypatch.setattr(sites, "_MOST_FOLDERS", 2)
    with opened(db) as root:
        make_site(add_folders(root, "/near"), timeout=900)
        make_site(add_folders(root, "/near/far"), timeout=900)

    with opened(db) as root:
        found = read_sites(root)

    assert [path for path, _ in found.found] == ["/near"]
    assert "in 2 folders only" in found.problems[0]


# Places


def files(folder, **options):
    return {"type": "file", "data_dir": folder, **options}


def test_options_with_places_of_their_own_are_kept_apart():
    both = [Owned("one", files("/a")), Owned("other", files("/b"))]

    assert one_for_each_place(both) == both


@pytest.mark.parametrize(
    ("one", "other", "longer"),
    [(900, 60, 900), (60, 900, 900), (60, None, None)],
)
def test_where_options_share_a_place_the_longer_timeout_holds(
    one, other, longer
):
    joined = one_for_each_place(
        [
            Owned("one", files("/a", timeout=one)),
            Owned("other", files("/a", timeout=other)),
        ]
    )

    ((owner, options),) = joined
    assert owner == "one, other"
    assert options["timeout"] == longer


def test_options_that_share_a_place_with_two_others_join_both():
    def redis(sentinels, timeout):
        url = f"redis+sentinel://{sentinels}/master"
        return {"type": "ext:redis", "url": url, "timeout": timeout}

    joined = one_for_each_place(
        [
            Owned("one", redis("a", 60)),
            Owned("other", redis("b", 60)),
            Owned("both", redis("a,b", 900)),
        ]
    )

    ((owner, options),) = joined
    assert owner == "one, other, both"
    assert options["timeout"] == 900


@pytest.mark.parametrize(
    "options",
    [
        {"type": "ext:rediscluster", "urls": "redis://a,redis://b"},
        {"type": "ext:mongodb", "url": "mongodb://a/sessions"},
    ],
    ids=lambda options: options["type"],
)
def test_one_address_is_one_place(options):
    both = [Owned("one", options), Owned("other", {**options, "timeout": 60})]

    assert len(one_for_each_place(both)) == 1


def test_memory_is_one_place_in_a_process():
    both = [Owned("one", {"type": "memory"}), Owned("other", {})]

    assert len(one_for_each_place(both)) == 1
