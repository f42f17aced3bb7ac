"""Records of TLS 1.3 that no library would send, encrypted as a caller's."""

import hashlib
import hmac
import ssl
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["RawRecords"]

_DATA: Final = 0x17
_HANDSHAKE: Final = 0x16
_KEY_UPDATE: Final = bytes((24, 0, 0, 1, 0))  # RFC 8446 §4.6.3; none is asked for in return
_KEY_BYTES: Final = {"TLS_AES_128_GCM_SHA256": 16, "TLS_AES_256_GCM_SHA384": 32}


class RawRecords:
    """Goes on where a caller has shaken hands and has sent nothing yet.

    `keylog` is the file into which its context has written the secrets.
    """

    def __init__(self, caller: ssl.SSLObject, keylog: Path) -> None:
        cipher = caller.cipher()
        assert cipher
        self._key_bytes = _KEY_BYTES[cipher[0]]
        self._hash = "sha384" if cipher[0].endswith("SHA384") else "sha256"
        secrets = (line.split() for line in keylog.read_text().splitlines())
        self._use(next(bytes.fromhex(s[2]) for s in secrets if s[0] == "CLIENT_TRAFFIC_SECRET_0"))

    def data(self, content: bytes) -> bytes:
        """Return a record of application data."""
        return self._record(_DATA, content)

    def new_keys(self) -> bytes:
        """Return the record by which the caller goes on with other keys (KeyUpdate)."""
        record = self._record(_HANDSHAKE, _KEY_UPDATE)
        self._use(self._expand(b"traffic upd", hashlib.new(self._hash).digest_size))
        return record

    def _use(self, secret: bytes) -> None:
        self._secret = secret
        self._aead = AESGCM(self._expand(b"key", self._key_bytes))
        self._start = int.from_bytes(self._expand(b"iv", 12))
        self._count = 0

    def _expand(self, label: bytes, size: int) -> bytes:
        """HKDF-Expand-Label (RFC 8446 §7.1); no key is longer than one digest."""
        info = size.to_bytes(2) + bytes((6 + len(label),)) + b"tls13 " + label + b"\0"
        return hmac.digest(self._secret, info + b"\1", self._hash)[:size]

    def _record(self, kind: int, content: bytes) -> bytes:
        header = b"\x17\x03\x03" + (len(content) + 17).to_bytes(2)
        nonce = (self._start ^ self._count).to_bytes(12)
        self._count += 1
        return header + self._aead.encrypt(nonce, content + bytes((kind,)), header)
