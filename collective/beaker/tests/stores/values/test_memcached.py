"""Values in memcached."""

import time

import pytest
from pymemcache.client.base import Client

from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores.values import find_value_store
from collective.beaker.stores.values.base import LONGEST_SECONDS
from collective.beaker.tests.helpers.servers import memcached_server


NAMES = [f"v:{number}" for number in range(10)]


@pytest.fixture
def client(memcached):
    memcached.start()
    client = Client(memcached.url, default_noreply=False)
    client.flush_all()
    yield client
    client.close()


@pytest.fixture
def values(memcached, client, region):
    options = {"type": "ext:memcached", "url": memcached.url}
    return find_value_store(options, region)


def ends(client):
    """Return in how many seconds each item ends, by its key."""
    lines = client.raw_command("lru_crawler metadump all", "END\r\n")
    items = [
        dict(field.split("=") for field in line.decode().split())
        for line in lines.splitlines()
    ]
    return {
        item["key"].replace("%3A", ":"): float(item["exp"]) - time.time()
        for item in items
    }


def test_every_item_has_an_end(values, client):
    claim, _ = values.claim("v:1", ["v:1"], 5)
    values.claim("v:2", ["v:2"], 5)
    values.settle(claim, b"first", None, {"t:1": b"tag"})
    values.put("v:3", b"third", None, {"t:2": b"tag"})
    values.raise_numbers(["t:3"], 1, None)

    found = ends(client)
    # The claim on v:2 is a lease and a note.
    assert len(found) == 7
    assert min(found.values()) > 0
    assert max(found.values()) <= LONGEST_SECONDS + 60


def test_what_others_keep_there_stays(values, client):
    client.set("v:1", b"theirs")
    values.put("v:1", b"mine", 60)
    values.delete(["v:1"])

    assert client.get("v:1") == b"theirs"


def test_a_value_may_look_like_an_answer(values):
    """In each place where what is read may have ended by chance."""
    likeness = b"\r\nEND\r\n" * 20_000
    values.put("v:1", likeness, 60)
    values.put("v:2", likeness[2:], 60)
    values.put("v:3", b"", 60)

    assert values.get(["v:3", "v:1", "v:0", "v:2"]) == {
        "v:3": b"",
        "v:1": likeness,
        "v:2": likeness[2:],
    }


def test_a_value_that_is_too_large_is_not_stored(values):
    claim, _ = values.claim("v:1", ["v:1"], 60)
    large = b"x" * 2**21

    with pytest.raises(StoreUnavailable):
        values.settle(claim, large, 60)
    assert values.get(["v:1"]) == {}


def test_a_memcached_that_is_full_is_unavailable(tmp_path, region):
    tmp_path.chmod(0o755)
    with memcached_server(tmp_path, "-M", "-m", "2") as server:
        options = {"type": "ext:memcached", "url": server.url}
        values = find_value_store(options, region)
        with pytest.raises(StoreUnavailable):
            for number in range(10_000):
                values.put(f"v:{number}", b"x" * 500, 60)
        # Small items have a place of their own, which becomes full, too.
        with pytest.raises(StoreUnavailable):
            for number in range(100_000):
                name = f"v:none:{number:05}"
                claim, _ = values.claim(name, [name], 60)
                assert claim is not None

        assert values.get(["v:1"]) == {"v:1": b"x" * 500}


def test_a_memcached_that_cannot_compare_is_unavailable(tmp_path, region):
    with memcached_server(tmp_path, "-C") as server:
        options = {"type": "ext:memcached", "url": server.url}
        values = find_value_store(options, region)
        values.raise_numbers(["t:1"], 1, 60)

        with pytest.raises(StoreUnavailable, match="-C; start it without"):
            values.raise_numbers(["t:1"], 2, 60)


@pytest.fixture
def two(memcached, client, tmp_path, region):
    """Values on two servers."""
    with memcached_server(tmp_path) as other:
        url = f"{memcached.url};{other.url}"
        yield find_value_store({"type": "ext:memcached", "url": url}, region)


def test_two_servers_share_the_names(two, client):
    keep = {f"t:{number}": b"tag" for number in range(10)}
    for name in NAMES:
        claim, _ = two.claim(name, [name, "t:1"], 60)
        assert two.settle(claim, name.encode(), 60, keep)

    assert two.get(NAMES) == {name: name.encode() for name in NAMES}
    assert two.get([*keep]) == keep
    first = [client.get(f"beaker_value:{name}") for name in NAMES]
    assert None in first
    assert any(first)


def test_who_claims_reads_from_both_servers(two):
    for name in NAMES:
        two.put(name, b"record", 60)

    for name in NAMES:
        _, records = two.claim(name, NAMES, 60)
        assert len(records) == 10


def test_what_is_deleted_is_deleted_from_both_servers(two):
    for name in NAMES:
        two.put(name, b"record", 60)
    two.delete(NAMES)

    assert two.get(NAMES) == {}
