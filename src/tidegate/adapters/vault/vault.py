"""The vault: envelope encryption with AES-256-GCM (NIST SP 800-38D).

Every row has a fresh 256-bit data key, which is sealed under the key-encryption key: HKDF-SHA256 (RFC 5869) of the
workspace's master key. Both seals are bound to `table/name/key_id`, so that no row can stand in for another.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tidegate.kernel.errors import Invalid
from tidegate.live.snapshot import Sealed

__all__ = ["PREVIOUS", "Vault", "previous_keys"]

PREVIOUS = "TIDEGATE_MASTER_KEY_PREVIOUS"
KEK_INFO = b"tidegate kek v1"
KEY_BYTES = 32
NONCE_BYTES = 12
LEAST_CHARACTERS = 32
LEAST_DIFFERENT = 8


class Vault:
    """Seals under the first master key, opens under all of them; raises Invalid (`weak_master_key`) for a key that is
    short or hardly random.
    """

    def __init__(self, master_key: str, previous: Sequence[str] = ()) -> None:
        self._keks: dict[str, AESGCM] = {}
        for one in (master_key, *previous):
            _check(one)
            key_id, kek = _kek(one)
            self._keks.setdefault(key_id, kek)
        self.key_id = next(iter(self._keks))

    def __repr__(self) -> str:
        return f"Vault({self.key_id})"

    def seal(self, table: str, name: str, plaintext: bytes) -> Sealed:
        """Seal one row under the current master key."""
        bound = _bound(table, name, self.key_id)
        data_key = AESGCM.generate_key(KEY_BYTES * 8)
        nonce, wrap_nonce = os.urandom(NONCE_BYTES), os.urandom(NONCE_BYTES)
        return Sealed(
            name=name,
            key_id=self.key_id,
            nonce=nonce,
            ciphertext=AESGCM(data_key).encrypt(nonce, plaintext, bound),
            wrapped_key=self._keks[self.key_id].encrypt(wrap_nonce, data_key, bound),
            wrap_nonce=wrap_nonce,
        )

    def open(self, table: str, name: str, sealed: Sealed) -> bytes:
        """Open the row `name` of the table; raises Invalid: `sealed_key_unknown` when its master key is not there,
        `sealed_corrupt` when a byte was changed or the row is another's.
        """
        kek = self._keks.get(sealed.key_id)
        if kek is None:
            raise Invalid(
                f"{table}/{name} is sealed under the master key {sealed.key_id!r}, which is not here.",
                mend=f"Put the old key into {PREVIOUS} (several: with commas), then run `tidegate secrets rotate`.",
                code="sealed_key_unknown",
            )
        bound = _bound(table, name, sealed.key_id)
        try:
            data_key = kek.decrypt(sealed.wrap_nonce, sealed.wrapped_key, bound)
            return AESGCM(data_key).decrypt(sealed.nonce, sealed.ciphertext, bound)
        except (InvalidTag, ValueError) as error:
            raise Invalid(
                f"{table}/{name} cannot be opened: its bytes were changed, or are another row's.",
                mend="Set it anew, or restore the database from a backup.",
                code="sealed_corrupt",
            ) from error

    def reseal(self, table: str, name: str, sealed: Sealed) -> Sealed:
        """The same secret under the current master key."""
        return self.seal(table, name, self.open(table, name, sealed))


def previous_keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The old master keys that may still open what they sealed, from TIDEGATE_MASTER_KEY_PREVIOUS."""
    return tuple(one.strip() for one in environ.get(PREVIOUS, "").split(",") if one.strip())


def _check(master_key: str) -> None:
    if len(master_key) < LEAST_CHARACTERS or len(set(master_key)) < LEAST_DIFFERENT:
        raise Invalid(
            f"A master key is shorter than {LEAST_CHARACTERS} characters, or repeats fewer than {LEAST_DIFFERENT}.",
            mend="Make one at random: `openssl rand -hex 32`.",
            code="weak_master_key",
        )


def _kek(master_key: str) -> tuple[str, AESGCM]:
    """The key-encryption key, and its fingerprint: 12 hex characters of its SHA-256."""
    key = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=KEK_INFO).derive(master_key.encode())
    return hashlib.sha256(key).hexdigest()[:12], AESGCM(key)


def _bound(table: str, name: str, key_id: str) -> bytes:
    return f"{table}/{name}/{key_id}".encode()
