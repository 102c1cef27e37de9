"""Stored records: their format, their permissions, and what they may hold."""

import importlib
import os
import pickle
import stat
import zlib
from base64 import b64encode
from datetime import date

import pytest
from beaker.middleware import SessionMiddleware
from webtest import TestApp

from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISession
from collective.beaker.session.policy import policy_for
from collective.beaker.stores.container import LARGEST
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.records import KEY
from collective.beaker.tests.helpers.records import records_of
from collective.beaker.tests.helpers.records import text_of
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import delete
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.visitors import session_cookie
from collective.beaker.tests.helpers.visitors import session_id


# Sessions of Beaker's middleware, and sessions for it


def count_without_zope(environ, start_response):
    """Count this visitor's visits, as an application beside Zope."""
    session = environ[ENVIRON_KEY]
    session["count"] = session.get("count", 0) + 1
    session.save()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(session["count"]).encode()]


def middleware_browser(visitor, store, config, **options):
    """Return a browser under Beaker's middleware, with a visitor's cookies."""
    options = vars(store) | {"secret": config["secret"]} | options
    del options["folder"]
    application = SessionMiddleware(
        count_without_zope, {f"session.{key}": options[key] for key in options}
    )
    return TestApp(application, cookiejar=visitor.browser.cookiejar)


def in_turn(visitor, browser, middleware_first):
    """Visit Zope and the middleware's application twice, in turn."""
    visits = [lambda: visitor.visit(count), lambda: browser.get("/")]
    if middleware_first:
        visits.reverse()
    return [visit().text for visit in visits * 2]


OPTIONS = pytest.mark.parametrize(
    "options",
    [
        {},
        {"data_serializer": "json"},
        {"encrypt_key": "a key", "validate_key": "another key"},
        {"timeout": 3600},
        {"save_accessed_time": False},
    ],
    ids=lambda options: " and ".join(options) or "default",
)


@pytest.mark.parametrize("middleware_first", [True, False])
@OPTIONS
def test_zope_and_beakers_middleware_share_their_sessions(
    server_store, config, visitor, options, middleware_first
):
    config.update(options)
    browser = middleware_browser(visitor, server_store, config, **options)

    assert in_turn(visitor, browser, middleware_first) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("middleware_first", [True, False])
def test_zope_and_beakers_middleware_share_unsigned_ids(
    server_store, config, visitor, middleware_first
):
    config["secret"] = None
    browser = middleware_browser(visitor, server_store, config)

    assert in_turn(visitor, browser, middleware_first) == ["1", "2", "3", "4"]


@OPTIONS
def test_zope_reads_the_cookie_sessions_of_beakers_middleware(
    cookie_store, config, visitor, options
):
    config.update(options)
    browser = middleware_browser(visitor, cookie_store, config, **options)
    browser.get("/")

    assert visitor.visit(count).text == "2"


@pytest.mark.parametrize("size", [0, 100_000], ids=["small", "large"])
@pytest.mark.parametrize("module", ["memcache", "bmemcached"])
def test_zope_and_the_middleware_share_sessions_with_each_memcached_client(
    memcached_store, config, visitor, module, size
):
    importlib.import_module(module)
    config["memcache_module"] = module

    def fill(request):
        session = ISession(request)
        session["filling"] = "x" * size
        session.save()

    browser = middleware_browser(
        visitor, memcached_store, config, memcache_module=module
    )
    visitor.visit(fill)

    assert [browser.get("/").text for _ in range(2)] == ["1", "2"]
    assert visitor.visit(count).text == "3"
    assert browser.get("/").text == "4"


def test_the_values_of_beakers_middleware_are_read(any_store, config, visitor):
    def keep(environ, start_response):
        environ[ENVIRON_KEY].update({"day": date(2011, 5, 11), (1, 2): b"\0"})
        return count_without_zope(environ, start_response)

    found = {}

    def look(request):
        found.update(ISession(request))

    browser = middleware_browser(visitor, any_store, config)
    browser.app.wrap_app = keep
    browser.get("/")
    visitor.visit(look)

    assert found["day"] == date(2011, 5, 11)
    assert found[1, 2] == b"\0"


# The container of a record


def stored_as(store, value, protocol=pickle.DEFAULT_PROTOCOL):
    """Return a value in the container that a kind of store has."""
    if store.type in ("file", "ext:database"):
        value = {KEY: value}
    return pickle.dumps(value, protocol)


PAYLOAD = text_of({"count": 7, "_creation_time": 1.0, "_accessed_time": 1.0})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_containers_of_every_pickle_protocol_are_read(
    containing_store, visitor, protocol
):
    visitor.visit(count)
    raw = stored_as(containing_store, PAYLOAD, protocol)
    records_of(containing_store).write(session_id(visitor), raw)

    assert visitor.visit(count).text == "8"


class Intruder:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "inside"])
def test_a_pickle_planted_as_container_does_not_run(
    pickling_store, visitor, tmp_path, caplog, whole
):
    folder = tmp_path / "intrusion"
    visitor.visit(count)
    raw = (
        pickle.dumps(Intruder(folder))
        if whole
        else stored_as(pickling_store, Intruder(folder))
    )
    records_of(pickling_store).write(session_id(visitor), raw)

    assert visitor.visit(read_count).text == "None"
    assert not folder.exists()
    assert len(log_of(caplog)) == 1


