"""Looking after what is stored, in each kind of store."""

import fcntl
import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest
from beaker.cache import CacheManager
from beaker.cache import cache_regions

from collective.beaker.ids import new_id
from collective.beaker.maintenance import slices
from collective.beaker.maintenance.caches import clear_region
from collective.beaker.maintenance.revoke import _remove_all
from collective.beaker.maintenance.revoke import revoke
from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import StoredSessions
from collective.beaker.maintenance.survey import survey
from collective.beaker.maintenance.sweep import Sweep
from collective.beaker.maintenance.sweep import _sweep_slice
from collective.beaker.maintenance.sweep import sweep
from collective.beaker.session import Session
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import read_configuration
from collective.beaker.stores import sql
from collective.beaker.stores.base import LEASE_SECONDS
from collective.beaker.stores.lock_files import held
from collective.beaker.stores.lock_files import is_free
from collective.beaker.stores.lock_files import remove_free
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stored_sessions import last
from collective.beaker.tests.helpers.stored_sessions import options_of
from collective.beaker.tests.helpers.visits import count_visit


# Counting


def test_a_survey_counts_sessions_and_their_ages(sessions):
    sessions.make()
    sessions.make(idle=120, age=2 * 24 * 60 * 60)
    sessions.make(idle=7200)

    found = last(survey(sessions.options))

    assert (found.sessions, found.expired) == (3, 1)
    assert found.idle == [1, 1, 1, 0, 0, 0]
    assert found.age == [1, 0, 1, 1, 0, 0]
    assert found.oldest == pytest.approx(2 * 24 * 60 * 60, abs=60)


def test_a_survey_knows_how_large_sessions_are(sessions):
    sessions.make()
    sessions.make(text="0123456789" * 2000)

    found = last(survey(sessions.options))

    assert found.size == [1, 0, 1, 0, 0]
    assert 20_000 < found.largest < found.bytes < 40_000


def test_a_survey_counts_what_is_empty_or_unreadable_apart(sessions):
    sessions.put("no session at all")
    sessions.put(sessions.session._encode({"_accessed_time": 1}))

    found = last(survey(sessions.options))

    assert (found.sessions, found.unreadable, found.empty) == (1, 1, 1)


def test_a_survey_reports_in_slices(file_sessions, monkeypatch):
    monkeypatch.setattr(slices, "SLICE", 2)
    for _ in range(5):
        file_sessions.make()

    counts = [found.sessions for found in survey(file_sessions.options)]

    assert counts == [2, 4, 5, 5]


# Sweeping


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
    sessions.put(sessions.session._encode({"_domain": None, "_path": "/"}))

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


def test_an_idle_time_needs_the_time_of_use(file_sessions):
    options = {"data_dir": file_sessions.options["data_dir"]}

    with pytest.raises(CannotMaintain, match="save_accessed_time is off"):
        last(sweep(options | {"save_accessed_time": False}, idle=3600))
    with pytest.raises(CannotMaintain, match="every 20 seconds only"):
        last(sweep(options, idle=20))


def test_a_session_that_is_used_while_it_is_swept_survives(
    server_store, config, visitor, other_visitor, monkeypatch
):
    if server_store.type == "ext:memcached":
        pytest.skip("memcached cannot list its sessions")
    monkeypatch.setattr(slices, "SLICE", 1)
    sessions = Sessions(options_of(server_store)).alone()
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
        data = sessions.session.data_of(record)
        data["_accessed_time"] -= 7200
        payload = sessions.session._encode(data)
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
            together.wait(30)
            return last(sweep(sessions.options, idle=3600))

        with ThreadPoolExecutor(1) as threads:
            sweeping = threads.submit(clean)
            together.wait(30)
            counted = int(visitor.visit(count_visit).text)
            sweeping.result(30)

        # It may end before the visit or during it, not when it is stored.
        ended = "A session ended while a request used it" in caplog.text
        expected = 1 if ended else counted + 1
        assert int(visitor.visit(count_visit).text) == expected


def test_a_session_that_was_used_meanwhile_is_counted_as_kept(file_sessions):
    used, gone, _ = (file_sessions.make(idle=7200) for _ in range(3))
    records = list(file_sessions.store.walk_all())
    old = file_sessions.store.load(used)
    payload = file_sessions.session._encode({"_accessed_time": time.time()})
    assert file_sessions.store.swap(used, old, payload)
    file_sessions.store.delete(gone)
    swept = Sweep()

    _sweep_slice(StoredSessions(file_sessions.options), records, swept, False)

    assert (swept.expired, swept.kept, swept.used_meanwhile) == (1, 1, 1)
    assert file_sessions.ids() == {used}


