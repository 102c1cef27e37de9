"""Sessions in Redis."""

import pytest
from redis import Redis
from redis import RedisCluster
from redis.connection import ConnectionPool
from redis.exceptions import ResponseError

from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores.redis_client import Connection
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.stores import make_store
from collective.beaker.tests.helpers.stores import text


def test_redis_forgets_after_the_timeout(redis, id):
    redis.start()
    store = make_store("ext:redis", url=redis.url, timeout=100)
    store.swap(id, None, "first")
    store.swap(id, store.load(id), "second")

    left = Redis.from_url(redis.url).ttl(f"beaker_cache:{id}:session")
    assert 40 < left <= 100


def test_a_client_of_ones_own_will_do(redis, id):
    redis.start()
    store = make_store("ext:redis", url=Redis.from_url(redis.url))
    store.swap(id, None, "first")

    assert text(store, id) == "first"


def test_a_cluster_that_is_gone_is_an_unavailable_store(id):
    urls = f"redis://:secret@127.0.0.1:{free_port()}"
    store = make_store("ext:rediscluster", urls=urls)

    with pytest.raises(StoreUnavailable, match="Connection refused") as raised:
        store.load(id)
    assert "secret" not in str(raised.value)


def test_a_cluster_client_of_ones_own_will_do(cluster_urls, id):
    first = cluster_urls.split(",")[0]
    client = RedisCluster.from_url(first)
    store = make_store("ext:rediscluster", urls=client)
    store.swap(id, None, "first")

    assert text(store, id) == "first"


def test_a_client_that_code_gives_asks_for_connections_by_itself(redis, id):
    redis.start()

    class FindsItsServer(ConnectionPool):
        """A pool that knows the server only when it connects."""

        def get_connection(self, *arguments, **options):
            asked.append(1)
            return super().get_connection(*arguments, **options)

    asked = []
    client = Redis(connection_pool=FindsItsServer.from_url(redis.url))
    store = make_store("ext:redis", url=client)
    store.swap(id, None, "first")

    assert text(store, id) == "first"
    assert len(asked) >= 2


@pytest.mark.parametrize(
    "refusal",
    [
        "READONLY You cannot write against a read only replica.",
        "ERR Error running script: -READONLY You cannot write.",
        "NOREPLICAS Not enough good replicas: You cannot write.",
    ],
    ids=["replica", "replica with Redis 6", "left by its replicas"],
)
def test_the_connection_to_what_may_be_no_master_any_more_is_dropped(
    redis, refusal
):
    redis.start()
    connection = Connection(Redis.from_url(redis.url))
    before = connection("CLIENT", "ID")
    script = f"return redis.error_reply('{refusal}')"

    with pytest.raises(ResponseError, match="You cannot write"):
        connection.all([("EVAL", script, 0)])
    assert connection("CLIENT", "ID") != before


def test_a_place_behind_sentinels_is_that_of_their_service():
    """No server is asked."""

    def place(address):
        return make_store("ext:redis", url=f"redis+sentinel://{address}").place

    assert place("u:p@a:1,b:2/sky/0") == place("b:2,a:1/sky")
    assert place("a:1/sky/0") != place("a:1/ground/0")
    assert place("a:1/sky/0") != place("a:1/sky/1")
    assert place("a:1/sky/0") != place("b:1/sky/0")
