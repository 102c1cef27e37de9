"""Stores that cannot be reached, and records that cannot be read."""

import errno
import logging
import pickle
import shutil
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from collective.beaker.interfaces import ISession
from collective.beaker.stores import circuit
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.records import records_of
from collective.beaker.tests.helpers.records import text_of
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.servers import memcached_server
from collective.beaker.tests.helpers.stores import TYPES
from collective.beaker.tests.helpers.stores import server_fixture
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import delete
from collective.beaker.tests.helpers.views import ignore_session
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.views import read_id
from collective.beaker.tests.helpers.views import setting
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.visitors import data_of
from collective.beaker.tests.helpers.visitors import session_cookie
from collective.beaker.tests.helpers.visitors import session_id
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import Visitor


server = server_fixture(*TYPES)
lasting_server = server_fixture("redis", "postgresql", "mariadb")
redis_alone = server_fixture("redis")


def regenerate(request):
    ISession(request).regenerate_id()


def records_on(server, config):
    return records_of(SimpleNamespace(type=config["type"], url=server.url))


# Servers that cannot be reached


def test_without_the_server_a_request_that_uses_its_session_gets_503(
    server, visitor
):
    visitor.visit(count)
    cookie = visitor.cookies[COOKIE]
    server.stop()

    for view in (read_count, count, delete, regenerate):
        response = visitor.visit(view, status=503)
        assert int(response.headers["Retry-After"]) > 0
        assert session_cookie(response) is None
        assert visitor.cookies[COOKIE] == cookie


def test_without_the_server_a_new_visitor_who_saves_gets_503(
    server, other_visitor, visitor
):
    other_visitor.visit(count)
    server.stop()
    response = visitor.visit(count, status=503)

    assert response.headers["Retry-After"]
    assert visitor.cookies == {}


def test_without_the_server_a_request_that_uses_no_session_is_not_affected(
    server, visitor, caplog
):
    visitor.visit(count)
    server.stop()

    assert visitor.visit(ignore_session).text == "nothing"
    assert log_of(caplog) == []


def test_an_outage_is_one_line_of_the_log_with_the_servers_address(
    server, config, visitor, caplog
):
    visitor.visit(count)
    server.stop()

    for view in (read_count, count):
        caplog.clear()
        visitor.visit(view, status=503)
        [record] = log_of(caplog)
        message = logging.Formatter().format(record)
        assert record.levelno == logging.ERROR
        assert config["type"] in message
        assert f"127.0.0.1:{server.port}" in message
        assert session_id(visitor) not in message
        if "@" in server.url:
            password = server.url.partition("@")[0].rpartition(":")[2]
            assert password not in message


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_after_an_outage_visitors_have_the_sessions_they_had(
    lasting_server, visitor, end
):
    visitor.visit(count)
    cookie = visitor.cookies[COOKIE]
    getattr(lasting_server, end)()
    visitor.visit(count, status=503)
    lasting_server.start()

    assert [visitor.visit(count).text for _ in range(2)] == ["2", "3"]
    assert visitor.cookies[COOKIE] == cookie


def test_a_server_that_was_restarted_unnoticed_is_used(
    lasting_server, visitor
):
    visitor.visit(count)
    lasting_server.stop()
    lasting_server.start()

    assert visitor.visit(count).text == "2"


def test_a_server_that_may_have_lost_its_data_is_used_after_an_outage(
    server, visitor
):
    visitor.visit(count)
    server.stop()
    visitor.visit(read_count, status=503)
    server.start()
    first, second = [int(visitor.visit(count).text) for _ in range(2)]

    assert first in (1, 2)
    assert second == first + 1


def test_a_server_that_is_reached_first_after_an_outage_works(
    server, config, visitor, application
):
    server.stop()
    config["socket_timeout"] = 7  # A store that was never opened before.
    visitor.visit(count, status=503)
    server.start()

    assert Visitor(application).visit(count).text == "1"


def test_a_server_that_does_not_answer_counts_as_unreachable(
    server, config, visitor, impatient
):
    config["socket_timeout"] = 1
    visitor.visit(count)
    with ThreadPoolExecutor() as threads, server.suspended():
        request = threads.submit(visitor.visit, read_count, status=503)
        response = request.result(SECONDS)

    assert response.headers["Retry-After"]
    assert visitor.visit(read_count).text == "1"


def test_while_a_server_hangs_one_request_waits_and_no_other(
    redis_alone, config, visitor, caplog
):
    config["socket_timeout"] = 1
    visitor.visit(count)
    with redis_alone.suspended():
        for _ in range(20):
            assert visitor.visit(count, status=503).headers["Retry-After"]

    waited, *others = [record.getMessage() for record in log_of(caplog)]
    assert "TimeoutError" in waited
    assert len(others) == 19
    assert all("left alone for 5 seconds" in message for message in others)


