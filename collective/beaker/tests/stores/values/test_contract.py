"""Stores of values: one contract for all kinds of backends."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context

import pytest
from zope.interface.verify import verifyObject

from collective.beaker.interfaces import IValueStore
from collective.beaker.interfaces import Size
from collective.beaker.stores.base import CLOCK_LEEWAY
from collective.beaker.stores.values import find_value_store
from collective.beaker.tests.helpers.forks import forked
from collective.beaker.tests.helpers.forks import in_fork
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.waiting import in_less_than
from collective.beaker.tests.helpers.waiting import wait_until


LONG = 3600
"""So many seconds no test takes."""

SHORT = 0.5
"""So many seconds tests wait for an end; memcached rounds them."""

LONGEST_NAME = "v:" + "0123456789:" * 10 + "abcdefgh"


def found(values, name):
    """Return what is stored under a name, or None."""
    return values.get([name]).get(name)


def claimed(values, name):
    """Return a claim on a value, which nobody else has."""
    claim, _ = values.claim(name, [name], LONG)
    assert claim is not None
    return claim


def is_claimed(values, name):
    claim, _ = values.claim(name, [name], LONG)
    return claim is None


def _skip_mongomock(values):
    if values.kind == "ext:mongodb":
        pytest.skip("mongomock, unlike MongoDB, finds and updates apart")


def test_a_store_keeps_the_contract(values):
    assert verifyObject(IValueStore, values)


def test_the_same_options_give_the_same_store(options, region, values):
    assert find_value_store(dict(options), region) is values


def test_its_place_tells_nothing_about_a_server_that_hung(values, impatient):
    place = values.place
    values._circuit.open()

    assert values.place == place
    assert values._circuit.is_open
    values._circuit.close()


# Records


def test_what_was_put_is_found(values):
    values.put("v:1", b"first", LONG)

    assert values.get(["v:1"]) == {"v:1": b"first"}


def test_what_was_put_without_an_end_is_found(values):
    values.put("v:1", b"first", None)

    assert found(values, "v:1") == b"first"


def test_of_several_names_those_that_are_there_are_found(values):
    values.put("v:1", b"first", LONG)
    values.put("v:3", b"third", LONG)

    assert values.get(["v:1", "v:2", "v:3"]) == {
        "v:1": b"first",
        "v:3": b"third",
    }


def test_what_is_put_again_is_replaced(values):
    values.put("v:1", b"first", LONG)
    values.put("v:1", b"second", LONG)

    assert found(values, "v:1") == b"second"


def test_what_was_deleted_is_gone(values):
    for name in ("v:1", "v:2", "v:3"):
        values.put(name, b"first", LONG)
    values.delete(["v:1", "v:2", "v:none"])

    assert values.get(["v:1", "v:2", "v:3"]) == {"v:3": b"first"}


def test_what_has_ended_is_gone(values):
    values.put("v:1", b"first", 0.01)

    wait_until(lambda: found(values, "v:1") is None)


@pytest.mark.parametrize("days", [29, 31, 4000])
def test_what_is_kept_for_days_is_found(values, days):
    values.put("v:1", b"first", days * 24 * 3600)

    assert found(values, "v:1") == b"first"


@pytest.mark.parametrize(
    "record", [b"", b"\x00\r\nEND\r\n\xff", b"0123456789abcdef" * 20_000]
)
def test_any_bytes_are_a_record(values, record):
    values.put("v:1", record, LONG)

    assert found(values, "v:1") == record


@pytest.mark.parametrize("other", ["v:", "v:11", "v1", "1:v", LONGEST_NAME])
def test_names_are_told_apart(values, other):
    values.put("v:1", b"first", LONG)
    assert found(values, other) is None
    values.put(other, b"second", LONG)

    assert values.get(["v:1", other]) == {"v:1": b"first", other: b"second"}


# Claims


def test_one_has_a_claim(values):
    claim, _ = values.claim("v:1", ["v:1"], LONG)

    assert claim.name == "v:1"
    assert is_claimed(values, "v:1")
    assert not is_claimed(values, "v:2")


def test_a_claim_is_no_record(values):
    claimed(values, "v:1")

    assert values.get(["v:1"]) == {}


def test_who_asks_for_a_claim_reads_records_whether_or_not_it_is_given(values):
    values.put("v:1", b"old", LONG)
    values.put("t:1", b"tag", LONG)
    records = {"v:1": b"old", "t:1": b"tag"}
    names = ["v:1", "t:1", "t:2"]

    claim, first = values.claim("v:1", names, LONG)
    nothing, second = values.claim("v:1", names, LONG)

    assert claim is not None
    assert nothing is None
    assert first == second == records


def test_a_claim_that_is_settled_stores_the_value_and_ends(values):
    assert values.settle(claimed(values, "v:1"), b"new", LONG)

    assert found(values, "v:1") == b"new"
    assert not is_claimed(values, "v:1")


def test_a_claim_on_a_value_that_is_there_is_settled(values):
    values.put("v:1", b"old", LONG)

    assert values.settle(claimed(values, "v:1"), b"new", LONG)
    assert found(values, "v:1") == b"new"


def test_a_value_that_was_settled_has_an_end(values):
    values.settle(claimed(values, "v:1"), b"new", 0.01)

    wait_until(lambda: found(values, "v:1") is None)


def test_a_claim_that_was_given_up_is_free(values):
    values.put("v:1", b"old", LONG)
    values.give_up(claimed(values, "v:1"))

    assert found(values, "v:1") == b"old"
    assert not is_claimed(values, "v:1")


def test_a_claim_ends_by_itself(values):
    values.claim("v:1", ["v:1"], 0.01)

    wait_until(lambda: not is_claimed(values, "v:1"))


def test_a_claim_of_a_clock_that_was_far_ahead_is_free(values, clock):
    if values.kind in ("ext:redis", "ext:rediscluster", "ext:memcached"):
        pytest.skip("the server ends claims by its own clock")
    clock(CLOCK_LEEWAY + 1)
    claimed(values, "v:1")
    clock(-CLOCK_LEEWAY)
    assert is_claimed(values, "v:1")

    clock(-1)
    assert not is_claimed(values, "v:1")


def test_a_claim_that_is_renewed_lasts(values):
    def claim_and_renew():
        values.delete(["v:1"])
        claim, _ = values.claim("v:1", ["v:1"], SHORT)
        return claim, values.renew(claim, LONG)

    claim, is_renewed = in_less_than(SHORT, claim_and_renew)
    shorter, _ = values.claim("v:2", ["v:2"], SHORT)
    assert is_renewed
    assert shorter is not None
    wait_until(lambda: not is_claimed(values, "v:2"))

    assert is_claimed(values, "v:1")
    assert values.settle(claim, b"new", LONG)


def test_a_claim_that_somebody_else_has_is_not_renewed(values):
    claim, _ = values.claim("v:1", ["v:1"], 0.01)
    wait_until(lambda: not is_claimed(values, "v:1"))

    assert not values.renew(claim, LONG)


def test_who_lost_a_claim_does_not_give_up_that_of_another(values):
    claim, _ = values.claim("v:1", ["v:1"], 0.01)
    wait_until(lambda: not is_claimed(values, "v:1"))
    values.give_up(claim)

    assert is_claimed(values, "v:1")


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_value_that_was_put_meanwhile_is_not_replaced(values, before):
    if before is not None:
        values.put("v:1", before, LONG)
    claim = claimed(values, "v:1")
    values.put("v:1", b"put", LONG)

    assert not values.renew(claim, LONG)
    assert not values.settle(claim, b"new", LONG)
    assert found(values, "v:1") == b"put"


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_value_that_was_deleted_meanwhile_is_not_stored(values, before):
    if before is not None:
        values.put("v:1", before, LONG)
    claim = claimed(values, "v:1")
    values.delete(["v:1"])

    assert not values.renew(claim, LONG)
    assert not values.settle(claim, b"new", LONG)
    assert found(values, "v:1") is None


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_value_that_was_settled_meanwhile_is_not_replaced(values, before):
    if before is not None:
        values.put("v:1", before, LONG)
    slow, _ = values.claim("v:1", ["v:1"], 0.01)
    wait_until(lambda: not is_claimed(values, "v:1"))
    values.delete(["v:1"])
    assert values.settle(claimed(values, "v:1"), b"fast", LONG)

    assert not values.settle(slow, b"slow", LONG)
    assert found(values, "v:1") == b"fast"


def test_a_claim_is_free_once_its_value_was_put_or_deleted(values):
    claimed(values, "v:1")
    values.put("v:1", b"put", LONG)
    claimed(values, "v:1")
    values.delete(["v:1"])

    assert not is_claimed(values, "v:1")


def test_a_claim_of_after_a_deletion_is_settled_and_not_the_one_before(values):
    before = claimed(values, "v:1")
    values.delete(["v:1"])
    after = claimed(values, "v:1")

    assert not values.settle(before, b"before", LONG)
    assert is_claimed(values, "v:1")
    assert values.settle(after, b"after", LONG)
    assert found(values, "v:1") == b"after"


def test_of_many_who_ask_at_once_one_computes(values):
    _skip_mongomock(values)
    threads = 8
    computed = []

    def compute(number):
        barrier.wait(SECONDS)
        claim, records = values.claim("v:1", ["v:1"], LONG)
        if claim is None or records:
            return
        computed.append(number)
        values.settle(claim, b"new", LONG)

    for _ in range(10):
        barrier = threading.Barrier(threads)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(compute, range(threads)))
        assert len(computed) == 1
        computed.clear()
        values.delete(["v:1"])


def test_of_several_processes_that_ask_at_once_one_computes(values):
    _skip_mongomock(values)
    if values.keeps_objects:
        pytest.skip("each process has its own memory")
    processes, rounds = 3, 10
    barrier = get_context("fork").Barrier(processes)

    def compute(write):
        for number in range(rounds):
            barrier.wait(SECONDS)
            name = f"v:{number}"
            claim, records = values.claim(name, [name], LONG)
            if claim is None or records:
                continue
            write(bytes([number]))
            values.settle(claim, b"new", LONG)

    with ExitStack() as stack:
        forks = [
            stack.enter_context(forked(compute)) for _ in range(processes)
        ]
        computed = b"".join(fork.output.read() for fork in forks)

    assert sorted(computed) == list(range(rounds))


def test_what_was_computed_before_a_deletion_is_never_found_after_it(values):
    _skip_mongomock(values)
    threads, edits = 3, 15
    source = [0]
    ended = threading.Event()

    def compute(number):
        while not ended.is_set():
            claim, records = values.claim("v:1", ["v:1"], LONG)
            if claim is not None and not records:
                values.settle(claim, b"%d" % source[0], LONG)
            elif claim is not None:
                values.give_up(claim)

    def edit():
        try:
            for number in range(1, edits):
                source[0] = number
                values.delete(["v:1"])
                yield number, found(values, "v:1")
        finally:
            ended.set()

    with ThreadPoolExecutor(threads) as pool:
        computing = [pool.submit(compute, number) for number in range(threads)]
        seen = list(edit())
        for future in computing:
            future.result(SECONDS)

    assert [
        (number, record)
        for number, record in seen
        if record is not None and int(record) < number
    ] == []


def test_another_process_finds_records_and_claims(values):
    if values.keeps_objects:
        pytest.skip("each process has its own memory")
    values.put("v:1", b"first", LONG)
    claimed(values, "v:2")

    assert in_fork(
        lambda: (found(values, "v:1"), is_claimed(values, "v:2"))
    ) == (b"first", True)


def test_a_process_that_was_forked_has_connections_of_its_own(values):
    values.put("v:1", b"first", LONG)

    def use_often(write):
        write(b"started")
        while True:
            values.get(["v:2"])

    with forked(use_often) as child:
        assert child.output.read(7) == b"started"
        for _ in range(200):
            assert values.get(["v:1"]) == {"v:1": b"first"}


def test_the_memory_of_a_process_that_was_forked_is_empty(values):
    if not values.keeps_objects:
        pytest.skip("the other process has the same store")
    values.put("v:1", b"first", LONG)
    claimed(values, "v:1")

    assert in_fork(
        lambda: (found(values, "v:1"), is_claimed(values, "v:1"))
    ) == (None, False)


# What is kept with a value


def test_what_is_kept_with_a_value_is_stored_if_it_is_missing(values):
    values.put("t:1", b"tag", LONG)
    keep = {"t:1": b"other", "t:2": b"new"}
    values.put("v:1", b"put", LONG, keep)
    assert values.get(["t:1", "t:2"]) == {"t:1": b"tag", "t:2": b"new"}

    keep = {"t:2": b"other", "t:3": b"newer"}
    assert values.settle(claimed(values, "v:2"), b"settled", LONG, keep)
    assert values.get(["t:2", "t:3"]) == {"t:2": b"new", "t:3": b"newer"}


def test_what_is_kept_with_a_value_lives_as_long(values):
    def put_one_after_the_other():
        values.put("t:1", b"tag", SHORT)
        values.put("v:1", b"put", LONG, {"t:1": b"other"})

    in_less_than(SHORT, put_one_after_the_other)
    values.put("v:2", b"put", SHORT)
    wait_until(lambda: found(values, "v:2") is None)

    assert found(values, "t:1") == b"tag"


def test_what_is_kept_with_a_value_lives_no_shorter_than_before(values):
    values.put("t:1", b"tag", LONG)
    values.put("v:1", b"put", 0.01, {"t:1": b"other"})
    wait_until(lambda: found(values, "v:1") is None)

    assert found(values, "t:1") == b"tag"


def test_a_value_that_is_not_settled_keeps_nothing_from_being_claimed(values):
    claim = claimed(values, "v:1")
    values.delete(["v:1"])
    values.settle(claim, b"new", LONG, {"t:1": b"tag"})

    assert not is_claimed(values, "v:1")


# Numbers


def test_a_number_has_sixteen_digits(values):
    values.raise_numbers(["t:1"], 0xABC, LONG)

    assert found(values, "t:1") == b"0000000000000abc"


def test_a_number_grows_only(values):
    for number in (5, 2**63, 4, 2**63 - 1):
        values.raise_numbers(["t:1"], number, LONG)

    assert found(values, "t:1") == b"8000000000000000"


def test_a_number_is_stored_without_an_end(values):
    values.raise_numbers(["t:1"], 7, None)

    assert found(values, "t:1") == b"%016x" % 7


def test_many_numbers_are_raised_at_once(values):
    names = [f"t:{number}" for number in range(50)]
    values.raise_numbers(names[:2], 9, LONG)
    values.raise_numbers(names, 7, None)

    expected = dict.fromkeys(names, b"%016x" % 7)
    assert values.get(names) == expected | dict.fromkeys(
        names[:2], b"%016x" % 9
    )


def test_a_number_takes_the_place_of_a_value_and_ends_its_claim(values):
    value = b"\0cache1\0" + 100 * b"x"
    values.put("v:1", value, LONG)
    claim = claimed(values, "v:1")
    values.raise_numbers(["v:1"], 7, LONG)

    assert not values.settle(claim, value, LONG)
    assert found(values, "v:1") == b"%016x" % 7


def test_numbers_that_are_raised_at_once_leave_the_largest(values):
    _skip_mongomock(values)
    threads = 8
    barrier = threading.Barrier(threads)

    def raise_numbers(first):
        barrier.wait(SECONDS)
        for number in range(first, 200, threads):
            values.raise_numbers(["t:1"], number, LONG)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(raise_numbers, range(threads)))

    assert found(values, "t:1") == b"%016x" % 199


# Maintenance


@pytest.fixture
def listing(values):
    """A store of values that can list them."""
    try:
        list(values.walk())
    except NotImplementedError:
        pytest.skip(f"{values.kind} cannot list its records")
    return values


def test_walk_yields_the_names_that_begin_with_a_prefix(listing):
    for name in ("v:1:1", "v:1:2", "v:11", "t:1"):
        listing.put(name, b"record", LONG)
    claimed(listing, "v:1:3")

    assert sorted(listing.walk("v:1:")) == ["v:1:1", "v:1:2"]
    assert sorted(listing.walk()) == ["t:1", "v:11", "v:1:1", "v:1:2"]


def test_clear_removes_what_begins_with_a_prefix(listing):
    for name in ("v:1:1", "v:1:2", "v:11", "t:1"):
        listing.put(name, b"record", LONG)

    assert listing.clear("v:1:") == 2
    assert sorted(listing.walk()) == ["t:1", "v:11"]
    assert listing.clear() == 2
    assert list(listing.walk()) == []


@pytest.mark.parametrize("before", [None, b"old"])
def test_what_is_computed_while_a_store_is_cleared_is_not_stored(
    listing, before
):
    if before is not None:
        listing.put("v:1", before, LONG)
    claim = claimed(listing, "v:1")
    listing.clear()

    assert not listing.settle(claim, b"new", LONG)


def test_the_size_is_that_of_what_begins_with_a_prefix(listing):
    for name in ("v:1:1", "v:1:2", "v:11"):
        listing.put(name, b"12345", LONG)
    size = listing.size("v:1:")

    assert size.entries == 2
    if size.bytes is not None:
        assert size.bytes >= 10
    assert listing.size("t:") == Size(0, size.bytes and 0)


def test_a_size_that_is_not_known_in_time_is_none(listing):
    listing.put("v:1", b"12345", LONG)

    assert listing.size("v:", seconds=0) is None


def test_a_sweep_removes_what_has_ended(listing):
    listing.put("v:2", b"second", LONG)
    listing.put("v:1", b"first", 0.01)
    wait_until(lambda: found(listing, "v:1") is None)
    counted = sum(listing.sweep(dry_run=True))
    removed = sum(listing.sweep())

    assert counted == removed
    assert removed == (0 if "redis" in listing.kind else 1)
    assert list(listing.walk()) == ["v:2"]
