"""Zopes that are killed while they write."""

import signal
import sys
import threading

import pytest

from collective.beaker.stores import base
from collective.beaker.tests.helpers.forks import forked
from collective.beaker.tests.helpers.stores import store_fixture
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import Browser
from collective.beaker.tests.helpers.zope import Visitor
from collective.beaker.tests.helpers.zope import published


CLIENTS = 4
MOMENTS = 17
KILLS = 3 * MOMENTS

lasting_store = store_fixture("file", "sqlite", "redis", "postgresql")


def cookie_of(visitor):
    [(name, value)] = visitor.cookies.items()
    return f"{name}={value}"


def count_without_pause(application, cookies):
    """Return what counts for all clients, and tells each answer it got."""

    def count_all(write):
        def count_for(client):
            browser = Browser(application)
            browser.cookie = cookies[client]
            while True:
                text = browser.get(f"@@{VIEW_NAME}").decode()
                write(f"{client} {text}\n".encode())

        threads = [
            threading.Thread(target=count_for, args=[client])
            for client in range(len(cookies))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return count_all


def test_a_zope_that_is_killed_while_it_writes_leaves_no_broken_session(
    lasting_store, application, config
):
    visitors = [Visitor(application) for _ in range(CLIENTS)]
    last = [int(visitor.visit(count).text) for visitor in visitors]
    cookies = [cookie_of(visitor) for visitor in visitors]
    with published(count):
        for number in range(KILLS):
            action = count_without_pause(application, cookies)
            with forked(action) as zope:
                # Another moment each time.
                for _ in range(CLIENTS + number % MOMENTS):
                    client, text = zope.output.readline().split()
                    last[int(client)] = int(text)
                zope.kill()
                for line in zope.output:
                    client, text = line.split()
                    last[int(client)] = int(text)
            for client, visitor in enumerate(visitors):
                response = visitor.browser.get(f"/@@{VIEW_NAME}")
                # What was not told any more may be stored.
                before, last[client] = last[client], int(response.text)
                assert before < last[client] <= before + 2


def count_until(event, application, cookie):
    """Return what counts, and waits for ever before it does something.

    Python names what happens to the file that is being written.
    """

    def count_once(write):
        def wait(name, arguments):
            if name == event and str(arguments[0]).endswith(".temp"):
                write(b"now\n")
                signal.pause()

        browser = Browser(application)
        browser.cookie = cookie
        sys.addaudithook(wait)
        browser.get(f"@@{VIEW_NAME}")

    return count_once


@pytest.fixture
def kill_before(application, config, visitor, tmp_path):
    """Return a function that kills who writes the file of a session."""
    config.update(type="file", data_dir=str(tmp_path))
    visitor.visit(count)

    def kill_before(event):
        action = count_until(event, application, cookie_of(visitor))
        with published(count), forked(action) as zope:
            assert zope.output.readline() == b"now\n"
            zope.kill()

    return kill_before


@pytest.mark.parametrize("event", ["open", "os.rename"])
def test_a_zope_that_is_killed_while_it_writes_a_file_changes_no_session(
    kill_before, visitor, event
):
    kill_before(event)

    assert visitor.visit(read_count).text == "1"


@pytest.mark.parametrize("event", ["open", "os.rename"])
def test_a_lock_of_a_zope_that_was_killed_lets_others_write_at_once(
    kill_before, visitor, event, monkeypatch
):
    kill_before(event)
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)

    assert visitor.visit(count).text == "2"


def test_what_a_killed_zope_has_left_is_gone_when_the_session_is_written(
    kill_before, visitor, tmp_path
):
    kill_before("os.rename")
    assert len(list(tmp_path.rglob("*.temp"))) == 1
    visitor.visit(count)

    assert list(tmp_path.rglob("*.temp")) == []