@pytest.mark.parametrize(
    ("place", "name", "error"),
    [
        (socket, "getaddrinfo", socket.gaierror(socket.EAI_AGAIN, "")),
        (socket.socket, "connect", OSError(errno.EHOSTUNREACH, "")),
    ],
    ids=["name server", "host"],
)
@pytest.mark.parametrize("type", ["ext:redis", "ext:memcached"])
def test_while_no_host_is_found_one_request_waits_and_no_other(
    type, place, name, error, config, visitor, monkeypatch, caplog
):
    attempts = []

    def fail(*arguments, **options):
        attempts.append(arguments)
        raise error

    scheme = "redis://" if type == "ext:redis" else ""
    config.update(type=type, url=f"{scheme}127.0.0.1:{free_port()}")
    monkeypatch.setattr(place, name, fail)
    for _ in range(5):
        visitor.visit(count, status=503)

    assert len(attempts) == 1
    assert "left alone for 5 seconds" in log_of(caplog)[-1].getMessage()


def test_a_server_that_hung_is_used_again_after_some_seconds(
    redis_alone, config, visitor, monkeypatch
):
    config["socket_timeout"] = 1
    visitor.visit(count)
    with redis_alone.suspended():
        visitor.visit(read_count, status=503)
    visitor.visit(read_count, status=503)
    later = time.monotonic() + circuit.PAUSE_SECONDS
    monkeypatch.setattr(circuit.time, "monotonic", lambda: later)

    assert visitor.visit(read_count).text == "1"
    assert visitor.visit(count).text == "2"


def test_the_health_check_does_not_wait_for_a_server_that_hung_for_a_visitor(
    redis_alone, config, visitor
):
    config["socket_timeout"] = 1
    visitor.visit(count)
    with redis_alone.suspended():
        visitor.visit(read_count, status=503)

    # The server is back, but nobody has asked it yet.
    assert visitor.browser.get("/@@beaker-health", status=503)


def test_what_uses_a_server_finds_out_who_hung_without_a_visitor(
    redis_alone, config, visitor, caplog
):
    config["socket_timeout"] = 1
    visitor.visit(count)
    with redis_alone.suspended():
        visitor.browser.get("/@@beaker-health", status=503)
        visitor.visit(read_count, status=503)

    assert "left alone" in log_of(caplog)[-1].getMessage()


@pytest.mark.parametrize("transactional", [False, True])
@pytest.mark.parametrize("is_read_first", [True, False])
def test_no_cache_keeps_the_answer_to_one_who_met_an_outage(
    redis_alone, config, visitor, transactional, is_read_first
):
    def lose_server(request):
        if is_read_first:
            read_count(request)
        redis_alone.stop()
        request.response.setHeader("Cache-Control", "public, max-age=60")
        return count(request)

    config["transactional"] = transactional
    visitor.visit(count)
    response = visitor.visit(lose_server, status=503)

    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Vary"] == "Cookie"


@pytest.mark.parametrize("name", ["lock", "load"])
def test_without_the_server_other_methods_of_a_session_are_503_too(
    redis_alone, visitor, name
):
    def lose_server(request):
        method = getattr(ISession(request), name)
        redis_alone.stop()
        method()

    visitor.visit(count)

    assert visitor.visit(lose_server, status=503).headers["Retry-After"]


# One of several servers


@pytest.fixture
def two_memcached(config, tmp_path):
    """Two servers that share out the sessions, of which one may be ended."""
    (tmp_path / "other").mkdir()
    with (
        memcached_server(tmp_path) as first,
        memcached_server(tmp_path / "other") as other,
    ):
        config["type"] = "ext:memcached"
        config["url"] = f"{first.url};{other.url}"
        yield first, other


def read_id_and_count(request):
    return f"{read_id(request)} {count(request)} {read_id(request)}"


@pytest.mark.parametrize("transactional", [False, True])
def test_new_visitors_have_sessions_while_one_of_two_memcached_is_gone(
    two_memcached, config, application, transactional
):
    config["transactional"] = transactional
    two_memcached[0].stop()
    visitors = [Visitor(application) for _ in range(12)]

    for number in ("1", "2"):
        assert {each.visit(count).text for each in visitors} == {number}


