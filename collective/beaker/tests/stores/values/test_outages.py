"""Stores of values that cannot be used raise StoreUnavailable, and no more."""

import pytest

from collective.beaker.interfaces import Claim
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores.values import find_value_store
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.stores import TYPES
from collective.beaker.tests.helpers.stores import WRONG_ADDRESSES
from collective.beaker.tests.helpers.stores import close_circuits
from collective.beaker.tests.helpers.stores import on_each


USES = {
    "get": lambda values: values.get(["v:1", "t:1"]),
    "claim": lambda values: values.claim("v:1", ["v:1"], 5),
    "renew": lambda values: values.renew(Claim("v:1", "token"), 5),
    "settle": lambda values: values.settle(
        Claim("v:1", "token", b"1"), b"record", 5, {"t:1": b"tag"}
    ),
    "give up": lambda values: values.give_up(Claim("v:1", "token")),
    "put": lambda values: values.put("v:1", b"record", 5, {"t:1": b"tag"}),
    "delete": lambda values: values.delete(["v:1"]),
    "raise_numbers": lambda values: values.raise_numbers(["t:1"], 1, 5),
}

each_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


@pytest.mark.parametrize(
    "options",
    [
        {"type": "file", "data_dir": "{occupied}"},
        {"type": "ext:redis", "url": "redis://:secret@127.0.0.1:{port}/0"},
        {"type": "ext:memcached", "url": "127.0.0.1:{port}"},
        {"type": "ext:database", "url": "sqlite:////{occupied}/a.db"},
        {
            "type": "ext:database",
            "url": "postgresql+psycopg://a:secret@127.0.0.1:{port}/a",
        },
        {
            "type": "ext:database",
            "url": "mysql+pymysql://a:secret@127.0.0.1:{port}/a",
        },
        *WRONG_ADDRESSES,
    ],
    ids=repr,
)
@each_use
def test_a_store_that_is_not_there_says_so_and_shows_no_password(
    options, use, region, tmp_path
):
    occupied = tmp_path / "occupied"
    occupied.write_text("")
    filled = {
        name: value.format(occupied=occupied, port=free_port())
        for name, value in options.items()
    }
    values = find_value_store(filled, region)

    with pytest.raises(StoreUnavailable) as raised:
        use(values)
    assert options["type"] in str(raised.value)
    assert "secret" not in str(raised.value)
    assert raised.value.__context__ is None


@pytest.fixture(params=on_each("redis", "memcached", "postgresql", "mariadb"))
def server(request, start_server):
    """A server that a test may end."""
    return start_server(request.param)


@pytest.fixture
def values(request, server, region):
    """A store on this server, which has been used before."""
    close_circuits()
    kind = TYPES[request.node.callspec.params["server"]]
    store = find_value_store({"type": kind, "url": server.url}, region)
    store.put("v:1", b"record", None)
    return store


def test_a_server_that_was_killed_is_unavailable(server, values):
    server.kill()

    for use in USES.values():
        with pytest.raises(StoreUnavailable):
            use(values)


@each_use
def test_a_server_that_was_restarted_is_used_at_once(server, values, use):
    server.kill()
    server.start()

    use(values)


@pytest.mark.parametrize(
    "use", [USES["get"], USES["settle"]], ids=["get", "settle"]
)
def test_a_server_that_hangs_is_unavailable(server, values, use):
    with server.suspended(), pytest.raises(StoreUnavailable):
        use(values)


@pytest.mark.parametrize("server", ["redis"], indirect=True)
@pytest.mark.parametrize("use", [USES["get"], USES["put"]], ids=["get", "put"])
def test_a_server_that_hung_is_left_alone(server, values, use):
    with server.suspended(), pytest.raises(StoreUnavailable):
        values.get(["v:1"])

    # It is back, but nobody asks it yet.
    with pytest.raises(StoreUnavailable, match="left alone for 5 seconds"):
        use(values)


def test_who_says_nothing_waits_a_second(server, values, region):
    options = {"type": values.kind, "url": server.url, "socket_timeout": 1}

    assert find_value_store(options, region) is values


def test_a_server_that_hung_is_used_again(server, values, impatient):
    values.put("v:2", b"other", None)
    with server.suspended(), pytest.raises(StoreUnavailable):
        values.get(["v:1"])

    assert values.get(["v:2"]) == {"v:2": b"other"}
