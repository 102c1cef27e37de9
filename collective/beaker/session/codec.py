"""Turn the data of a session into the text that Beaker stores, and back."""

import json
import os
import pickle
import zlib
from binascii import a2b_base64
from binascii import b2a_base64
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from typing import Protocol

from beaker.crypto import generateCryptoKeys
from beaker.crypto import get_crypto_module
from beaker.crypto import get_nonce_size
from beaker.exceptions import BeakerException
from beaker.util import JsonSerializer
from beaker.util import PickleSerializer

from collective.beaker.blobs import refuse_blobs
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.settings.backends import are_stored
from collective.beaker.settings.checks import authenticates
from collective.beaker.settings.checks import unauthenticated_error
from collective.beaker.settings.readers import former_keys
from collective.beaker.stores.container import LARGEST
from collective.beaker.stores.container import expand


class Serializer(Protocol):
    """What the option ``data_serializer`` may hold in place of a name."""

    def dumps(self, data: Any) -> bytes:
        """Return data as bytes."""

    def loads(self, data: bytes) -> Any:
        """Return the data that ``dumps`` got."""


class WholePickle(PickleSerializer):
    """Beaker's serializer, but it loads whole pickles, and loses no blobs.

    Data that was encrypted with another key decrypts to garbage, and loading
    garbage may do anything.  It limits no operations: a pickle may run code.
    """

    def dumps(self, data: Any) -> bytes:
        pickled: bytes = super().dumps(data)
        refuse_blobs(data, pickled)
        return pickled

    def loads(self, data: bytes) -> Any:
        if data[:1] + data[-1:] != b"\x80.":
            raise pickle.UnpicklingError("This is no pickle.")
        return pickle.loads(data)


_MOST_VALUES = 2**20
"""The most values in JSON that are read: each may be three bytes of text, but
takes some 70 bytes of memory."""


class BoundedJson(JsonSerializer):
    """Beaker's serializer, which compresses, with limits.

    A few kilobytes may claim to hold gigabytes.
    """

    def dumps(self, data: Any) -> bytes:
        text = json.dumps(data).encode()
        if len(text) > LARGEST:
            raise RecordTooLarge(
                f"A session has {len(text)} bytes of JSON, more than the "
                f"{LARGEST} that are read again. Store less in sessions."
            )
        if _has_too_many_values(text):
            raise RecordTooLarge(
                f"A session has more than the {_MOST_VALUES} values of JSON "
                "that are read again. Store less in sessions."
            )
        return zlib.compress(text)

    def loads(self, data: bytes) -> Any:
        text = expand(data)
        if _has_too_many_values(text):
            raise ValueError("There are too many values.")
        return json.loads(text)


def _has_too_many_values(text: bytes) -> bool:
    """Tell whether JSON may take much more memory than its text.

    Commas in texts count, too.
    """
    if len(text) < _MOST_VALUES:
        return False
    return sum(map(text.count, (b",", b"[", b"{"))) > _MOST_VALUES


@dataclass(frozen=True, repr=False)
class Encryption:
    """Beaker's encryption of session data.

    The first of ``validate_keys`` encrypts; any of them may decrypt.
    """

    encrypt_key: str
    validate_keys: Sequence[str]
    nonce_size: tuple[int, int]
    """The length of a nonce in bytes, and in base64 characters."""

    module: ModuleType

    def encrypt(self, data: bytes) -> str:
        length, characters = self.nonce_size
        nonce = _to_base64(os.urandom(length))[:characters]
        key = self._key(self.validate_keys[0], nonce)
        return nonce + _to_base64(self.module.aesEncrypt(data, key))

    def decrypt(self, text: str, validate_key: str) -> bytes:
        """Return the decrypted data; it is garbage if the key is wrong."""
        _, characters = self.nonce_size
        key = self._key(validate_key, text[:characters])
        data: bytes = self.module.aesDecrypt(
            a2b_base64(text[characters:]), key
        )
        return data

    def _key(self, validate_key: str, nonce: str) -> bytes:
        key: bytes = generateCryptoKeys(
            self.encrypt_key,
            validate_key + nonce,
            1,
            self.module.getKeyLength(),
        )
        return key