def test_with_json_a_pickle_planted_as_payload_does_not_run(
    server_store, config, visitor, tmp_path
):
    folder = tmp_path / "intrusion"
    payload = text_of(Intruder(folder))
    if server_store.type != "memory":
        payload = stored_as(server_store, payload)
    config["data_serializer"] = "json"
    visitor.visit(count)
    records_of(server_store).write(session_id(visitor), payload)

    assert visitor.visit(read_count).text == "None"
    assert not folder.exists()


@pytest.mark.parametrize(
    "value",
    [
        ["a list"],
        7,
        None,
        {"session": {"count": 7}},
        {"no session": "x"},
        {1: 2},
        date(2011, 5, 11),
    ],
    ids=repr,
)
def test_a_container_that_holds_anything_else_gives_a_fresh_session(
    pickling_store, visitor, value
):
    visitor.visit(count)
    raw = stored_as(pickling_store, value)
    records_of(pickling_store).write(session_id(visitor), raw)
    response = visitor.visit(count)

    assert response.text == "1"
    assert session_cookie(response) is not None


NO_SCOPES = [
    {"_domain": "a;b"},
    {"_domain": 5},
    {"_path": "x"},
    {"_path": []},
    {"_path": ""},
    {"_path": None},
]


@pytest.mark.parametrize("scope", NO_SCOPES, ids=str)
@pytest.mark.parametrize("change", [{}, {"_moved": "0" * 32}], ids=str)
def test_a_scope_that_no_cookie_can_have_gives_a_fresh_session(
    config, visitor, scope, change
):
    visitor.visit(count)
    id = session_id(visitor)
    policy = policy_for(config)
    record = policy.store.load(id)
    stored = policy.codec.decode(policy.store.payload(record))
    data = {"_accessed_time": stored["_accessed_time"], **change, **scope}
    if not change:
        data = {**stored, **data}
    policy.store.swap(id, record, policy.codec.encode(data))

    assert visitor.visit(read_count).text == "None"
    visitor.visit(delete)
    assert visitor.visit(count).text == "1"


def bomb_of_memory(store):
    """Return a container that unpickles to a text, with a large memo."""
    end = b"\np%d\n." % 10**7
    if store.type in ("file", "ext:database"):
        return b"(dVsession\nV" + PAYLOAD.encode() + b"\ns" + end[1:-1] + b"."
    return b"V" + PAYLOAD.encode() + end


def test_a_record_that_would_take_much_memory_gives_a_fresh_session(
    containing_store, visitor
):
    visitor.visit(count)
    raw = bomb_of_memory(containing_store)
    records_of(containing_store).write(session_id(visitor), raw)

    assert visitor.visit(read_count).text == "None"


def test_compressed_data_that_grow_too_large_give_a_fresh_session(
    containing_store, config, visitor
):
    config["data_serializer"] = "json"
    visitor.visit(count)
    bomb = zlib.compress(b'{"count": 7, "a": "%s"}' % (b" " * LARGEST))
    raw = stored_as(containing_store, b64encode(bomb).decode())
    records_of(containing_store).write(session_id(visitor), raw)

    assert visitor.visit(read_count).text == "None"


# Permissions


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder):
    """Return the permissions of all files, and those of all folders."""
    paths = [folder, *folder.rglob("*")]
    return tuple(
        {stat.S_IMODE(path.stat().st_mode) for path in paths if kind(path)}
        for kind in (os.path.isfile, os.path.isdir)
    )


@pytest.mark.parametrize("type", ["file", "dbm"])
def test_records_are_for_the_owner_only(
    config, visitor, tmp_path, type, umask
):
    folder = tmp_path / "sessions"
    config.update(type=type, data_dir=str(folder))
    visitor.visit(count)
    visitor.visit(count)

    assert modes(folder) == ({0o600}, {0o700})


@pytest.mark.parametrize("type", ["file", "dbm"])
def test_records_in_folders_of_their_own_are_for_the_owner_only(
    config, visitor, tmp_path, type, umask
):
    folders = {f"{type}_dir": tmp_path / "a", "lock_dir": tmp_path / "b"}
    config.update({name: str(folder) for name, folder in folders.items()})
    config["type"] = type
    visitor.visit(count)
    visitor.visit(count)

    assert modes(tmp_path / "a") == ({0o600}, {0o700})
    assert modes(tmp_path / "b")[1] == {0o700}


@pytest.mark.parametrize("type", ["file", "dbm"])
def test_a_record_that_others_could_read_is_closed_when_it_is_written(
    config, visitor, tmp_path, type
):
    folder = tmp_path / "sessions"
    config.update(type=type, data_dir=str(folder))
    visitor.visit(count)
    for path in folder.rglob("*.*"):
        path.chmod(0o644)
    visitor.visit(count)

    assert modes(folder / f"container_{type}")[0] == {0o600}
