"""AES as Beaker uses it with PyCryptodome, which need not be installed."""

from types import SimpleNamespace

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR


def _encrypt(data, key):
    encryptor = Cipher(AES(key), CTR(bytes(16))).encryptor()
    return encryptor.update(data) + encryptor.finalize()


AES_CTR = SimpleNamespace(
    aesEncrypt=_encrypt,
    aesDecrypt=_encrypt,
    has_aes=True,
    getKeyLength=lambda: 32,
)
"""What Beaker's module has.  To decrypt is to encrypt once more."""
