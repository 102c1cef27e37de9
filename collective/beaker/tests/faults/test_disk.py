"""Disks that are full, and disks that cannot be written."""

import os
import resource
import signal
import subprocess
from itertools import count

import pytest

from collective.beaker.caching.factory import region_with
from collective.beaker.ids import new_id
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance import slices
from collective.beaker.maintenance import thread
from collective.beaker.maintenance.caches import clear_region
from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.survey import survey
from collective.beaker.maintenance.sweep import sweep
from collective.beaker.maintenance.thread import Sweeper
from collective.beaker.maintenance.thread import ValueSweeper
from collective.beaker.settings.section import read_configuration
from collective.beaker.tests.helpers.forks import in_fork
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.servers import find_program
from collective.beaker.tests.helpers.servers import unprivileged_folder
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stored_sessions import last
from collective.beaker.tests.helpers.views import delete
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.views import setting
from collective.beaker.tests.helpers.visitors import data_of
from collective.beaker.tests.helpers.visitors import session_id


LARGE = "a" * 20_000

MARK = "a" * 32
"""What the index has for a user."""


@pytest.fixture
def folder():
    """A folder of an unprivileged user, and how a process becomes that one."""
    with unprivileged_folder() as (folder, popen):
        yield folder, popen.get("user")


def options_of(kind, path):
    """Return the options that store sessions in a folder."""
    if kind == "sqlite":
        return {"type": "ext:database", "url": f"sqlite:///{path}/a.db"}
    return {"type": kind, "data_dir": str(path)}


def sessions_fixture(*kinds):
    @pytest.fixture(params=kinds)
    def sessions(request, config, folder):
        """The folder in which sessions are stored."""
        path = folder[0] / "sessions"
        path.mkdir()
        config.update(options_of(request.param, path))
        return path

    return sessions


sessions = sessions_fixture("file", "dbm", "sqlite")
# To read dbm takes a lock, whose file is written.
readable_sessions = sessions_fixture("file", "sqlite")
removable_sessions = sessions_fixture("file", "dbm")