def test_a_sweep_counts_the_records_and_files_that_it_looks_at(file_sessions):
    for _ in range(2):
        file_sessions.make()

    # Each session has a lock file.
    assert last(sweep(file_sessions.options)).looked_at == 4


def test_an_empty_store_has_a_result_too(sessions):
    assert last(survey(sessions.options)).sessions == 0
    assert last(sweep(sessions.options)).looked_at == 0
    assert last(revoke_all(sessions.options)) == 0


def test_of_several_records_those_that_are_as_they_were_are_removed(
    sessions,
):
    same, changed, gone = (sessions.make() for _ in range(3))
    records = [(id, sessions.store.load(id)) for id in (same, changed, gone)]
    assert sessions.store.swap(changed, records[1][1], "changed")
    sessions.store.delete(gone)

    assert sessions.store.remove(records) == 1
    assert sessions.ids() == {changed}
    assert sessions.store.remove([]) == 0


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
        assert removing.result(30) == 1

    assert sessions.ids() == {id}


def test_a_database_removes_large_records_in_several_statements(
    postgresql, monkeypatch
):
    postgresql.start()
    monkeypatch.setattr(sql, "_LARGEST_SHARE", 100)
    sessions = Sessions({"type": "ext:database", "url": postgresql.url})
    sessions.alone()
    for _ in range(3):
        sessions.make()

    assert sessions.store.remove(list(sessions.store.walk())) == 3


# Locks, and what killed processes leave


@pytest.fixture
def lock_files(file_sessions):
    """The lock files of the sessions, and a function that makes them old."""
    folder = file_sessions.store._lock_folder

    def paths():
        return [
            os.path.join(where, name)
            for where, _, names in os.walk(folder)
            for name in names
        ]

    def make_old():
        for path in paths():
            os.utime(path, (1, 1))

    return SimpleNamespace(paths=paths, make_old=make_old)


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
        for _ in range(150):
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
                one.result(60)
        finally:
            ended.set()
        removing.result(60)


def test_a_lock_of_one_who_was_killed_is_removed_when_its_time_is_over(
    sessions, clock
):
    if sessions.store.kind in ("memory", "file", "dbm"):
        pytest.skip("its locks are no records")
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


def test_caches_in_the_same_folder_are_left_alone(tmp_path):
    options = {"type": "file", "data_dir": str(tmp_path)}
    cache = CacheManager(**options).get_cache("prices")
    cache.put("apple", 1)
    cache.put("pear", 2)
    cache.remove_value("pear")

    assert last(survey(options)).unreadable == 0
    last(sweep(options, idle=3600))
    last(revoke_all(options))
    assert cache.get("apple") == 1


# Whose turn it is


def test_the_turn_is_one_process_s_until_its_time_is_over(sessions, clock):
    store = sessions.store

    assert store.take_turn("mine", 60)
    assert not store.take_turn("theirs", 60)
    assert store.take_turn("mine", 60)
    clock(61)
    assert store.take_turn("theirs", 60)
    assert not store.take_turn("mine", 60)


def test_the_turn_is_no_session(sessions):
    sessions.store.take_turn("mine", 60)

    assert sessions.ids() == set()
    assert last(survey(sessions.options)).sessions == 0


# Ending sessions


def test_one_session_is_revoked(any_store):
    if any_store.type == "cookie":
        pytest.skip("it is not in a store")
    sessions = Sessions(options_of(any_store))
    one, other = sessions.make(), sessions.make()

    assert revoke(sessions.options, one)
    assert not revoke(sessions.options, one)
    assert sessions.store.load(one) is None
    assert sessions.store.load(other) is not None


def test_what_is_no_id_is_not_revoked(file_sessions):
    with pytest.raises(CannotMaintain, match="32 hexadecimal digits"):
        revoke(file_sessions.options, "../../etc/passwd")


def test_all_sessions_are_revoked(sessions):
    sessions.make()
    sessions.put("no session at all")

    assert last(revoke_all(sessions.options)) == 2
    assert sessions.ids() == set()


def test_a_session_whose_clock_is_ahead_is_revoked_too(file_sessions):
    file_sessions.make(age=-3600)

    assert last(revoke_all(file_sessions.options)) == 1
    assert file_sessions.ids() == set()


def test_a_session_that_changes_its_id_meanwhile_is_revoked_too(
    file_sessions, monkeypatch
):
    monkeypatch.setattr(slices, "SLICE", 1)
    for _ in range(2):
        file_sessions.make(idle=60, age=60)
    revoking = revoke_all(file_sessions.options)
    next(revoking)
    (id,) = file_sessions.ids()
    # The first folder, where revoke_all has been already.
    session = Session({}, id=id, **file_sessions.options)
    monkeypatch.setattr(
        "collective.beaker.session.stored.new_id", lambda: "0" * 32
    )
    session.regenerate_id()
    session.save()

    assert last(revoking) == 2
    assert file_sessions.ids() == set()


