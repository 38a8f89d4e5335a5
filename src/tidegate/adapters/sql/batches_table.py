"""The log of batches: one row for each flush of a gateway's journal, which control unpacks into `calls`.

Writing forty columns for each call would be a sixth of what a call costs the gateway; a batch is one blob. A batch that
is written again after an unknown outcome, perhaps longer, is another row: unpacking keeps each record once.
"""

from collections.abc import Sequence

import msgspec

from tidegate.live.calls import CallRecord

__all__ = ["BATCHES_COLUMNS", "batch_row", "batches_ddl", "records_of"]

BATCHES_COLUMNS = ("gateway_id", "first_seq", "last_seq", "body")

_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(list[CallRecord]).decode


def batches_ddl(dialect: str) -> tuple[str, ...]:
    """CREATE TABLE for the batches, and for those that could not be read: they are kept for a person to look at."""
    blob = "BYTEA" if dialect == "postgresql" else "BLOB"
    columns = f"gateway_id TEXT NOT NULL, first_seq BIGINT NOT NULL, last_seq BIGINT NOT NULL, body {blob} NOT NULL"
    key = "PRIMARY KEY (gateway_id, first_seq, last_seq)"
    return (
        f"CREATE TABLE IF NOT EXISTS call_batches ({columns}, {key})",
        f"CREATE TABLE IF NOT EXISTS call_batches_unread ({columns}, {key})",
    )


def batch_row(batch: Sequence[CallRecord]) -> tuple[str, int, int, bytes]:
    """The batch as a row, in the columns' order. All its records are of one gateway."""
    return batch[0].gateway_id, batch[0].seq, batch[-1].seq, _ENCODE(batch)


def records_of(body: bytes) -> list[CallRecord]:
    """The records of a batch, also of an older or newer gateway's; raises msgspec.DecodeError."""
    try:
        return _DECODE(body)
    except UnicodeDecodeError as error:  # text that is none is a damaged batch too
        raise msgspec.DecodeError(str(error)) from error