def fill_disk():
    """Let no file grow, as if the disk were full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))


def status_and_log(visitor, view, caplog):
    """Return the status of a request, and what it left in the log."""
    caplog.clear()
    response = visitor.visit(view, status="*")
    messages = [record.getMessage() for record in log_of(caplog)]
    return response.status_int, messages


def attempt_on_a_full_disk(visitor, view, caplog):
    def attempt():
        fill_disk()
        return status_and_log(visitor, view, caplog)

    return in_fork(attempt)


def test_on_a_full_disk_a_visitor_who_saves_sees_503(
    sessions, visitor, caplog
):
    visitor.visit(setting(a=1))
    status, [message] = attempt_on_a_full_disk(
        visitor, setting(a=LARGE), caplog
    )

    assert status == 503
    assert str(sessions) in message
    assert session_id(visitor) not in message


def test_on_a_full_disk_the_stored_session_is_intact(
    sessions, visitor, caplog
):
    visitor.visit(setting(a=1))
    attempt_on_a_full_disk(visitor, setting(a=LARGE), caplog)

    assert data_of(visitor) == {"a": 1}


def test_on_a_full_disk_a_new_visitor_who_saves_sees_503(
    sessions, visitor, other_visitor, caplog
):
    other_visitor.visit(setting(a=1))
    status, _ = attempt_on_a_full_disk(visitor, setting(a=LARGE), caplog)

    assert status == 503
    assert visitor.cookies == {}


def test_on_a_full_disk_a_visitor_who_reads_is_served_and_the_log_says_so(
    sessions, config, visitor, caplog
):
    config["resolution_seconds"] = 0
    visitor.visit(setting(count=1))
    status, [message] = attempt_on_a_full_disk(visitor, read_count, caplog)

    assert status == 200
    assert str(sessions) in message


def test_on_a_full_disk_a_visitor_who_logs_out_has_no_session_any_more(
    removable_sessions, visitor, caplog
):
    visitor.visit(setting(a=1))
    assert attempt_on_a_full_disk(visitor, delete, caplog) == (204, [])

    assert data_of(visitor) == {}


def test_a_file_that_found_no_room_leaves_nothing_behind(
    config, visitor, caplog, tmp_path
):
    config.update(type="file", data_dir=str(tmp_path))
    visitor.visit(setting(a=1))
    attempt_on_a_full_disk(visitor, setting(a=LARGE), caplog)

    assert list(tmp_path.rglob("*.temp")) == []


def test_when_a_disk_has_room_again_the_session_goes_on(
    sessions, visitor, caplog
):
    visitor.visit(setting(a=1))
    attempt_on_a_full_disk(visitor, setting(a=LARGE), caplog)
    visitor.visit(setting(b=LARGE))

    assert data_of(visitor) == {"a": 1, "b": LARGE}


@pytest.fixture
def reader(folder, application):
    """Return a function that acts where nobody may write the sessions."""
    path, user = folder

    def act(function):
        sessions = [path / "sessions", *path.rglob("sessions/**/*")]
        for each in sessions:
            each.chmod(0o555 if each.is_dir() else 0o444)

        def act_as_user():
            if user is not None:
                os.setgroups([])
                os.setuid(user)
            return function()

        try:
            return in_fork(act_as_user)
        finally:
            for each in sessions:
                each.chmod(0o755 if each.is_dir() else 0o644)

    return act


def test_on_a_disk_that_cannot_be_written_a_visitor_who_saves_sees_503(
    sessions, visitor, reader, caplog
):
    visitor.visit(setting(count=1))
    status, [message] = reader(
        lambda: status_and_log(visitor, setting(count=2), caplog)
    )

    assert status == 503
    assert str(sessions) in message
    assert data_of(visitor) == {"count": 1}


def test_on_a_disk_that_cannot_be_written_a_visitor_who_reads_is_served(
    readable_sessions, config, visitor, reader, caplog
):
    config["resolution_seconds"] = 0
    visitor.visit(setting(count=1))

    assert reader(lambda: visitor.visit(read_count).text) == "1"


def test_on_a_disk_that_cannot_be_written_a_new_visitor_sees_503(
    sessions, visitor, other_visitor, reader, caplog
):
    other_visitor.visit(setting(count=1))

    assert (
        reader(lambda: status_and_log(visitor, setting(count=2), caplog)[0])
        == 503
    )


@pytest.fixture
def as_user(folder, tmp_path):
    """Return a function that acts as a user whom files can be kept from."""
    _, user = folder
    # That user may not be allowed to import what is needed.
    for kind in ("file", "dbm"):
        options = options_of(kind, tmp_path)
        Sessions(options).make()
        last(revoke_all(options))

    def act(function):
        def act_as_user():
            if user is not None:
                os.setgroups([])
                os.setuid(user)
            return function()

        return in_fork(act_as_user)

    return act


@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_a_file_that_cannot_be_opened_hides_no_other_session(
    kind, folder, as_user
):
    path, _ = folder
    options = options_of(kind, path / "sessions")

    def look_and_revoke():
        sessions = Sessions(options)
        sessions.make()
        for file in path.rglob(f"*{sessions.make()}*"):
            file.chmod(0)
        found = last(survey(options))
        revoked = last(revoke_all(options))
        return found.sessions, found.unreadable, revoked, sessions.ids()

    assert as_user(look_and_revoke) == (2, 1, 2, set())


@pytest.mark.parametrize("mode", [0o500, 0])
@pytest.mark.parametrize("remove", [revoke_all, sweep])
@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_a_session_that_cannot_be_removed_hinders_no_other(
    kind, remove, mode, folder, as_user, monkeypatch
):
    monkeypatch.setattr(slices, "SLICE", 2)
    path, _ = folder
    options = options_of(kind, path / "sessions") | {"timeout": 3600}

    def remove_all_but_one():
        sessions = Sessions(options)
        ids = sorted(sessions.make(idle=7200) for _ in range(5))
        [leaf, *_] = {file.parent for file in path.rglob(f"{ids[0]}.*")}
        leaf.chmod(mode)
        with pytest.raises(StoreUnavailable):
            last(remove(options))
        leaf.chmod(0o700)
        return sessions.ids(), {id for id in ids if id[:2] == leaf.name}

    left, kept = as_user(remove_all_but_one)
    assert left == kept


def test_where_folders_cannot_be_entered_nothing_counts_as_removed(
    folder, as_user
):
    path = folder[0] / "sessions"
    options = options_of("file", path)

    def try_to_revoke_all():
        Sessions(options).make()
        (path / "container_file").chmod(0o600)
        with pytest.raises(StoreUnavailable):
            last(revoke_all(options))
        return True

    assert as_user(try_to_revoke_all)


def test_a_folder_that_cannot_be_opened_hinders_no_estimate(folder, as_user):
    options = options_of("file", folder[0] / "sessions")

    def estimate():
        store = Sessions(options).store
        for id in ("a" * 32, "b" * 32):
            store.swap(id, None, "a session")
        [leaf] = folder[0].rglob("container_file/a/aa")
        leaf.chmod(0)
        return store.estimate()

    assert as_user(estimate) == 3


def test_an_index_that_cannot_be_opened_is_none(folder, as_user):
    """So all sessions are read."""
    options = options_of("file", folder[0] / "sessions")

    def find():
        store = Sessions(options).store
        store.add_to_index(MARK, new_id())
        for index in folder[0].rglob(MARK):
            index.chmod(0)
        return store.find_in_index(MARK)

    assert as_user(find) is None


def test_a_cached_value_that_cannot_be_opened_is_swept(folder, as_user):
    path, _ = folder
    section = {"cache.type": "file", "cache.data_dir": str(path)}
    cache = region_with("", read_configuration(section).caches["cache"])

    def sweep_values():
        cache.put("a cache", b"key", "value", 60)
        for file in path.rglob("*.value"):
            file.chmod(0)
        return sum(cache.store.sweep())

    assert as_user(sweep_values) > 0


# A small disk of its own, where the user may mount one


class Disk:
    """A disk of 256 kB, or of 200 files."""

    def __init__(self, folder):
        self.folder = folder
        self._ballast = folder / "ballast"

    def mount(self, options):
        """Tell whether this user may do that."""
        command = [find_program("mount"), "-t", "tmpfs", "-o", options]
        run = subprocess.run([*command, "tmpfs", self.folder])
        return run.returncode == 0

    def unmount(self):
        # SQLAlchemy keeps a file open.
        command = [find_program("umount"), "--lazy", self.folder]
        subprocess.run(command, check=True)

    def fill(self):
        with (
            self._ballast.open("wb", buffering=0) as file,
            pytest.raises(OSError, match="No space left"),
        ):
            while True:
                file.write(bytes(4096))

    def fill_with_files(self):
        with pytest.raises(OSError, match="No space left"):
            for number in count():
                (self.folder / f"file{number}").touch()

    def make_room(self):
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path / "disk")
    disk.folder.mkdir()
    if not disk.mount("size=256k,nr_inodes=200"):
        pytest.skip("this user may not mount a disk")
    yield disk
    disk.unmount()


@pytest.fixture(params=["file", "dbm", "sqlite"])
def sessions_on_disk(request, config, disk):
    config.update(options_of(request.param, disk.folder))


def test_on_a_disk_without_room_nothing_but_writing_fails(
    sessions_on_disk, disk, visitor, other_visitor, caplog
):
    visitor.visit(setting(a=1))
    disk.fill()

    assert status_and_log(visitor, setting(a=LARGE), caplog)[0] == 503
    assert status_and_log(other_visitor, setting(a=LARGE), caplog)[0] == 503
    assert data_of(visitor) == {"a": 1}
    assert list(disk.folder.rglob("*.temp")) == []


def test_on_a_disk_that_has_room_again_the_session_goes_on(
    sessions_on_disk, disk, visitor
):
    visitor.visit(setting(a=1))
    disk.fill()
    visitor.visit(setting(a=LARGE), status=503)
    disk.make_room()
    visitor.visit(setting(b=LARGE))

    assert data_of(visitor) == {"a": 1, "b": LARGE}


def test_the_log_says_why_a_disk_takes_nothing(config, disk, visitor, caplog):
    config.update(options_of("file", disk.folder))
    visitor.visit(setting(a=1))
    disk.fill()
    _, [of_full_disk] = status_and_log(visitor, setting(a=LARGE), caplog)
    assert disk.mount("remount,ro")
    _, [of_protected_disk] = status_and_log(visitor, setting(a=2), caplog)

    assert of_full_disk.endswith("OSError: No space left on device.")
    assert of_protected_disk.endswith("OSError: Read-only file system.")


@pytest.mark.parametrize("kind", ["file", "dbm"])
def test_on_a_disk_that_turned_read_only_the_session_is_as_before(
    kind, config, disk, visitor
):
    config.update(options_of(kind, disk.folder))
    visitor.visit(setting(a=1))
    assert disk.mount("remount,ro")
    visitor.visit(setting(a=2), status=503)
    assert disk.mount("remount,rw")

    assert data_of(visitor) == {"a": 1}


@pytest.fixture(params=["file", "dbm"])
def swept_sessions(request, config, disk):
    """Sessions on the disk, which Zope is to sweep each hour."""
    options = {**options_of(request.param, disk.folder), "timeout": 3600}
    config.update(options, sweep_interval=3600)
    return Sessions(options)


def test_on_a_disk_without_room_zope_sweeps_all_the_same(swept_sessions, disk):
    swept_sessions.make(idle=7200)
    disk.fill()
    Sweeper().sweep_if_due()

    assert swept_sessions.ids() == set()


def test_on_a_disk_without_room_zope_sweeps_values_all_the_same(
    disk, clock, monkeypatch, caplog
):
    caplog.set_level("INFO")
    section = {"cache.type": "file", "cache.data_dir": str(disk.folder)}
    monkeypatch.setattr(thread, "running_section", lambda: section)
    cache = region_with("", read_configuration(section).caches["cache"])
    cache.put("a cache", b"key", "value", 1)
    clock(3)
    disk.fill()
    ValueSweeper().sweep_if_due()

    assert "Removed 1 expired values of caches." in caplog.text


def test_a_region_that_fills_a_disk_can_be_cleared(disk):
    section = {"cache.type": "file", "cache.data_dir": str(disk.folder)}
    section["cache.regions"] = "short"
    configuration = read_configuration(section)
    cache = region_with("short", configuration.regions["short"])
    cache.put("a cache", b"key", LARGE, 60)
    disk.fill()

    assert clear_region(configuration, "short") == 1
    assert cache.get("a cache", b"key") is None


def test_a_sweep_makes_room_on_a_disk_that_takes_no_more_files(
    swept_sessions, disk
):
    swept_sessions.make(idle=7200)
    for lock in disk.folder.rglob("*.lock"):
        lock.unlink()
    fresh = swept_sessions.make()
    disk.fill_with_files()
    last(sweep(swept_sessions.options))

    assert swept_sessions.ids() == {fresh}
