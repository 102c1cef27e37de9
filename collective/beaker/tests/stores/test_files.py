"""Sessions in files."""

import dbm
import errno
import os
import pickle
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from beaker.exceptions import MissingCacheParameter

from collective.beaker.interfaces import StoreLocked
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.sweep import sweep
from collective.beaker.stores import base
from collective.beaker.stores.lock_files import hold
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stored_sessions import last
from collective.beaker.tests.helpers.stores import make_store
from collective.beaker.tests.helpers.stores import text
from collective.beaker.tests.helpers.waiting import SECONDS


@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_files_are_for_their_owner_only(kind, id, tmp_path, umask):
    top = tmp_path / "sessions"
    store = make_store(kind, data_dir=str(top))
    store.swap(id, None, "first")
    store.swap(id, store.load(id), "second")
    paths = [top, *top.rglob("*")]

    assert {
        stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()
    } == {0o700}
    assert {
        stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()
    } == {0o600}


@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_looking_for_a_session_makes_no_files(kind, id, tmp_path):
    store = make_store(kind, data_dir=str(tmp_path))
    store.load(id)
    store.delete(id)
    assert list(store.walk()) == []

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_folders_can_be_named_one_by_one(kind, id, tmp_path):
    options = {
        f"{kind}_dir": str(tmp_path / "a"),
        "lock_dir": str(tmp_path / "b"),
    }
    make_store(kind, **options).swap(id, None, "first")

    assert list((tmp_path / "a").rglob(f"{id}*"))
    assert list((tmp_path / "b").rglob("*.lock"))


@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_a_folder_is_needed(kind):
    with pytest.raises(MissingCacheParameter, match=r"session\.data_dir"):
        make_store(kind)


@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_a_failed_write_leaves_the_record_and_no_rubbish(
    kind, id, tmp_path, monkeypatch
):
    store = make_store(kind, data_dir=str(tmp_path))
    store.swap(id, None, "first")
    files = set(tmp_path.rglob("*"))

    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(StoreUnavailable, match="No space left on device"):
        store.swap(id, store.load(id), "second")

    assert text(store, id) == "first"
    assert set(tmp_path.rglob("*")) == files


def test_a_disk_that_refuses_modes_leaves_no_file_open(
    id, tmp_path, monkeypatch
):
    opened = []

    def refuse(file, mode):
        opened.append(file)
        raise PermissionError(errno.EPERM, "Operation not permitted")

    store = make_store("file", data_dir=str(tmp_path))
    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(StoreUnavailable):
        store.swap(id, None, "new")

    for file in opened:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(file)


def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(id, tmp_path):
    store = make_store("file", data_dir=str(tmp_path / "sessions"))
    store.swap(id, None, "first")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    [path] = (tmp_path / "sessions").rglob("*.cache")
    Path(f"{path}.temp").symlink_to(victim)
    store.swap(id, store.load(id), "second")

    assert victim.read_text() == "precious"
    assert text(store, id) == "second"


def test_a_link_in_the_place_of_a_lock_is_not_followed(id, tmp_path):
    store = make_store("file", data_dir=str(tmp_path / "sessions"))
    store.swap(id, None, "first")
    [lock] = (tmp_path / "sessions").rglob("*.lock")
    lock.unlink()
    lock.symlink_to(tmp_path / "victim")
    store.swap(id, store.load(id), "second")

    assert not (tmp_path / "victim").exists()
    assert text(store, id) == "second"


def test_a_pipe_in_the_place_of_a_lock_is_not_waited_for(file_sessions):
    file_sessions.make()
    [lock] = Path(file_sessions.store._lock_folder).rglob("*.lock")
    lock.unlink()
    os.mkfifo(lock)
    os.utime(lock, (1, 1))

    assert last(sweep(file_sessions.options)).kept == 1


def test_a_dbm_file_is_replaced_and_not_written_over(id, tmp_path):
    """So a process that is killed leaves the old one."""
    store = make_store("dbm", data_dir=str(tmp_path / "sessions"))
    store.swap(id, None, "first")
    copies = {}
    for path in (tmp_path / "sessions").rglob(f"{id}*"):
        copy = tmp_path / path.name
        os.link(path, copy)
        copies[copy] = copy.read_bytes()
    store.swap(id, store.load(id), "second")

    assert {copy: copy.read_bytes() for copy in copies} == copies
    assert text(store, id) == "second"
    assert not list(tmp_path.rglob("*.temp*"))


def test_the_module_dbm_itself_may_be_given(id, tmp_path):
    """What it calls its error are several."""
    store = make_store("dbm", data_dir=str(tmp_path), dbmmodule=dbm)
    Path(store._folder).mkdir()
    Path(store._folder, id[0]).touch()

    with pytest.raises(StoreUnavailable):
        store.load(id)


def test_a_session_in_a_dbm_file_leaves_nothing_behind(id, tmp_path):
    """SQLite, which is in dbm since Python 3.13, adds files of its own."""
    folder = tmp_path / "sessions"
    store = make_store("dbm", data_dir=str(folder), dbmmodule=dbm)
    store.swap(id, None, "first")
    store.swap(id, store.load(id), None)

    assert not list(folder.rglob(f"{id}*"))


def test_stores_write_nothing_outside_their_folder(id, tmp_path):
    store = make_store("file", data_dir=str(tmp_path / "a"))
    store.swap(id, None, "first")

    assert list(tmp_path.iterdir()) == [Path(tmp_path / "a")]


def test_a_folder_may_be_named_from_where_zope_was_started(
    id, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    store = make_store("file", data_dir="sessions")
    store.swap(id, None, "first")

    assert list(tmp_path.rglob(f"{id}.cache"))


def test_a_container_without_a_session_holds_none(id, tmp_path):
    store = make_store("file", data_dir=str(tmp_path))

    assert store.payload(base.Record(pickle.dumps({"a": "b"}))) is None


@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_a_session_that_a_transaction_has_locked_stays(
    kind, tmp_path, monkeypatch
):
    monkeypatch.setattr("collective.beaker.stores.base.WAIT_SECONDS", 0)
    sessions = Sessions({"type": kind, "data_dir": str(tmp_path)})
    id, _ = sessions.make(idle=7200), sessions.make(idle=7200)
    records = list(sessions.store.walk())

    with sessions.store.lock(id), ThreadPoolExecutor(1) as threads:
        removing = threads.submit(sessions.store.remove, records)
        assert removing.result(SECONDS) == 1

    assert sessions.ids() == {id}


def test_a_dbm_file_that_somebody_has_locked_hides_no_other(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("collective.beaker.stores.base.WAIT_SECONDS", 0)
    sessions = Sessions({"type": "dbm", "data_dir": str(tmp_path)})
    locked = min(sessions.make(), sessions.make())

    with hold(sessions.store._lock_path(locked), 1):
        records = list(sessions.store.walk())
        with pytest.raises(StoreLocked):
            sessions.store.remove(records)

    assert len(records) == 2
    assert sessions.ids() == {locked}