def test_a_session_that_is_changed_meanwhile_is_revoked_all_the_same(
    server_store, config, visitor
):
    if server_store.type == "ext:memcached":
        pytest.skip("memcached cannot list its sessions")
    sessions = Sessions(options_of(server_store)).alone()
    visitor.visit(count_visit)
    records = list(sessions.store.walk())
    visitor.visit(count_visit)

    _remove_all(sessions.store, records)

    assert sessions.ids() == set()


def test_a_revoked_session_is_not_brought_back_by_a_request_in_between(
    config, visitor, tmp_path
):
    config.update(type="file", data_dir=str(tmp_path))
    visitor.visit(count_visit)

    def count_and_revoke(request):
        count_visit(request)
        return str(last(revoke_all(config)))

    assert visitor.visit(count_and_revoke).text == "1"
    assert visitor.visit(count_visit).text == "1"


# What cannot be done


def test_memcached_cannot_list_and_says_what_to_do(memcached):
    memcached.start()
    options = {"type": "ext:memcached", "url": memcached.url}

    for task in (survey, sweep, revoke_all):
        with pytest.raises(CannotMaintain, match="memcached removes by its"):
            last(task(options))


def test_sessions_in_cookies_are_in_no_store():
    options = {"type": "cookie", "validate_key": "a key for the tests"}

    with pytest.raises(CannotMaintain, match=r"Change session\.validate_key"):
        last(survey(options))


# Caches


def configured(**settings):
    section = {
        name.replace("__", "."): text for name, text in settings.items()
    }
    found = read_configuration(section)
    assert not found.errors
    return found


@pytest.fixture
def put():
    """Store a value in a cache of a region; return how to look at it."""
    known = dict(cache_regions)

    def put(configuration, region, name="prices"):
        options = dict(configuration.cache)
        regions = options.pop("cache_regions")
        manager = CacheManager(**options, cache_regions=regions)
        cache = manager.get_cache_region(name, region)
        cache.put("apple", 1)
        return lambda: "apple" in cache

    yield put
    cache_regions.clear()
    cache_regions.update(known)


def settings_of_regions(every_store):
    """Return settings of two regions that store in different places."""
    kind, folder = every_store.type, every_store.folder
    settings = {"cache__regions": "short, long"}
    if kind in ("file", "dbm"):
        settings |= {
            "cache__short__data_dir": str(folder / "short"),
            "cache__long__data_dir": str(folder / "long"),
        }
    elif kind == "ext:redis":
        server = every_store.url.removesuffix("/0")
        settings |= {
            "cache__short__url": f"{server}/1",
            "cache__long__url": f"{server}/2",
        }
    else:
        settings |= {
            "cache__short__url": every_store.url,
            "cache__short__table_name": "short",
            "cache__long__url": every_store.url,
            "cache__long__table_name": "long",
        }
    for region in ("short", "long"):
        settings[f"cache__{region}__type"] = kind
    return settings


@pytest.mark.parametrize("name", ["prices", "a?c*", "[x]"])
def test_one_region_is_cleared_and_nothing_else(server_store, put, name):
    if server_store.type in ("memory", "ext:memcached"):
        pytest.skip("it is not cleared in this way")
    configuration = configured(**settings_of_regions(server_store))
    configuration.session = options_of(server_store)
    session = Sessions(configuration.session).make()
    in_short = put(configuration, "short", name)
    in_long = put(configuration, "long", name)
    assert in_short() and in_long()

    assert clear_region(configuration, "short") == 1
    assert clear_region(configuration, "short") == 0
    assert not in_short()
    assert in_long()
    assert Sessions(configuration.session).ids() == {session}


def test_caches_whose_files_have_readable_names_are_cleared(tmp_path, put):
    configuration = configured(
        cache__regions="short",
        cache__short__type="file",
        cache__short__data_dir=str(tmp_path),
        cache__short__digest_filenames="off",
    )
    in_short = put(configuration, "short")

    assert clear_region(configuration, "short") == 1
    assert not in_short()


def test_a_region_in_mongodb_is_cleared_and_sessions_stay(every_store):
    if every_store.type != "ext:mongodb":
        pytest.skip("this is about MongoDB")
    session = Sessions(options_of(every_store)).make()
    records = every_store.url.get_default_database().backer_cache
    records.insert_one({"_id": "prices:apple", "value": b""})
    store = Sessions(options_of(every_store)).store

    assert store.clear_caches() == 1
    assert [found["_id"] for found in records.find()] == [f"{session}:session"]


