"""Encrypts what must not lie about: cookies, tokens, unfinished uploads."""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from mediary.errors import SealError, SettingsError

KEY_FILE = "seal.key"
KEY_BYTES = 32
_NONCE_BYTES = 12
_SALT = b"mediary seal"


class Sealer:
    """Seals bytes with AES-256-GCM; `purpose` says what they are, and opens nothing else."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of_secret(cls, secret: str) -> Self:
        """A sealer whose key is made of a secret of any length; it takes some 50 ms."""
        return cls(hashlib.scrypt(secret.encode(), salt=_SALT, n=2**14, r=8, p=1, dklen=KEY_BYTES))

    @classmethod
    def of_folder(cls, folder: Path) -> Self:
        """A sealer whose key lies in the folder, and is made if it does not; SettingsError if it cannot be read."""
        path = folder / KEY_FILE
        try:
            if not path.exists():
                _make(path)
            key = base64.b64decode(path.read_bytes().strip(), validate=True)
        except OSError as error:
            raise SettingsError(f"the key {path} cannot be read or made: {error.strerror}") from None
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise SettingsError(f"{path} is no key of ours; what was sealed with it is lost: remove the file")
        return cls(key)

    def seal(self, data: bytes, purpose: str) -> bytes:
        """The bytes, encrypted."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed: bytes = self._cipher.encrypt(nonce, data, purpose.encode())
        return nonce + sealed

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """What was sealed; SealError if it was not by this key, or for another purpose, or was changed."""
        from cryptography.exceptions import InvalidTag

        try:
            opened: bytes = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose.encode())
        except (InvalidTag, ValueError):
            raise SealError(f"this was sealed with another key: the setting server.seal_key, or {KEY_FILE}") from None
        return opened

    def mark(self, data: bytes, purpose: str) -> bytes:
        """32 bytes to know the same bytes by, for this purpose; they do not tell what they mark."""
        return hmac.digest(self._key, purpose.encode() + b"\0" + data, "sha256")

    @cached_property
    def _cipher(self) -> Any:
        # imported here: a server that seals nothing does without
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._key)


def _make(path: Path) -> None:
    """Write a new key, for the owner's eyes alone, whole or not at all; who comes second takes the first one's."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
    finally:
        temporary.unlink()