def test_an_id_that_code_has_seen_stays_while_one_of_two_memcached_is_gone(
    two_memcached, application
):
    two_memcached[0].stop()
    for _ in range(12):
        visitor = Visitor(application)
        before, _, after = visitor.visit(read_id_and_count).text.split()
        assert before == after == session_id(visitor)


@pytest.mark.parametrize("transactional", [False, True])
def test_who_logs_in_while_one_of_two_memcached_is_gone_keeps_the_session(
    two_memcached, config, application, transactional
):
    def log_in(request):
        ISession(request).regenerate_id()
        return count(request)

    config["transactional"] = transactional
    two_memcached[0].stop()
    for _ in range(12):
        visitor = Visitor(application)
        visitor.visit(count)
        assert visitor.visit(log_in).text == "2"
        assert visitor.visit(count).text == "3"


def test_new_visitors_have_sessions_while_one_of_two_memcached_hangs(
    two_memcached, config, application, caplog
):
    config["socket_timeout"] = 1
    with two_memcached[0].suspended():
        for _ in range(12):
            assert Visitor(application).visit(count).text == "1"

    assert log_of(caplog) == []


def test_zope_is_healthy_while_one_of_two_memcached_is_gone(
    two_memcached, visitor
):
    two_memcached[0].stop()
    for _ in range(12):
        visitor.browser.get("/@@beaker-health")
    two_memcached[1].stop()
    visitor.browser.get("/@@beaker-health", status=503)


# Folders that cannot be used


@pytest.fixture(params=["file", "dbm", "sqlite"])
def folder(request, config, tmp_path):
    """The folder in which sessions are stored on this machine."""
    folder = tmp_path / "sessions"
    folder.mkdir()
    if request.param == "sqlite":
        url = f"sqlite:///{folder}/sessions.db"
        config.update(type="ext:database", url=url)
    else:
        config.update(type=request.param, data_dir=str(folder))
    return folder


def spoil(folder):
    """Replace a folder by a file."""
    folder.rename(folder.with_suffix(".bak"))
    folder.write_text("not a folder")


def restore(folder):
    folder.unlink()
    folder.with_suffix(".bak").rename(folder)


def test_a_folder_that_cannot_be_used_is_an_outage(
    folder, config, visitor, caplog
):
    visitor.visit(count)
    cookie = visitor.cookies[COOKIE]
    spoil(folder)
    response = visitor.visit(count, status=503)

    assert response.headers["Retry-After"]
    assert session_cookie(response) is None
    [record] = log_of(caplog)
    assert record.levelno == logging.ERROR
    assert config["type"] in record.getMessage()
    assert str(folder) in record.getMessage()
    assert session_id(visitor) not in logging.Formatter().format(record)

    restore(folder)
    assert visitor.visit(count).text == "2"
    assert visitor.cookies[COOKIE] == cookie


def test_a_folder_in_which_nothing_can_be_locked_is_an_outage(
    folder, config, visitor
):
    def spoil_folder(request):
        result = count(request)
        spoil(folder)
        return result

    config["transactional"] = True
    visitor.visit(count)

    assert visitor.visit(spoil_folder, status=503).headers["Retry-After"]


def test_where_a_folder_cannot_be_used_requests_without_session_work(
    folder, visitor
):
    visitor.visit(count)
    spoil(folder)

    assert visitor.visit(ignore_session).text == "nothing"


def test_a_folder_that_vanished_is_made_again(config, visitor, tmp_path):
    folder = tmp_path / "sessions"
    config.update(type="file", data_dir=str(folder))
    visitor.visit(count)
    shutil.rmtree(folder)

    assert visitor.visit(count).text == "1"
    assert visitor.visit(count).text == "2"


# Saving that fails


@pytest.mark.parametrize("view", [count, setting(a=1), regenerate, delete])
def test_a_server_that_goes_while_a_request_runs_is_an_error_for_its_visitor(
    lasting_server, config, visitor, caplog, view
):
    def lose_server(request):
        ISession(request).get("count")
        lasting_server.stop()
        return view(request)

    visitor.visit(count)
    cookie = visitor.cookies[COOKIE]
    records = records_on(lasting_server, config)
    before = records.read(session_id(visitor))
    response = visitor.visit(lose_server, status=503)
    lasting_server.start()

    assert response.headers["Retry-After"]
    assert session_cookie(response) is None
    assert visitor.cookies[COOKIE] == cookie
    assert records.read(session_id(visitor)) == before
    [record] = log_of(caplog)
    assert record.levelno == logging.ERROR
    assert visitor.visit(read_count).text == "1"


