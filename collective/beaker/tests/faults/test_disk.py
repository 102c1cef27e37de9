"""Disks that are full, and disks that cannot be written."""

import os
import resource
import signal

import pytest

from collective.beaker.tests.faults.forks import in_fork
from collective.beaker.tests.servers import unprivileged_folder
from collective.beaker.tests.test_http import read_count
from collective.beaker.tests.test_parallel import data_of
from collective.beaker.tests.test_parallel import log_of
from collective.beaker.tests.test_parallel import session_id
from collective.beaker.tests.test_parallel import setting


LARGE = "a" * 20_000


@pytest.fixture
def folder():
    """A folder of an unprivileged user, and how a process becomes that one."""
    with unprivileged_folder() as (folder, popen):
        yield folder, popen.get("user")


@pytest.fixture(params=["file", "sqlite"])
def sessions(request, config, folder):
    """The folder in which sessions are stored."""
    path = folder[0] / "sessions"
    path.mkdir()
    if request.param == "sqlite":
        config.update(type="ext:database", url=f"sqlite:///{path}/a.db")
    else:
        config.update(type="file", data_dir=str(path))
    return path


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
def reader(sessions, folder, application):
    """Return a function that acts where nobody may write the sessions."""

    def act(function):
        user = folder[1]
        for path in [sessions, *sessions.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)

        def act_as_user():
            if user is not None:
                os.setgroups([])
                os.setuid(user)
            return function()

        try:
            return in_fork(act_as_user)
        finally:
            for path in [sessions, *sessions.rglob("*")]:
                path.chmod(0o755 if path.is_dir() else 0o644)

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
    sessions, visitor, reader, caplog
):
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
