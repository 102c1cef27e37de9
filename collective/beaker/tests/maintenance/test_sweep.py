"""Removing what has expired, and what killed processes have left."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from collective.beaker.maintenance import slices
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.maintenance.survey import survey
from collective.beaker.maintenance.sweep import Sweep
from collective.beaker.maintenance.sweep import _sweep_slice
from collective.beaker.maintenance.sweep import sweep
from collective.beaker.stores.leases import LEASE_SECONDS
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stored_sessions import last
from collective.beaker.tests.helpers.stored_sessions import options_of
from collective.beaker.tests.helpers.visits import count_visit
from collective.beaker.tests.helpers.waiting import SECONDS


def test_a_sweep_removes_what_has_expired_and_nothing_else(sessions):
    fresh, expired = sessions.make(), sessions.make(idle=7200)

    swept = last(sweep(sessions.options))

    assert sessions.ids() == {fresh}
    assert (swept.expired, swept.kept, swept.removed) == (1, 1, 1)
    assert sessions.store.load(expired) is None


def test_a_dry_run_counts_the_same_and_removes_nothing(sessions):
    both = {sessions.make(), sessions.make(idle=7200)}
    sessions.store.take_turn("killed", -1)

    dry = last(sweep(sessions.options, dry_run=True))

    assert sessions.ids() == both
    assert dry.expired == 1
    swept = last(sweep(sessions.options))
    assert replace(swept, looked_at=0) == replace(dry, looked_at=0)


def test_what_was_removed_is_counted_together():
    swept = Sweep(expired=1, empty=2, locks=4, temporary_files=8, kept=16)

    assert swept.removed == 15


def test_without_a_timeout_the_idle_time_decides(sessions):
    options = sessions.options | {"timeout": None}
    fresh, old = sessions.make(idle=3000), sessions.make(idle=7200)

    assert last(sweep(options)).removed == 0
    assert sessions.ids() == {fresh, old}

    last(sweep(options, idle=3600))
    assert sessions.ids() == {fresh}


def test_the_shorter_of_timeout_and_idle_time_decides(sessions):
    fresh = sessions.make(idle=60)
    sessions.make(idle=1200)

    last(sweep(sessions.options, idle=600))
    assert sessions.ids() == {fresh}

    sessions.make(idle=7200)
    last(sweep(sessions.options, idle=100_000))
    assert sessions.ids() == {fresh}


def test_a_session_has_two_minutes_to_be_stored_by_a_request_in_time(sessions):
    id = sessions.make(idle=3600 + 60)
    assert last(survey(sessions.options)).expired == 1

    last(sweep(sessions.options))
    assert sessions.ids() == {id}


def test_the_absolute_timeout_counts_from_the_beginning(file_sessions):
    file_sessions.make(idle=0, age=7200)
    options = file_sessions.options | {"absolute_timeout": 3600}

    assert last(sweep(options)).expired == 1


def test_a_sweep_removes_records_that_hold_no_session(sessions):
    sessions.put(
        sessions.session.policy.codec.encode({"_domain": None, "_path": "/"})
    )

    swept = last(sweep(sessions.options))

    assert (swept.empty, swept.expired, sessions.ids()) == (1, 0, set())


def test_what_cannot_be_read_is_kept_and_counted(sessions):
    id = sessions.put("no session at all")

    swept = last(sweep(sessions.options))

    assert sessions.ids() == {id}
    assert (swept.kept, swept.unreadable, swept.removed) == (1, 1, 0)


def test_sessions_encrypted_with_another_key_are_kept(file_sessions):
    keys = {"encrypt_key": "former", "validate_key": "former"}
    encrypted = Sessions(file_sessions.options | keys)
    encrypted.make(idle=7200)
    options = encrypted.options | {"validate_key": "present"}

    assert last(sweep(options)).unreadable == 1
    options["validate_key_fallbacks"] = ["former"]
    assert last(sweep(options)).expired == 1


def test_a_session_that_is_used_while_it_is_swept_survives(
    listing_store, config, visitor, other_visitor, monkeypatch
):
    monkeypatch.setattr(slices, "SLICE", 1)
    sessions = Sessions(options_of(listing_store)).alone()
    visitors = [visitor, other_visitor]
    for each in visitors:
        each.visit(count_visit)
    make_old(sessions)

    sweeping = sweep(sessions.options, idle=3600)
    first = next(sweeping)
    # Some stores have handed out the other record, too.
    left = sessions.ids()
    counts = [each.visit(count_visit).text for each in visitors]
    swept = last([first, *sweeping])

    assert (len(left), swept.expired) == (1, 1)
    assert sorted(counts) == ["1", "2"]
    assert left <= sessions.ids()
    assert sorted(each.visit(count_visit).text for each in visitors) == [
        "2",
        "3",
    ]


def make_old(sessions):
    """Have the stored sessions look as if nobody had used them for long."""
    for id, record in sessions.store.walk():
        text = sessions.store.payload(record)
        data = sessions.session.policy.codec.decode(text)
        data["_accessed_time"] -= 7200
        payload = sessions.session.policy.codec.encode(data)
        assert sessions.store.swap(id, record, payload)


def test_a_sweep_takes_away_nothing_that_was_stored_at_that_moment(
    config, visitor, tmp_path, caplog
):
    caplog.set_level("INFO")
    config.update(type="file", data_dir=str(tmp_path))
    sessions = Sessions({"type": "file", "data_dir": str(tmp_path)})
    for _ in range(40):
        caplog.clear()
        visitor.visit(count_visit)
        make_old(sessions)
        together = threading.Barrier(2)

        def clean(together=together):
            together.wait(SECONDS)
            return last(sweep(sessions.options, idle=3600))

        with ThreadPoolExecutor(1) as threads:
            sweeping = threads.submit(clean)
            together.wait(SECONDS)
            counted = int(visitor.visit(count_visit).text)
            sweeping.result(SECONDS)

        # It may end before the visit or during it, not when it is stored.
        ended = "A session ended while a request used it" in caplog.text
        expected = 1 if ended else counted + 1
        assert int(visitor.visit(count_visit).text) == expected


def test_a_session_that_was_used_meanwhile_is_counted_as_kept(file_sessions):
    used, gone, _ = (file_sessions.make(idle=7200) for _ in range(3))
    records = list(file_sessions.store.walk_all())
    old = file_sessions.store.load(used)
    payload = file_sessions.session.policy.codec.encode(
        {"_accessed_time": time.time()}
    )
    assert file_sessions.store.swap(used, old, payload)
    file_sessions.store.delete(gone)
    swept = Sweep()

    inspector = SessionInspector(file_sessions.options)
    _sweep_slice(inspector, records, swept, False)

    assert (swept.expired, swept.kept, swept.used_meanwhile) == (1, 1, 1)
    assert file_sessions.ids() == {used}


def test_a_sweep_counts_the_records_and_files_that_it_looks_at(file_sessions):
    for _ in range(2):
        file_sessions.make()

    # Each session has a lock file.
    assert last(sweep(file_sessions.options)).looked_at == 4


def test_a_session_that_is_removed_leaves_no_lock_file(
    file_sessions, lock_files
):
    file_sessions.make(idle=7200)
    assert lock_files.paths()
    last(sweep(file_sessions.options))

    assert lock_files.paths() == []


def test_a_lock_file_that_nobody_holds_is_removed(file_sessions, lock_files):
    file_sessions.make()
    assert last(sweep(file_sessions.options)).locks == 0
    lock_files.make_old()

    assert last(sweep(file_sessions.options, dry_run=True)).locks == 1
    assert last(sweep(file_sessions.options)).locks == 1
    assert lock_files.paths() == []


def test_a_lock_file_that_somebody_holds_stays(file_sessions, lock_files):
    id = file_sessions.make()
    lock_files.make_old()

    with file_sessions.store.lock(id):
        assert last(sweep(file_sessions.options)).locks == 0
    assert len(lock_files.paths()) == 1


def test_a_lock_of_one_who_was_killed_is_removed_when_its_time_is_over(
    every_leasing_store, clock
):
    sessions = Sessions(options_of(every_leasing_store)).alone()
    id = sessions.make()
    killed = sessions.store.lock(id)
    killed.__enter__()
    assert last(sweep(sessions.options)).locks == 0
    clock(LEASE_SECONDS + 1)

    assert last(sweep(sessions.options)).locks == 1
    assert {name for name, _ in sessions.store.walk_all()} == {id}


def test_files_that_a_killed_process_was_writing_are_removed_after_a_day(
    file_sessions,
):
    id = file_sessions.make()
    path = file_sessions.store._path(id)
    temporary = [f"{path}.temp", f"{os.path.dirname(path)}/tmp1.temp"]
    for name in temporary:
        with open(name, "w"):
            pass
    assert last(sweep(file_sessions.options)).temporary_files == 0
    for name in temporary:
        os.utime(name, (1, 1))

    assert last(sweep(file_sessions.options)).temporary_files == 2
    assert file_sessions.ids() == {id}


def test_a_session_with_odd_times_stays_and_stops_no_sweep(file_sessions):
    odd = file_sessions.make(_accessed_time="soon")
    file_sessions.make(idle=7200)
    *_, swept = sweep(file_sessions.options)

    assert file_sessions.ids() == {odd}
    assert (swept.expired, swept.unreadable) == (1, 1)


def test_a_strange_file_stops_no_sweep(file_sessions, tmp_path):
    id = file_sessions.make(idle=7200)
    folder = tmp_path / "container_file"
    (folder / id[0] / ".DS_Store").write_text("")
    (folder / "x").write_text("")
    *_, swept = sweep(file_sessions.options)

    assert swept.expired == 1
