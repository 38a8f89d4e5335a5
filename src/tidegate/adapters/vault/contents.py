"""Seals content by call, and hashes whom it is about: HMAC-SHA256 (RFC 2104) under a key of its own, derived from the
master key by HKDF-SHA256 (RFC 5869), so that the store alone tells nobody whose content it holds.
"""

import hashlib
import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tidegate.adapters.vault.vault import Vault
from tidegate.live.snapshot import Sealed

__all__ = ["ContentSeals"]

TABLE = "contents"
SUBJECT_INFO = b"tidegate content subject v1"
KEY_BYTES = 32


class ContentSeals:
    """Fills `adapters.sql.contents_table.Seals`; raises Invalid (`weak_master_key`) as the vault does."""

    def __init__(self, master_key: str, previous: Sequence[str] = ()) -> None:
        keys = tuple(dict.fromkeys((master_key, *previous)))
        self._vault = Vault(master_key, previous)
        self.key_ids = tuple(Vault(key).key_id for key in keys)
        self._subject_keys = tuple(_subject_key(key) for key in keys)

    def seal(self, call_id: str, plaintext: bytes) -> Sealed:
        """Seal one call's content under the current master key, bound to the call's id."""
        return self._vault.seal(TABLE, call_id, plaintext)

    def open(self, call_id: str, sealed: Sealed) -> bytes:
        """Open it; raises Invalid: `sealed_key_unknown`, or `sealed_corrupt` for changed bytes and another's row."""
        return self._vault.open(TABLE, call_id, sealed)

    def subject_hashes(self, subject: str) -> tuple[str, ...]:
        """The subject's hash under the current master key, then under the previous ones: 64 hex characters each."""
        return tuple(
            hmac.new(key, subject.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
            for key in self._subject_keys
        )


def _subject_key(master_key: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=SUBJECT_INFO).derive(master_key.encode())
