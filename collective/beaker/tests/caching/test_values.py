"""What is stored for a value: nobody else can have made it."""

import pickle

import pytest
from ZODB.blob import Blob

from collective.beaker.caching.values import CachedValue
from collective.beaker.caching.values import Mark
from collective.beaker.caching.values import NotSigned
from collective.beaker.caching.values import make_codec
from collective.beaker.stores.values.base import digits


FOUND = CachedValue("value", 1.5, 60, 0.1, (b"a", b"b"), None)


class Bomb:
    exploded = False

    def __reduce__(self):
        return explode, ()


def explode():
    Bomb.exploded = True


@pytest.mark.parametrize("secrets", [[], ["a secret"]])
def test_a_record_is_read_again(secrets):
    codec = make_codec(secrets)

    assert codec.decode("v:1", codec.encode("v:1", FOUND)) == FOUND
    assert codec.decode("v:1", digits(4711)) == Mark(4711)


def test_no_record_holds_a_blob_as_it_would_be_empty():
    made = FOUND._replace(value=[Blob(b"the bytes of an image")])

    with pytest.raises(pickle.PicklingError, match="blob"):
        make_codec([]).encode("v:1", made)


def test_a_former_secret_is_accepted_and_a_foreign_one_is_not():
    record = make_codec(["former"]).encode("v:1", FOUND)

    assert make_codec(["new", "former"]).decode("v:1", record) == FOUND
    with pytest.raises(NotSigned):
        make_codec(["new"]).decode("v:1", record)


def test_a_record_cannot_take_the_place_of_another():
    codec = make_codec(["a secret"])
    record = codec.encode("v:1", FOUND)

    with pytest.raises(NotSigned):
        codec.decode("v:2", record)


def forged_records():
    bomb, pickled = FOUND._replace(value=Bomb()), pickle.dumps(Bomb())
    signed = make_codec(["a secret"]).encode("v:1", FOUND)
    return [
        make_codec([]).encode("v:1", bomb),
        make_codec(["another"]).encode("v:1", bomb),
        pickled,
        signed[:40] + pickled,
    ]


@pytest.mark.parametrize(
    "record",
    forged_records(),
    ids=["unsigned", "another key", "a pickle", "another pickle"],
)
def test_nothing_in_a_record_is_run_before_its_signature_is_verified(record):
    with pytest.raises(NotSigned):
        make_codec(["a secret"]).decode("v:1", record)
    assert not Bomb.exploded