def test_a_region_in_memory_is_cleared_in_this_process(put):
    configuration = configured(
        # No other test has a region of this kind.
        cache__regions="short, long",
        cache__short__expire="4711",
    )
    in_short = put(configuration, "short", "prices of a test")
    in_long = put(configuration, "long", "names of a test")

    assert clear_region(configuration, "short") == 1
    assert (in_short(), in_long()) == (False, True)


@pytest.mark.parametrize(
    ("settings", "other"),
    [
        ({"cache__regions": "short, long"}, "cache"),
        ({"cache__regions": "short, long", "cache__expire": "5"}, "cache"),
        (
            {
                "cache__regions": "short, long",
                "cache__short__expire": "5",
                "cache__long__expire": "5",
            },
            "cache.long",
        ),
    ],
)
def test_a_region_in_memory_that_is_like_another_is_not_cleared(
    settings, other
):
    with pytest.raises(CannotMaintain, match=f"cache.short and {other} have"):
        clear_region(configured(**settings), "short")


def test_sessions_that_only_a_site_knows_survive_in_a_cleared_redis(
    redis, put, config
):
    redis.start()
    url = f"{redis.url.removesuffix('/0')}/3"
    session = Sessions({"type": "ext:redis", "url": url}).make()
    configuration = configured(
        cache__regions="short",
        cache__short__type="ext:redis",
        cache__short__url=url,
    )
    put(configuration, "short")

    # Sessions that a site configures are not seen here.
    assert clear_region(configuration, "short") == 1
    assert Sessions({"type": "ext:redis", "url": url}).ids() == {session}


@pytest.mark.parametrize(
    ("others", "culprit"),
    [
        ({"cache__data_dir": "{folder}"}, "cache.data_dir"),
        ({"cache__long__data_dir": "{folder}/"}, "cache.long.data_dir"),
        ({"session__data_dir": "{folder}/../{name}"}, "session.data_dir"),
    ],
)
def test_a_region_that_shares_its_store_is_not_cleared(
    others, culprit, tmp_path, put
):
    settings = {
        "cache__type": "file",
        "cache__data_dir": str(tmp_path / "rest"),
        "cache__regions": "short, long",
        "cache__short__data_dir": str(tmp_path / "short"),
        "cache__long__data_dir": str(tmp_path / "long"),
    }
    filled = {
        name: value.format(folder=tmp_path / "short", name="short")
        for name, value in others.items()
    }
    configuration = configured(**settings | filled)
    in_short = put(configuration, "short")

    with pytest.raises(CannotMaintain) as raised:
        clear_region(configuration, "short")
    assert f"{culprit} the same" in str(raised.value)
    assert "Give cache.short.data_dir a value of its own" in str(raised.value)
    assert in_short()


def test_regions_on_one_redis_by_two_names_share_it(redis):
    configuration = configured(
        cache__regions="short, long",
        cache__short__type="ext:redis",
        cache__short__url=redis.url,
        cache__long__type="ext:redis",
        cache__long__url=f"redis://:password@localhost:{redis.port}",
    )

    with pytest.raises(CannotMaintain, match=r"cache\.long\.url the same"):
        clear_region(configuration, "short")


def test_a_region_on_memcached_is_not_cleared(memcached):
    configuration = configured(
        cache__regions="short",
        cache__short__type="ext:memcached",
        cache__short__url=memcached.url,
    )

    with pytest.raises(CannotMaintain, match="empty the whole server"):
        clear_region(configuration, "short")


def test_an_unknown_region_is_answered_with_the_known_ones():
    with pytest.raises(CannotMaintain, match=r"cache\.regions has: short\."):
        clear_region(configured(cache__regions="short"), "shrt")
    with pytest.raises(CannotMaintain, match=r"cache\.regions has: none\."):
        clear_region(Configuration(), "short")


def test_a_cache_is_not_revoked_for_a_session(file_sessions):
    options = {"type": "file", "data_dir": file_sessions.options["data_dir"]}
    cache = CacheManager(**options).get_cache("prices")
    cache.put("apple", 1)
    name = hashlib.sha1(b"prices").hexdigest()

    assert not revoke(file_sessions.options, name)
    assert "apple" in cache


def test_a_session_of_an_older_beaker_is_none_of_a_cache(file_sessions):
    # Both have names of 40 digits.
    id = new_id() + new_id()[:8]
    made = file_sessions.make(idle=7200)
    record = file_sessions.store.load(made)
    payload = file_sessions.store.payload(record)
    file_sessions.store.delete(made)

    assert file_sessions.store.swap(id, None, payload)
    assert last(survey(file_sessions.options)).sessions == 1
    assert last(sweep(file_sessions.options)).expired == 1
    assert file_sessions.store.swap(id, None, payload)
    assert revoke(file_sessions.options, id)


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
