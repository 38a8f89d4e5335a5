"""The table of kept content: a sealed blob for each call, and beside it only what finds, pairs and ends it."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from tidegate.kernel.errors import Invalid
from tidegate.live.ports import Content
from tidegate.live.snapshot import Sealed

__all__ = ["ContentRow", "ResealedRow", "Seals", "content_of", "content_row", "contents_ddl", "resealed_rows"]

ContentRow = tuple[str, int, int, str | None, str | None, str, bytes]
ResealedRow = tuple[str | None, str, bytes, str]

_ENCODE = msgspec.msgpack.Encoder().encode
_CONTENT = msgspec.msgpack.Decoder(Content).decode
_SEALED = msgspec.msgpack.Decoder(Sealed).decode


class Seals(Protocol):
    """What seals content and hashes its subjects; `adapters/vault` has it. `key_ids`: the master keys that are here."""

    key_ids: tuple[str, ...]

    def seal(self, call_id: str, plaintext: bytes) -> Sealed:
        """Seal one call's content, bound to the call's id."""
        ...

    def open(self, call_id: str, sealed: Sealed) -> bytes:
        """Open it; raises Invalid when its key is not here, or its bytes were changed or are another row's."""
        ...

    def subject_hashes(self, subject: str) -> Sequence[str]:
        """The subject's hash under the current master key, then under the previous ones."""
        ...


def contents_ddl(dialect: str) -> tuple[str, ...]:
    """CREATE TABLE, and the indexes for expiry, erasure and pairs."""
    blob = "BYTEA" if dialect == "postgresql" else "BLOB"
    columns = (
        "call_id TEXT NOT NULL PRIMARY KEY, at_ms BIGINT NOT NULL, expires_at_ms BIGINT NOT NULL, "
        f"subject_hash TEXT, shadow_of TEXT, key_id TEXT NOT NULL, body {blob} NOT NULL"
    )
    return (
        f"CREATE TABLE IF NOT EXISTS call_contents ({columns})",
        "CREATE INDEX IF NOT EXISTS call_contents_by_expiry ON call_contents (expires_at_ms)",
        "CREATE INDEX IF NOT EXISTS call_contents_by_subject ON call_contents (subject_hash)",
        "CREATE INDEX IF NOT EXISTS call_contents_by_pair ON call_contents (shadow_of)",
    )


def content_row(content: Content, seals: Seals) -> ContentRow:
    """The content as a row, in the columns' order: words, route and subject are inside the seal."""
    sealed = seals.seal(content.call_id, _ENCODE(content))
    subject_hash = None if content.subject is None else seals.subject_hashes(content.subject)[0]
    return (
        content.call_id,
        content.at_ms,
        content.expires_at_ms,
        subject_hash,
        content.shadow_of,
        sealed.key_id,
        _ENCODE(sealed),
    )


def resealed_rows(found: Sequence[tuple[str, bytes]], seals: Seals) -> list[ResealedRow]:
    """Rows (call, body) anew under the current master key: subject's hash, key, body, call. The hash of the subject is
    keyed too, and the subject stands in the seal alone: hence each is opened. Those that cannot be are left out.
    """
    rows: list[ResealedRow] = []
    for call_id, body in found:
        try:
            _, _, _, subject_hash, _, key_id, again = content_row(content_of(call_id, body, seals), seals)
        except Invalid:
            continue
        rows.append((subject_hash, key_id, again, call_id))
    return rows


def content_of(call_id: str, body: bytes, seals: Seals) -> Content:
    """The content of a row; raises Invalid when it cannot be opened."""
    try:
        return _CONTENT(seals.open(call_id, _SEALED(body)))
    except msgspec.DecodeError as error:
        raise Invalid(
            f"The content of {call_id} cannot be read: its bytes were changed.",
            mend="Nothing brings it back; it goes when it expires.",
            code="sealed_corrupt",
        ) from error
