"""The container around a stored session, read without executing anything."""

import pickle
import zlib

import pytest

from collective.beaker.stores import container
from collective.beaker.stores.container import LARGEST
from collective.beaker.stores.container import expand
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


@pytest.mark.parametrize("text", ["café", "café" * 100])
def test_any_text_is_read_as_it_was_packed(text):
    assert unpack(pack(text)) == text
    assert unpack_namespace(pack({"session": text})) == text


def test_a_payload_of_bytes_is_text():
    assert unpack(pickle.dumps(b"payload")) == "payload"
    assert unpack_namespace(pickle.dumps({"session": b"payload"})) == "payload"


def test_a_dictionary_without_a_session_has_no_payload():
    assert unpack_namespace(pickle.dumps({})) is None
    assert unpack_namespace(pickle.dumps({"price": "1"})) is None


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (unpack, pickle.dumps(None)),
        (unpack, pickle.dumps({"session": "payload"})),
        (unpack, b"no pickle"),
        (unpack_namespace, pickle.dumps("payload")),
        (unpack_namespace, pickle.dumps({"session": None})),
        (unpack_namespace, b"no pickle"),
    ],
)
def test_what_holds_no_payload_is_no_container(read, content):
    with pytest.raises(pickle.UnpicklingError):
        read(content)


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


@pytest.mark.parametrize(
    ("read", "raw"),
    [(unpack, b"Va\np%d\n."), (unpack_namespace, b"(dp%d\nVsession\nVa\ns.")],
)
def test_a_container_that_would_take_much_memory_is_none(read, raw):
    assert read(raw % 1) == "a"
    with pytest.raises(pickle.UnpicklingError, match="plain data"):
        read(raw % 10**6)


def test_compressed_content_is_expanded_up_to_a_limit():
    content = bytes(LARGEST)

    assert expand(zlib.compress(content)) == content
    with pytest.raises(ValueError, match="too large"):
        expand(zlib.compress(content + b"a"))


def test_half_of_compressed_content_is_none():
    with pytest.raises(zlib.error):
        expand(zlib.compress(b"content")[:-3])
