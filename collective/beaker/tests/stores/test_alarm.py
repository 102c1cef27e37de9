"""What rings if it is not over in time."""

import threading

import pytest

from collective.beaker.stores.alarm import Alarm
from collective.beaker.tests.helpers.forks import in_fork
from collective.beaker.tests.helpers.threads import no_room_for_threads
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.waiting import wait_until


NEVER = 10 * SECONDS
AT_ONCE = 0.01


@pytest.fixture
def rung():
    return []


def test_an_alarm_rings_once_for_each_item(rung):
    alarm = Alarm(AT_ONCE, rung.append)
    alarm.set("one")
    wait_until(lambda: rung == ["one"])
    alarm.set("two")
    wait_until(lambda: rung == ["one", "two"])


def test_an_alarm_for_which_there_was_no_thread_rings_later(rung):
    alarm = Alarm(AT_ONCE, rung.append)
    with no_room_for_threads():
        alarm.set("one")
    alarm.set("two")

    wait_until(lambda: rung == ["one", "two"])


def test_an_alarm_does_not_ring_for_what_was_cleared(rung):
    alarm = Alarm(0.1, rung.append)
    alarm.set("one")
    alarm.set("two")
    alarm.clear("one")
    wait_until(lambda: rung)

    assert rung == ["two"]


def test_items_may_be_cleared_while_others_are_looked_at(rung):
    class ClearsAnother(float):
        """A time that lets another thread clear an item meanwhile."""

        def __le__(self, now):
            alarm.clear("another")
            return float(self) <= now

    alarm = Alarm(NEVER, rung.append)
    alarm._times = {"one": ClearsAnother(0), "another": NEVER}

    assert alarm._due() == ["one"]


def test_an_item_may_be_set_again_while_it_rings(rung):
    def ring(item):
        rung.append(item)
        if len(rung) < 3:
            alarm.set(item)

    alarm = Alarm(AT_ONCE, ring)
    alarm.set("one")
    wait_until(lambda: len(rung) == 3)


def test_a_ring_that_fails_silences_no_later_one(rung, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda failure: None)

    def ring(item):
        rung.append(item)
        raise ValueError

    alarm = Alarm(AT_ONCE, ring)
    alarm.set("one")
    wait_until(lambda: rung == ["one"] and not alarm._runs)
    alarm.set("two")
    wait_until(lambda: rung == ["one", "two"])


def test_in_a_forked_process_an_alarm_rings_for_its_own_items(rung):
    alarm = Alarm(NEVER, rung.append)
    alarm.set("parent's")

    def in_child():
        alarm._seconds = AT_ONCE
        alarm.set("child's")
        wait_until(lambda: rung)
        return rung

    assert in_fork(in_child) == ["child's"]