def test_a_folder_that_goes_while_a_request_runs_is_an_error_for_its_visitor(
    folder, visitor
):
    def lose_folder(request):
        result = count(request)
        spoil(folder)
        return result

    visitor.visit(count)
    visitor.visit(lose_folder, status=503)
    restore(folder)

    assert visitor.visit(read_count).text == "1"


@pytest.mark.parametrize("transactional", [False, True])
def test_a_server_that_goes_after_a_request_has_read_is_no_error_for_it(
    lasting_server, config, visitor, caplog, transactional
):
    def read_and_lose_server(request):
        result = read_count(request)
        lasting_server.stop()
        return result

    config.update(resolution_seconds=0, transactional=transactional)
    visitor.visit(count)
    response = visitor.visit(read_and_lose_server)
    lasting_server.start()

    assert response.text == "1"
    [record] = log_of(caplog)
    assert record.levelno == logging.ERROR
    assert f"127.0.0.1:{lasting_server.port}" in record.getMessage()
    assert visitor.visit(count).text == "2"


def save_the_impossible(request):
    session = ISession(request)
    session["count"] = session["impossible"] = lambda: None
    session.save()


def hide_the_impossible(request):
    """Put it inside a stored value, without save()."""
    ISession(request)["basket"].append(lambda: None)


@pytest.mark.parametrize("view", [save_the_impossible, hide_the_impossible])
def test_a_value_that_cannot_be_stored_is_an_error_and_nothing_is_stored(
    any_store, visitor, view
):
    visitor.visit(setting(basket=[], a=1))

    assert visitor.fails(view)
    assert data_of(visitor) == {"basket": [], "a": 1}


def test_with_auto_a_value_that_cannot_be_stored_is_an_error(
    any_store, config, visitor
):
    def assign(request):
        ISession(request)["impossible"] = lambda: None

    config["auto"] = True
    visitor.visit(setting(a=1))

    assert visitor.fails(assign)
    assert data_of(visitor) == {"a": 1}


def test_a_value_that_cannot_be_stored_leaves_the_record_untouched(
    server_store, visitor, clock
):
    records = records_of(server_store)
    visitor.visit(setting(basket=[], a=1))
    before = records.read(session_id(visitor))
    clock(100)

    assert visitor.fails(save_the_impossible)
    assert records.read(session_id(visitor)) == before


def test_a_new_visitor_whose_value_cannot_be_stored_gets_no_cookie(
    any_store, visitor
):
    assert visitor.fails(save_the_impossible)
    assert COOKIE not in visitor.cookies


# Records that cannot be decoded


BROKEN = {
    "no pickle": b"no pickle",
    "empty": b"",
    "cut": pickle.dumps({"session": text_of({"count": 1})})[:-20],
    "no base64": pickle.dumps({"session": "?"}),
    "no payload": pickle.dumps({"session": text_of({"count": 1})[:-8]}),
    "no dictionary": pickle.dumps({"session": text_of([1, 2])}),
    "no text": pickle.dumps(b"\0\x80"),
}

broken = pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)


@broken
def test_a_record_that_cannot_be_decoded_gives_a_fresh_session(
    server_store, visitor, caplog, raw
):
    records = records_of(server_store)
    visitor.visit(count)
    former = session_id(visitor)
    records.write(former, raw)
    response = visitor.visit(read_count)

    assert response.text == "None"
    assert session_cookie(response) is None
    [record] = log_of(caplog)
    assert record.levelno == logging.WARNING
    assert former not in logging.Formatter().format(record)
    assert records.read(former) == raw


@broken
def test_a_visitor_whose_record_cannot_be_decoded_gets_another_id(
    server_store, visitor, raw
):
    records = records_of(server_store)
    visitor.visit(count)
    former = session_id(visitor)
    records.write(former, raw)

    assert visitor.visit(count).text == "1"
    assert session_id(visitor) != former
    assert records.read(former) == raw
    assert visitor.visit(count).text == "2"


@broken
def test_without_invalidate_corrupt_such_a_record_is_an_error(
    server_store, config, visitor, raw
):
    config["invalidate_corrupt"] = False
    records = records_of(server_store)
    visitor.visit(count)
    records.write(session_id(visitor), raw)

    assert visitor.fails(read_count)
    assert visitor.fails(count)
    assert records.read(session_id(visitor)) == raw


def test_a_record_encrypted_with_a_lost_key_gives_a_fresh_session(
    server_store, config, visitor, caplog
):
    config.update(encrypt_key="one key", validate_key="another key")
    visitor.visit(count)
    config["encrypt_key"] = "a third key"

    assert visitor.visit(count).text == "1"
    assert visitor.visit(count).text == "2"
    assert [record.levelno for record in log_of(caplog)] == [logging.WARNING]
