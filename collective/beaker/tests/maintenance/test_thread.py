"""The sweep inside of Zope."""

import threading
from functools import partial
from signal import SIG_DFL
from signal import SIGINT
from signal import signal

import pytest
import Zope2
from ZODB import DB
from zope.component import getGlobalSiteManager
from zope.component import getUtility
from zope.processlifetime import ProcessStarting

from collective.beaker.caching.factory import region_with
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.maintenance import slices
from collective.beaker.maintenance import thread
from collective.beaker.maintenance.thread import Sweeper
from collective.beaker.maintenance.thread import ValueSweeper
from collective.beaker.maintenance.thread import start_sweeping
from collective.beaker.settings.section import read_configuration
from collective.beaker.stores.leases import LEASE_SECONDS
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.waiting import wait_until
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import zope_server


@pytest.fixture
def sessions(config, tmp_path):
    """Sessions in files, which Zope is to sweep each hour."""
    options = {"type": "file", "data_dir": str(tmp_path), "timeout": 3600}
    config.update(options, sweep_interval=3600)
    return Sessions(options)


@pytest.fixture
def sweepers():
    """The threads that sweep, ended after the test."""

    def running():
        return [
            each
            for each in threading.enumerate()
            if isinstance(each, Sweeper | ValueSweeper)
        ]

    yield running
    for each in running():
        each.stopping.set()
        each.join(SECONDS)


def test_a_turn_sweeps_and_logs_what_was_removed(sessions, caplog):
    caplog.set_level("INFO")
    fresh, _ = sessions.make(), sessions.make(idle=7200)

    Sweeper().sweep_if_due()

    assert sessions.ids() == {fresh}
    assert "Removed 1 sessions, 0 empty records" in caplog.text


def test_of_two_processes_one_sweeps_in_an_interval(sessions, clock):
    Sweeper().sweep_if_due()
    sessions.make(idle=7200)
    other = Sweeper()

    other.sweep_if_due()
    assert len(sessions.ids()) == 1

    clock(3599)
    other.sweep_if_due()
    assert len(sessions.ids()) == 1

    clock(2)
    other.sweep_if_due()
    assert sessions.ids() == set()


def test_a_turn_lasts_longer_than_a_short_interval(sessions, config, clock):
    config["sweep_interval"] = 1
    Sweeper().sweep_if_due()
    sessions.make(idle=7200)

    clock(59)
    Sweeper().sweep_if_due()

    assert len(sessions.ids()) == 1


def test_a_sweep_that_removed_nothing_is_not_logged(sessions, caplog):
    caplog.set_level("INFO")
    sessions.make()

    Sweeper().sweep_if_due()

    assert caplog.text == ""


def test_the_process_that_swept_may_come_again(sessions):
    sweeping = Sweeper()
    sweeping.sweep_if_due()
    sessions.make(idle=7200)
    sweeping.sweep_if_due()

    assert sessions.ids() == set()


def test_who_loses_the_turn_stops_in_between(sessions, clock, monkeypatch):
    """A process that was suspended for long must not go on beside others."""
    monkeypatch.setattr(slices, "SLICE", 1)
    for _ in range(3):
        sessions.make(idle=7200)
    slow = Sweeper()

    def suspend(seconds):
        clock(2 * 3600 + LEASE_SECONDS)
        assert sessions.store.take_turn("another", 3600)
        return False

    monkeypatch.setattr(slow.stopping, "wait", suspend)
    slow.sweep_if_due()

    assert len(sessions.ids()) >= 2


def test_a_sweep_that_is_to_stop_does_so_after_a_slice(sessions, monkeypatch):
    monkeypatch.setattr(slices, "SLICE", 1)
    for _ in range(3):
        sessions.make(idle=7200)
    stopped = Sweeper()
    stopped.stopping.set()

    stopped.sweep_if_due()

    assert len(sessions.ids()) >= 2


def test_a_store_that_is_down_is_logged(config, caplog):
    url = f"redis://me:very-secret@127.0.0.1:{free_port()}/0"
    config.update(type="ext:redis", url=url, timeout=60, sweep_interval=60)

    Sweeper().sweep_if_due()

    assert "Sessions were not swept: The store ext:redis" in (caplog.text)
    assert "very-secret" not in caplog.text


def test_an_unexpected_error_is_logged_by_its_type(config, caplog):
    url = "a very-secret that is no URL"
    config.update(type="ext:database", url=url, sweep_interval=60)

    Sweeper().sweep_if_due()

    assert "Sessions were not swept: ArgumentError." in caplog.text


def test_without_the_option_there_is_no_thread(config, sweepers):
    start_sweeping(ProcessStarting())

    assert sweepers() == []


def test_without_sessions_there_is_no_thread(unconfigured, sweepers):
    start_sweeping(ProcessStarting())

    assert sweepers() == []


def test_the_thread_sweeps_again_and_again(sessions, config, sweepers):
    config["sweep_interval"] = 1
    start_sweeping(ProcessStarting())
    (thread,) = sweepers()

    for _ in range(2):
        sessions.make(idle=7200)
        wait_until(lambda: sessions.ids() == set())
    assert thread.daemon


