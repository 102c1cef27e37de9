"""Lock files, and their removal."""

import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from collective.beaker.interfaces import StoreLocked
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores import base
from collective.beaker.stores import folders
from collective.beaker.stores.lock_files import held
from collective.beaker.stores.lock_files import hold
from collective.beaker.stores.lock_files import is_free
from collective.beaker.stores.lock_files import remove_free
from collective.beaker.tests.helpers.waiting import SECONDS


@pytest.fixture
def replace_flock(monkeypatch):
    """Return a function that gives a module another flock()."""
    names = ("LOCK_EX", "LOCK_NB", "LOCK_UN")
    numbers = {name: getattr(fcntl, name) for name in names}

    def replace_flock(module, flock):
        fake = SimpleNamespace(flock=flock, **numbers)
        monkeypatch.setattr(f"{module}.fcntl", fake)

    return replace_flock


def test_who_has_opened_a_lock_file_that_is_removed_locks_the_new_one(
    file_sessions, lock_files, replace_flock
):
    id = file_sessions.make()
    (path,) = lock_files.paths()
    sweeps = [remove_free]

    def sweep_and_lock(file, operation):
        while sweeps:
            assert sweeps.pop()(path)
        fcntl.flock(file, operation)

    replace_flock("beaker.synchronization", sweep_and_lock)
    with file_sessions.store.lock(id):
        assert os.path.exists(path)
        assert not is_free(path)

    assert is_free(path)


def test_a_folder_that_is_out_of_reach_for_a_moment_leaves_no_lock(
    file_sessions, lock_files, replace_flock
):
    id = file_sessions.make()
    (path,) = map(Path, lock_files.paths())
    aside = path.parent.with_name("aside")

    def lock_and_hide(file, operation):
        fcntl.flock(file, operation)
        if operation != fcntl.LOCK_UN:
            path.parent.rename(aside)
            path.parent.touch()

    replace_flock("beaker.synchronization", lock_and_hide)
    with pytest.raises(StoreUnavailable), file_sessions.store.lock(id):
        pass
    path.parent.unlink()
    aside.rename(path.parent)

    assert is_free(str(path))


def test_who_gets_the_lock_of_a_removed_file_does_not_remove_the_new_one(
    tmp_path, replace_flock
):
    path = tmp_path / "a.lock"
    path.touch()

    def replace_and_lock(file, operation):
        if operation != fcntl.LOCK_UN:
            path.unlink()
            path.touch()
        fcntl.flock(file, operation)

    replace_flock("collective.beaker.stores.lock_files", replace_and_lock)

    assert not remove_free(str(path))
    assert path.exists()


def test_a_lock_file_that_is_gone_is_not_free(tmp_path):
    path = str(tmp_path / "a.lock")

    assert not is_free(path)
    assert not remove_free(path)


def test_a_process_that_was_forked_meanwhile_does_not_keep_a_lock(tmp_path):
    path = tmp_path / "a.lock"
    path.touch()
    reading, writing = os.pipe()
    with held(str(path)) as is_held:
        child = os.fork()
        if not child:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    try:
        assert is_held
        assert is_free(str(path))
    finally:
        os.close(writing)
        os.waitpid(child, 0)
        os.close(reading)


def test_looking_for_locks_leaves_no_file_open(tmp_path):
    path = tmp_path / "a.lock"
    path.touch()
    before = set(os.listdir("/dev/fd"))

    assert is_free(str(path))
    assert remove_free(str(path))
    assert set(os.listdir("/dev/fd")) <= before


def test_one_at_a_time_holds_a_lock_whose_file_is_removed_all_the_time(
    file_sessions, tmp_path
):
    id = file_sessions.make()
    path = file_sessions.store._lock_path(id)
    marker = str(tmp_path / "held")
    ended = threading.Event()

    def hold():
        for _ in range(40):
            with file_sessions.store.lock(id):
                os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
                os.remove(marker)

    def remove():
        while not ended.is_set():
            remove_free(path)

    with ThreadPoolExecutor(4) as threads:
        removing = threads.submit(remove)
        holding = [threads.submit(hold) for _ in range(3)]
        try:
            for one in holding:
                one.result(SECONDS)
        finally:
            ended.set()
        removing.result(SECONDS)


def test_a_lock_that_another_has_just_made_is_not_removed(
    file_sessions, monkeypatch
):
    id = file_sessions.make()
    path = file_sessions.store._lock_path(id)
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)

    with ExitStack() as another:

        def is_file_before_it_was_made(path):
            if not os.path.exists(path):
                another.enter_context(hold(path, SECONDS))
            return False

        monkeypatch.setattr(folders, "is_file", is_file_before_it_was_made)
        os.remove(path)
        with pytest.raises(StoreLocked):
            file_sessions.store.lock(id).__enter__()
