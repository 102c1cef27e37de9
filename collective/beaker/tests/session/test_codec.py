"""Between the data of a session and the text that is stored of it."""

import json
import pickle
import zlib
from binascii import b2a_base64
from collections import OrderedDict
from dataclasses import replace
from pickle import UnpicklingError

import pytest
from beaker import crypto
from beaker.crypto import noencryption
from beaker.exceptions import BeakerException
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st
from ZODB.blob import Blob

from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.session.codec import Codec
from collective.beaker.session.codec import WholePickle
from collective.beaker.session.codec import make_codec
from collective.beaker.settings.options import with_defaults
from collective.beaker.stores.container import LARGEST
from collective.beaker.tests.helpers.aes_ctr import AES_CTR
from collective.beaker.tests.helpers.sessions import open_stored


def codec_of(**options):
    return make_codec(with_defaults(options))


ENCRYPTED = {"encrypt_key": "a key", "validate_key": "another key"}
"""Options that encrypt what is stored."""

BOTH = pytest.mark.parametrize(
    "options", [{}, ENCRYPTED], ids=["plain", "encrypted"]
)

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
)
JSON = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
ANY = st.recursive(
    PLAIN | st.binary() | st.dates(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.sets(st.text())
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=5,
)


# What is encoded is decoded


@pytest.mark.parametrize(
    "options", [{}, ENCRYPTED], ids=["plain", "encrypted"]
)
@given(data=st.dictionaries(st.text() | st.tuples(st.integers()), ANY))
def test_with_pickle_data_come_back_as_they_were(options, data):
    codec = codec_of(**options)

    assert codec.decode(codec.encode(data)) == data


@pytest.mark.parametrize(
    "options", [{}, ENCRYPTED], ids=["plain", "encrypted"]
)
@given(data=st.dictionaries(st.text(), JSON))
def test_with_json_data_come_back_as_they_were(options, data):
    codec = codec_of(data_serializer="json", **options)

    assert codec.decode(codec.encode(data)) == data


@given(
    data=st.dictionaries(st.text(), ANY),
    keys=st.lists(
        st.text("abc", min_size=1), min_size=1, max_size=3, unique=True
    ),
)
def test_what_a_former_key_encrypted_comes_back(data, keys):
    former = codec_of(encrypt_key="a key", validate_key=keys[-1])
    codec = codec_of(
        encrypt_key="a key",
        validate_key=keys[0],
        validate_key_fallbacks=keys[1:],
    )

    assert codec.decode(former.encode(data)) == data


def test_the_current_key_encrypts():
    codec = codec_of(**ENCRYPTED, validate_key_fallbacks=["a former key"])

    assert codec_of(**ENCRYPTED).decode(codec.encode({"a": 1})) == {"a": 1}


def test_a_serializer_of_code_encodes():
    class Reversed:
        def dumps(self, data):
            return json.dumps(data).encode()[::-1]

        def loads(self, data):
            return json.loads(data[::-1])

    codec = codec_of(data_serializer=Reversed())

    assert (
        codec.encode({"a": 1})
        == b2a_base64(b'}1 :"a"{', newline=False).decode()
    )
    assert codec.decode(codec.encode({"a": 1})) == {"a": 1}


def test_what_is_encrypted_is_never_the_same_twice():
    codec = codec_of(**ENCRYPTED)

    assert codec.encode({"a": 1}) != codec.encode({"a": 1})


def test_a_nonce_has_as_many_bits_as_the_option_says():
    lengths = {
        bits: len(codec_of(**ENCRYPTED, encrypt_nonce_bits=bits).encode({}))
        for bits in (48, 96)
    }

    assert lengths[96] - lengths[48] == 8  # 6 bytes more, in base64


# What cannot be decoded


@pytest.mark.parametrize("fallbacks", [[], ["a former key"]])
def test_what_an_unknown_key_encrypted_is_an_error(fallbacks):
    lost = codec_of(encrypt_key="a key", validate_key="lost")
    codec = codec_of(**ENCRYPTED, validate_key_fallbacks=fallbacks)

    with pytest.raises(InvalidTag):
        codec.decode(lost.encode({"a": 1}))


def test_without_any_key_nothing_is_decrypted():
    codec = codec_of(**ENCRYPTED)
    keyless = Codec(
        WholePickle(), "pickle", replace(codec._encryption, validate_keys=())
    )

    with pytest.raises(ValueError, match="There is no key"):
        keyless.decode(codec.encode({"a": 1}))


@pytest.mark.parametrize(
    "value", [[], None, "text", 1, OrderedDict(a=1)], ids=repr
)
@pytest.mark.parametrize(
    "options", [{}, ENCRYPTED], ids=["plain", "encrypted"]
)
def test_only_a_dictionary_is_a_session(options, value):
    codec = codec_of(**options)

    with pytest.raises(ValueError, match="A session is a dictionary"):
        codec.decode(codec.encode(value))


def test_a_pickle_is_looked_at_before_it_is_loaded():
    data = {"a": [1, None]}

    assert WholePickle().loads(pickle.dumps(data)) == data
    with pytest.raises(UnpicklingError):
        # Its protocol has no sign at its beginning.
        WholePickle().loads(pickle.dumps(data, protocol=0))


MANY_VALUES = [[]] * 2**20


def test_json_of_many_small_values_is_an_error():
    """It would take some thirty times as much memory as its text."""
    bomb = zlib.compress(json.dumps(MANY_VALUES).encode())
    text = b2a_base64(bomb).decode()

    with pytest.raises(ValueError, match="too many values"):
        codec_of(data_serializer="json").decode(text)


def test_a_session_of_too_many_values_is_refused():
    with pytest.raises(RecordTooLarge, match="1048576 values"):
        codec_of(data_serializer="json").encode({"a": MANY_VALUES})


def test_json_that_was_compressed_to_a_bomb_is_an_error():
    bomb = zlib.compress(b'{"a": "%s"}' % bytes(LARGEST).replace(b"\0", b" "))
    text = b2a_base64(bomb).decode()

    assert len(text) < LARGEST / 100
    with pytest.raises(ValueError, match="too large"):
        codec_of(data_serializer="json").decode(text)


# What cannot be encoded


def test_what_could_not_be_read_again_is_not_stored():
    with pytest.raises(RecordTooLarge, match="Store less in sessions"):
        codec_of(data_serializer="json").encode({"a": "b" * LARGEST})


@pytest.mark.parametrize(
    ("serializer", "value", "kind"),
    [
        ("pickle", lambda: None, "function"),
        ("json", {1}, "set"),
        ("json", b"", "bytes"),
    ],
)
def test_what_cannot_be_stored_is_named_by_its_type(serializer, value, kind):
    session = open_stored(data_serializer=serializer)
    session["secret name"] = value

    with pytest.raises(TypeError, match=f"of the type {kind}") as raised:
        session.save()
    assert serializer in str(raised.value)
    assert "secret name" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_no_blob_is_stored_as_it_would_be_empty():
    """Uploads are blobs; a form of several steps keeps one for the last."""
    upload = Blob(b"the bytes of a file")

    with pytest.raises(TypeError, match=r"value of the type dict.*Pickling"):
        codec_of().encode({"name": "a form", "form": {"upload": upload}})


def test_what_was_a_blob_and_the_word_are_stored():
    """A former version has stored the blob, without its file."""
    data = {"empty": pickle.loads(pickle.dumps(Blob(b"a"))), "": "ZODB.blob"}
    codec = codec_of()

    assert list(codec.decode(codec.encode(data))) == ["empty", ""]


@pytest.mark.parametrize(("key", "kind"), [((1, 2), "tuple"), (b"", "bytes")])
def test_a_key_that_cannot_be_stored_is_named_as_the_key(key, kind):
    codec = make_codec(with_defaults({"data_serializer": "json"}))

    with pytest.raises(TypeError, match=f"holds a key of the type {kind},"):
        codec.encode({"a": 1, key: "text"})


def test_a_serializer_of_ones_own_is_named_by_its_class():
    class Picky:
        def loads(self, data):
            raise AssertionError("Nothing was stored.")

        def dumps(self, data):
            raise ValueError("It takes nothing.")

    session = open_stored(data_serializer=Picky())

    with pytest.raises(TypeError, match="data_serializer Picky"):
        session.save()


def test_garbage_is_no_pickle():
    with pytest.raises(UnpicklingError):
        WholePickle().loads(b"garbage.")
    with pytest.raises(UnpicklingError):
        WholePickle().loads(b"\x80garbage")


def test_what_cannot_be_stored_as_a_whole_is_named_as_such():
    class Small:
        def loads(self, data):
            raise AssertionError("Nothing was stored.")

        def dumps(self, data):
            if len(data) > 1:
                raise ValueError("It takes one key only.")
            return b"small"

    session = open_stored(data_serializer=Small())

    with pytest.raises(TypeError, match="A session holds values, which"):
        session.save()


def test_a_lack_of_memory_is_not_taken_for_a_wrong_value():
    class Large:
        def __reduce__(self):
            raise MemoryError

    session = open_stored()
    session["large"] = Large()

    with pytest.raises(MemoryError):
        session.save()


def test_a_lack_of_memory_is_not_taken_for_a_wrong_key():
    class Large(WholePickle):
        def loads(self, data):
            raise MemoryError

    text = codec_of(**ENCRYPTED).encode({"a": 1})
    codec = codec_of(
        data_serializer=Large(),
        encrypt_key=ENCRYPTED["encrypt_key"],
        validate_key="a new key",
        validate_key_fallbacks=[ENCRYPTED["validate_key"]],
    )

    with pytest.raises(MemoryError):
        codec.decode(text)


@pytest.mark.parametrize(
    "options", [{}, ENCRYPTED], ids=["plain", "encrypted"]
)
def test_only_the_value_that_cannot_be_stored_is_named(options):
    with pytest.raises(TypeError, match="of the type function"):
        codec_of(**options).encode({"a": 1, "b": print, "c": lambda: None})


# The options


def test_an_unknown_serializer_is_named_with_what_is_allowed():
    with pytest.raises(
        BeakerException, match=r"data_serializer is 'yaml'; .*pickle, json"
    ):
        codec_of(data_serializer="yaml")


def test_encryption_needs_a_key_to_sign():
    with pytest.raises(
        BeakerException, match=r"needs session\.validate_key"
    ) as raised:
        codec_of(encrypt_key="0123-secret")

    assert "0123-secret" not in str(raised.value)


def test_encryption_needs_an_aes_library(monkeypatch):
    monkeypatch.setitem(crypto.CRYPTO_MODULES, "none", noencryption)

    with pytest.raises(BeakerException, match=r"collective\.beaker\[crypto\]"):
        codec_of(**ENCRYPTED, crypto_type="none")


def test_encryption_that_notices_no_change_is_refused(monkeypatch):
    monkeypatch.setitem(crypto.CRYPTO_MODULES, "pycryptodome", AES_CTR)

    with pytest.raises(BeakerException, match=r"does not notice changes"):
        codec_of(**ENCRYPTED, crypto_type="pycryptodome")