def test_the_thread_reads_the_options_at_each_turn(
    sessions, config, sweepers, tmp_path
):
    config["sweep_interval"] = 1
    start_sweeping(ProcessStarting())
    other = {**config, "data_dir": str(tmp_path / "other")}
    utilities = getGlobalSiteManager()
    utilities.registerUtility(other, ISessionConfig)
    try:
        moved = Sessions({"type": "file", "data_dir": other["data_dir"]})
        moved.make(idle=7200)
        wait_until(lambda: moved.ids() == set())

        other["sweep_interval"] = None
        wait_until(lambda: sweepers() == [])
    finally:
        utilities.registerUtility(config, ISessionConfig)
    assert getUtility(ISessionConfig) is config


@pytest.fixture
def of_site(sites, visitor, tmp_path):
    """Sessions of a site in Zope, which configures them for itself."""
    found = Sessions(
        {"type": "file", "data_dir": str(tmp_path / "site"), "timeout": 60}
    )

    def configure(request):
        components = request["PARENTS"][-1].special.getSiteManager()
        components.getUtility(ISessionConfig).update(found.options)

    visitor.visit(configure)
    return found


def test_what_a_site_configures_is_swept_by_its_own_timeout(sessions, of_site):
    kept = sessions.make(idle=600)
    of_site.make(idle=600)

    Sweeper().sweep_if_due()

    assert sessions.ids() == {kept}
    assert of_site.ids() == set()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"type": "ext:redis", "url": "redis://127.0.0.1:1/0"}, "The store"),
        ({"type": "ext:database", "url": "nonsense"}, "session.url is"),
        ({"type": "ext:database", "url": "sqlite://a:b/c"}, "session.url is"),
        ({"type": "file", "data_dir": 5}, "session.data_dir is 5"),
    ],
)
def test_a_store_of_a_site_that_fails_does_not_keep_others_from_it(
    options, reason, sessions, of_site, visitor, caplog
):
    def break_it(request):
        components = request["PARENTS"][-1].special.getSiteManager()
        components.getUtility(ISessionConfig).update(options)

    visitor.visit(break_it)
    sessions.make(idle=7200)

    Sweeper().sweep_if_due()

    assert sessions.ids() == set()
    assert f"Sessions of /special were not swept: {reason}" in caplog.text


def test_a_database_that_cannot_be_read_is_logged(
    sessions, monkeypatch, caplog
):
    closed = DB(None)
    closed.close()
    monkeypatch.setattr(Zope2, "DB", closed)
    sessions.make(idle=7200)

    Sweeper().sweep_if_due()

    assert sessions.ids() == set()
    assert "What sites configure was not read: " in caplog.text


def test_zope_sweeps_when_it_has_started(tmp_path):
    data_dir = tmp_path / "sessions"
    sessions = Sessions({"type": "file", "data_dir": str(data_dir)})
    sessions.make(idle=7200)
    fresh = sessions.make()
    settings = f"session.data_dir {data_dir}\nsession.timeout 3600\n"

    settings += "session.sweep_interval 1"
    with zope_server(make_instance(tmp_path / "instance", settings)):
        wait_until(lambda: sessions.ids() == {fresh})


def test_a_sweep_does_not_delay_the_end_of_zope(tmp_path):
    data_dir = tmp_path / "sessions"
    settings = f"session.data_dir {data_dir}\nsession.timeout 3600\n"
    settings += "session.sweep_interval 3600"
    zope_ini = make_instance(tmp_path / "instance", settings)
    # A shell has what it starts in the background ignore Ctrl-C.
    heed = {"preexec_fn": partial(signal, SIGINT, SIG_DFL)}
    with zope_server(zope_ini, end=SIGINT, popen=heed) as zope:
        assert zope.runs

    assert not zope.runs


# Values of caches


@pytest.fixture
def cached(monkeypatch, tmp_path, clock):
    """A value in files, which has expired."""
    section = {"cache.type": "file", "cache.data_dir": str(tmp_path)}
    monkeypatch.setattr(thread, "running_section", lambda: section)
    options = read_configuration(section).caches["cache"]
    cache = region_with("", options)

    def put():
        cache.put("a cache", b"key", "value", 1)
        clock(3)

    put()
    return put


def test_values_that_have_expired_are_swept(cached, caplog):
    caplog.set_level("INFO")

    ValueSweeper().sweep_if_due()

    assert "Removed 1 expired values of caches." in caplog.text


def test_of_two_processes_one_sweeps_the_values_in_an_hour(
    cached, caplog, clock
):
    caplog.set_level("INFO")
    ValueSweeper().sweep_if_due()
    cached()
    caplog.clear()

    ValueSweeper().sweep_if_due()
    assert caplog.text == ""

    clock(3600)
    ValueSweeper().sweep_if_due()
    assert "expired values of caches" in caplog.text


def test_a_thread_sweeps_values_where_the_store_needs_it(
    config, cached, sweepers
):
    start_sweeping(ProcessStarting())

    assert [type(thread) for thread in sweepers()] == [ValueSweeper]


def test_values_that_cannot_be_swept_are_logged_and_all_others_are_swept(
    cached, caplog, monkeypatch, tmp_path
):
    caplog.set_level("INFO")
    (tmp_path / "no-folder").write_text("")
    section = {
        "cache.type": "ext:database",
        "cache.url": f"sqlite:///{tmp_path}/no-folder/caches.db",
        "cache.regions": "files",
        "cache.files.type": "file",
        "cache.files.data_dir": str(tmp_path),
    }
    monkeypatch.setattr(thread, "running_section", lambda: section)

    ValueSweeper().sweep_if_due()

    assert "Caches were not swept: The store ext:database" in caplog.text
    assert "Removed 1 expired values of caches." in caplog.text
