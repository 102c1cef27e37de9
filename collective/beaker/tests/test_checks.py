"""What must hold between options."""

import sys

import pytest
from beaker import crypto
from beaker.crypto import noencryption

from collective.beaker.config import read_configuration


KEY = "a key of many characters"


def session_errors(**options):
    return read_configuration(
        {f"session.{option}": value for option, value in options.items()}
    ).errors


@pytest.mark.parametrize("backend", ["file", "dbm"])
def test_files_need_a_folder(backend):
    assert session_errors(type=backend) == [
        f"session.type is {backend!r}, which needs session.data_dir. Set it."
    ]


@pytest.mark.parametrize("backend", ["file", "dbm"])
def test_files_may_have_two_folders_instead(backend):
    folders = {f"{backend}_dir": "/srv/data", "lock_dir": "/srv/lock"}

    assert session_errors(type=backend, **folders) == []


def test_data_dir_alone_means_files():
    assert session_errors(data_dir="/srv/data", file_dir="/srv/files") == []


def test_a_cookie_session_needs_a_key():
    assert session_errors(type="cookie") == [
        "session.type is 'cookie', which needs session.validate_key. Set it."
    ]
    assert session_errors(type="cookie", validate_key=KEY) == []


def test_samesite_none_needs_secure():
    [error] = session_errors(samesite="None")

    assert error.startswith("session.samesite is 'None'")
    assert session_errors(samesite="None", secure="on") == []


def test_a_timeout_needs_access_times():
    [error] = session_errors(timeout="60", save_accessed_time="off")

    assert error.startswith("session.timeout is 60, which needs the access")
    assert session_errors(save_accessed_time="off") == []


def test_encryption_needs_both_keys():
    [error] = session_errors(encrypt_key=KEY)

    assert error.startswith("session.encrypt_key (hidden)")
    assert KEY not in error
    assert session_errors(encrypt_key=KEY, validate_key=KEY) == []


@pytest.mark.parametrize("option", ["validate_key", "encrypt_key"])
def test_keys_of_encryption_are_ascii(option):
    keys = {"validate_key": KEY, "encrypt_key": KEY, option: "ä" * 16}
    [error] = session_errors(**keys)

    assert error.startswith(f"session.{option} (hidden) has characters")


def test_a_secret_may_hold_any_character():
    assert session_errors(secret="ä" * 16) == []


@pytest.fixture
def without_aes(monkeypatch):
    """As if no library with AES were installed."""
    monkeypatch.setitem(crypto.CRYPTO_MODULES, "default", noencryption)


def test_encryption_needs_a_library(without_aes):
    [error] = session_errors(encrypt_key=KEY, validate_key=KEY)

    assert error.startswith("session.encrypt_key (hidden) needs an AES")
    assert error.endswith("Install collective.beaker[crypto].")


def test_without_encryption_no_library_is_needed(without_aes):
    assert session_errors(validate_key=KEY) == []


def test_a_crypto_type_needs_its_library(monkeypatch):
    monkeypatch.delitem(crypto.CRYPTO_MODULES, "pycryptodome", raising=False)
    monkeypatch.setitem(sys.modules, "Crypto", None)
    monkeypatch.setitem(sys.modules, "beaker.crypto.pycrypto", None)
    [error] = session_errors(crypto_type="pycryptodome")

    assert error.startswith("session.crypto_type is 'pycryptodome', but it")
