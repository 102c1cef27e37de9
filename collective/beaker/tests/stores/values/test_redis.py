"""Values in Redis."""

import pytest
from redis import Redis
from redis.exceptions import ConnectionError

from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores.values import find_value_store
from collective.beaker.stores.values.base import LONGEST_SECONDS as MONTH
from collective.beaker.tests.helpers.servers import redis_server
from collective.beaker.tests.helpers.servers import refusing_writes


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Redis that these tests may change."""
    with redis_server(tmp_path_factory.mktemp("own")) as server:
        yield server


@pytest.fixture
def client(server):
    with Redis.from_url(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def values(server, client, region):
    options = {"type": "ext:redis", "url": server.url}
    return find_value_store(options, region)


def test_every_key_has_an_end(values, client):
    claim, _ = values.claim("v:1", ["v:1"], 5)
    values.claim("v:2", ["v:2"], 5)
    values.settle(claim, b"first", None, {"t:1": b"tag"})
    values.put("v:3", b"third", None, {"t:2": b"tag"})
    values.raise_numbers(["t:3"], 1, None)

    keys = client.keys()
    assert len(keys) == 6
    ends = [client.ttl(key) for key in keys]
    assert min(ends) > 0
    assert max(ends) <= MONTH


def test_what_has_no_end_is_kept_for_a_month_from_when_it_is_stored(
    values, client
):
    values.put("v:1", b"first", 5)
    values.put("v:1", b"first", None)

    assert client.ttl("beaker_value:{v:1}") > MONTH - 60


def test_scripts_that_redis_has_forgotten_are_sent_again(values, client):
    values.raise_numbers(["t:1"], 1, 60)
    client.script_flush()
    claim, _ = values.claim("v:1", ["v:1"], 60)
    assert values.settle(claim, b"first", 60, {"t:1": b"tag"})

    names = ["v:1", "t:1"]
    assert values.get(names) == {"v:1": b"first", "t:1": b"%016x" % 1}


def test_clients_of_code_are_used(client, region):
    values = find_value_store({"type": "ext:redis", "url": client}, region)
    claim, _ = values.claim("v:1", ["v:1"], 60)
    assert values.settle(claim, b"first", 60, {"t:1": b"tag"})

    names = ["v:1", "t:1"]
    assert values.get(names) == {"v:1": b"first", "t:1": b"tag"}


@pytest.fixture
def full(client):
    before = client.config_get("maxmemory")
    client.config_set("maxmemory", "1")
    yield
    client.config_set("maxmemory", before["maxmemory"])


@pytest.fixture
def read_only(server):
    with refusing_writes(server):
        yield


@pytest.mark.parametrize("state", ["full", "read_only"])
def test_a_redis_that_stores_nothing_is_unavailable_and_still_read(
    values, request, state
):
    values.put("v:1", b"first", 60)
    request.getfixturevalue(state)

    assert values.get(["v:1"]) == {"v:1": b"first"}
    for use in (
        lambda: values.put("v:1", b"second", 60, {"t:1": b"tag"}),
        lambda: values.claim("v:1", ["v:1"], 60),
        lambda: values.raise_numbers(["t:1"], 1, 60),
    ):
        with pytest.raises(StoreUnavailable):
            use()
    # The answers to what was refused are not those to the next question.
    assert values.get(["v:1"]) == {"v:1": b"first"}


def test_a_claim_whose_answer_was_lost_is_ours(values, monkeypatch):
    values.get(["v:1"])
    connection = values._ask._connection
    read = connection.read_response
    lost = []

    def lose_answer(*arguments, **options):
        answer = read(*arguments, **options)
        if not lost:
            lost.append(answer)
            raise ConnectionError
        return answer

    monkeypatch.setattr(connection, "read_response", lose_answer)
    claim, _ = values.claim("v:1", ["v:1"], 60)

    assert lost == [b"OK"]
    assert claim is not None


def test_many_numbers_are_sent_at_once(values, client):
    names = [f"t:{number}" for number in range(50)]
    values.raise_numbers(names, 1, 60)

    before = client.info("stats")["total_reads_processed"]
    values.raise_numbers(names, 2, 60)
    reads = client.info("stats")["total_reads_processed"] - before

    assert reads < 10


def test_more_numbers_than_can_be_sent_in_time_are_sent_in_parts(
    values, client
):
    """A redis that has lost its scripts refuses no more than one part."""
    client.script_flush()
    client.config_resetstat()
    names = [f"t:{number}" for number in range(3000)]
    values.raise_numbers(names, 1, 60)

    refused = client.info("commandstats")["cmdstat_evalsha"]["failed_calls"]
    assert refused < len(names) / 2
    assert len(values.get(names)) == len(names)


def test_a_redis_that_is_full_forgets_what_is_dropped(values, client):
    values.put("v:1", b"\0value", 60)
    values.raise_numbers(["t:1"], 1, None)
    client.config_set("maxmemory", 1)
    try:
        for name in ("v:1", "t:1"):
            with pytest.raises(StoreUnavailable, match="OutOfMemoryError"):
                values.raise_numbers([name], 2, None)
    finally:
        client.config_set("maxmemory", 0)

    assert values.get(["v:1", "t:1"]) == {}