class Codec:
    """Encodes the data of sessions, and decodes what was stored."""

    def __init__(
        self,
        serializer: Serializer,
        name: str,
        encryption: Encryption | None = None,
    ):
        self.dumps = serializer.dumps
        self.loads = serializer.loads
        self._name = name
        self._encryption = encryption

    def encode(self, data: Mapping[Any, Any]) -> str:
        """Return the text to be stored.

        Raises TypeError for data that the serializer does not accept,
        RecordTooLarge, and MemoryError.  The messages show none of the data.
        """
        try:
            serialized = self.dumps(data)
            if self._encryption is None:
                return _to_base64(serialized)
            return self._encryption.encrypt(serialized)
        except (MemoryError, RecordTooLarge):
            raise
        except Exception as error:
            reason = type(error).__name__
        # Not while the error is handled: it may hold data.
        raise TypeError(
            f"A session holds {self._unstorable(data)}, which cannot be "
            f"stored with session.data_serializer {self._name} ({reason}). "
            "Store text, numbers, lists and dictionaries."
        )

    def _unstorable(self, data: Mapping[Any, Any]) -> str:
        for key, value in data.items():
            if not self._takes({key: None}):
                return f"a key of the type {type(key).__name__}"
            if not self._takes({"": value}):
                return f"a value of the type {type(value).__name__}"
        return "values"

    def _takes(self, data: Mapping[Any, Any]) -> bool:
        try:
            self.dumps(data)
            return True
        except Exception:
            return False

    def decode(self, text: str) -> dict[Any, Any]:
        """Return the data in a text; raise any exception if that fails."""
        if self._encryption is None:
            data = self.loads(a2b_base64(text))
        else:
            data = self._decrypt(self._encryption, text)
        if type(data) is not dict:
            raise ValueError("A session is a dictionary.")
        return data

    def _decrypt(self, encryption: Encryption, text: str) -> Any:
        """Return the data in an encrypted text, with the key that fits."""
        failure: Exception | None = None
        for key in encryption.validate_keys:
            try:
                return self.loads(encryption.decrypt(text, key))
            except MemoryError:
                raise
            except Exception as error:
                failure = failure or error
        raise failure or ValueError("There is no key.")


def _to_base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def make_codec(options: Mapping[str, Any]) -> Codec:
    """Return the codec for the options of sessions.

    Raises BeakerException if the serializer is unknown, or if an AES library
    is missing.
    """
    given = options["data_serializer"]
    name = given if isinstance(given, str) else type(given).__name__
    return Codec(_serializer(given), name, _encryption(options))


def _serializer(given: "str | Serializer") -> Serializer:
    if given == "pickle":
        return WholePickle()
    if given == "json":
        return BoundedJson()
    if isinstance(given, str):
        raise BeakerException(
            f"session.data_serializer is {given!r}; it must be pickle, json "
            "or, in Python, an object with the methods loads and dumps."
        )
    return given


def _encryption(options: Mapping[str, Any]) -> Encryption | None:
    if not options["encrypt_key"]:
        return None
    module = get_crypto_module(options["crypto_type"])
    if not module.has_aes or not options["validate_key"]:
        raise BeakerException(
            "session.encrypt_key (hidden) needs session.validate_key and an "
            "AES library. Set both keys, and install "
            "collective.beaker[crypto]."
        )
    if are_stored(options) and not authenticates(options["crypto_type"]):
        raise BeakerException(unauthenticated_error(options["crypto_type"]))
    return Encryption(
        options["encrypt_key"],
        [
            options["validate_key"],
            *former_keys(options["validate_key_fallbacks"]),
        ],
        get_nonce_size(options["encrypt_nonce_bits"]),
        module,
    )
