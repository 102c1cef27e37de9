"""The container around a stored session, read without executing anything."""

import pickle

import pytest

from collective.beaker.stores import container
from collective.beaker.stores.container import pack
from collective.beaker.stores.container import unpack
from collective.beaker.stores.container import unpack_namespace


PAYLOADS = ["", "a", "a" * 255, "a" * 256, "a" * 60_000]


@pytest.fixture
def no_taking_apart(monkeypatch):
    monkeypatch.setattr(container, "pickletools", None)


@pytest.mark.parametrize("payload", PAYLOADS, ids=len)
def test_a_text_that_we_packed_is_not_taken_apart(payload, no_taking_apart):
    assert unpack(pack(payload)) == payload


@pytest.mark.parametrize("payload", PAYLOADS, ids=len)
def test_a_dictionary_that_we_packed_is_not_taken_apart(
    payload, no_taking_apart
):
    assert unpack_namespace(pack({"session": payload})) == payload


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_other_protocols_are_read_too(protocol):
    text = pickle.dumps("payload", protocol)
    namespace = pickle.dumps({"session": "payload"}, protocol)

    assert unpack(text) == "payload"
    assert unpack_namespace(namespace) == "payload"


class Evil:
    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize("evil", [Evil(), ["a", Evil()]])
def test_a_container_that_looks_like_ours_executes_nothing(evil, capsys):
    # The text begins where ours does, and something follows it.
    raw = pickle.dumps(("a" * 20, evil)).replace(b"\x94(", b"\x94", 1)
    for content in (raw, pickle.dumps(evil), pickle.dumps(("a" * 20, evil))):
        with pytest.raises(pickle.UnpicklingError):
            unpack(content)
    assert capsys.readouterr().out == ""


def test_a_text_of_another_length_is_not_taken_for_ours():
    inner = pickle.dumps("a" * 20)
    raw = inner[:12] + bytes([10]) + inner[13:]

    with pytest.raises(pickle.UnpicklingError):
        unpack(raw)
