"""Values in files."""

import fcntl
import os
import re
import resource
import shutil
from contextlib import contextmanager

import pytest

from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores.values import files as module
from collective.beaker.stores.values import find_value_store
from collective.beaker.tests.helpers.forks import in_fork


@pytest.fixture
def values(tmp_path):
    options = {"type": "file", "data_dir": str(tmp_path / "data")}
    return find_value_store(options, "short")


def files(values):
    """Return the paths of all files and folders of a store."""
    return [
        os.path.join(where, name)
        for where, folders, names in os.walk(values.address)
        for name in (*folders, *names)
    ]


def file_of(values, ending):
    """Return the only file with an ending."""
    (path,) = (path for path in files(values) if path.endswith(ending))
    return path


@contextmanager
def locked(values):
    """Hold all locks of a store, as a process does that hangs."""
    paths = [path for path in files(values) if path.endswith("lock")]
    opened = [os.open(path, os.O_WRONLY) for path in paths]
    for file in opened:
        fcntl.flock(file, fcntl.LOCK_EX)
    yield
    for file in opened:
        os.close(file)


def test_only_zopes_user_reads_files(values, umask):
    values.put("v:1", b"first", 60)
    values.claim("v:1", ["v:1"], 60)

    modes = {os.stat(path).st_mode & 0o777 for path in files(values)}
    assert modes == {0o700, 0o600}
    assert os.stat(values.address).st_mode & 0o777 == 0o700


def test_what_is_stored_while_it_is_deleted_is_gone(values, monkeypatch):
    claim, _ = values.claim("v:1", ["v:1"], 60)

    def exists(path):
        found = os.path.exists(path)
        monkeypatch.undo()
        values.settle(claim, b"computed before", 60)
        return found

    monkeypatch.setattr(module, "exists", exists)
    values.delete(["v:1"])

    assert not values.get(["v:1"])


def test_folders_that_were_removed_are_made_again(values):
    values.put("v:1", b"first", 60)
    claim, _ = values.claim("v:1", ["v:1"], 60)
    shutil.rmtree(os.path.dirname(values.address))

    assert values.get(["v:1"]) == {}
    assert not values.settle(claim, b"second", 60)
    values.put("v:1", b"third", 60)
    assert values.get(["v:1"]) == {"v:1": b"third"}


@pytest.mark.parametrize("content", [b"", b"1234567"])
def test_a_file_that_cannot_be_read_is_missing_and_replaced(values, content):
    values.put("v:1", b"first", 60)
    with open(file_of(values, ".value"), "wb") as file:
        file.write(content)

    assert values.get(["v:1"]) == {}
    claim, _ = values.claim("v:1", ["v:1"], 60)
    assert values.settle(claim, b"second", 60)
    assert values.get(["v:1"]) == {"v:1": b"second"}


def test_a_claim_that_cannot_be_read_has_ended(values):
    values.claim("v:1", ["v:1"], 60)
    with open(file_of(values, ".claim"), "wb"):
        pass

    claim, _ = values.claim("v:1", ["v:1"], 60)
    assert claim is not None


def test_who_reads_waits_for_no_lock(values):
    values.put("v:1", b"first", 60)
    with locked(values):
        assert values.get(["v:1"]) == {"v:1": b"first"}


def test_who_writes_does_not_wait_for_ever(tmp_path):
    options = {"type": "file", "data_dir": str(tmp_path)}
    values = find_value_store(options | {"socket_timeout": 0.01}, "short")
    values.put("v:1", b"first", 60)
    with locked(values), pytest.raises(StoreUnavailable, match="too long"):
        values.put("v:1", b"second", 60)

    assert values.get(["v:1"]) == {"v:1": b"first"}


def test_a_sweep_removes_claims_and_temporary_files_too(values, clock):
    values.put("v:1", b"first", 10)
    values.put("v:2", b"second", 60)
    values.claim("v:1", ["v:1"], 10)
    values.claim("v:2", ["v:2"], 60)
    left = f"{file_of(values, '2.value')}.temp"
    shutil.copy(file_of(values, "2.value"), left)
    clock(11)
    list(values.sweep())

    names = [os.path.basename(path) for path in files(values)]
    assert sorted(filter(re.compile("v-").match, names)) == [
        "v-2.claim",
        "v-2.value",
    ]


@pytest.mark.parametrize(
    "remove",
    [lambda values: list(values.sweep()), lambda values: values.clear()],
)
def test_a_folder_that_cannot_be_locked_hinders_no_other(
    remove, values, clock
):
    for number in range(3):
        values.put(f"v:{number:02}", b"first", 1)
    clock(3)
    first = os.listdir(values.address)[0]
    lock = f"{values.address}/{first}/lock"
    os.remove(lock)
    os.mkdir(lock)
    with pytest.raises(StoreUnavailable):
        remove(values)

    assert file_of(values, ".value").endswith(f"{first}.value")


def test_a_sweep_removes_what_is_no_file(values):
    values.put("v:1", b"first", 60)
    path = file_of(values, ".value")
    os.remove(path)
    os.mkdir(path)

    assert list(values.sweep()) == [1]
    assert not os.path.exists(path)


def test_regions_in_one_folder_share_a_store(tmp_path):
    options = {"type": "file", "data_dir": str(tmp_path)}

    assert find_value_store(options, "one") is find_value_store(options, "two")


def test_a_disk_that_is_full_forgets_what_is_dropped(values):
    values.raise_numbers(["t:1"], 1, None)

    def drop_on_a_full_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        with pytest.raises(StoreUnavailable):
            values.raise_numbers(["t:1"], 2, None)
        return True

    assert in_fork(drop_on_a_full_disk)
    assert values.get(["t:1"]) == {}


def test_a_sweep_follows_no_link(values, tmp_path):
    values.put("v:1", b"first", 60)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.temp").write_text("precious")
    os.symlink(elsewhere, f"{values.address}/zz")

    list(values.sweep())
    values.clear()

    names = [path.name for path in elsewhere.iterdir()]
    assert names == ["precious.temp"]
