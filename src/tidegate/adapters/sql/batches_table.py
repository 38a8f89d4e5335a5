"""The log of batches: one row for each flush of a gateway's journal, which control unpacks into `calls`.

Writing forty columns for each call would be a sixth of what a call costs the gateway; a batch is one blob: the names of
the fields once, then the records' values. A batch that is written again after an unknown outcome, perhaps longer, is
another row: unpacking keeps each record once.
"""

from collections.abc import Sequence

import msgspec

from tidegate.adapters.sql.calls_table import CALLS_COLUMNS, stored_tags
from tidegate.live.calls import CallRecord

__all__ = ["BATCHES_COLUMNS", "batch_row", "batches_ddl", "rows_of"]

BATCHES_COLUMNS = ("gateway_id", "first_seq", "last_seq", "body")

_TAGS = CALLS_COLUMNS.index("tags")
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(tuple[list[str], list[list[object]]]).decode
_DEFAULTS = {
    field.name: field.default for field in msgspec.structs.fields(CallRecord) if field.default is not msgspec.NODEFAULT
}


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
    body = _ENCODE((CALLS_COLUMNS, [msgspec.structs.astuple(record) for record in batch]))
    return batch[0].gateway_id, batch[0].seq, batch[-1].seq, body


def rows_of(body: bytes) -> list[tuple[object, ...]]:
    """The records of a batch as rows of `calls`, also of an older or newer gateway's; raises msgspec.DecodeError."""
    try:
        names, rows = _DECODE(body)
        if any(len(row) != len(names) for row in rows) or not {"gateway_id", "seq", "call_id"} <= set(names):
            raise msgspec.DecodeError("a record lacks fields")
    except UnicodeDecodeError as error:  # text that is none is a damaged batch too
        raise msgspec.DecodeError(str(error)) from error
    if tuple(names) != CALLS_COLUMNS:
        places = {name: place for place, name in enumerate(names)}
        rows = [
            [row[places[name]] if name in places else _DEFAULTS.get(name) for name in CALLS_COLUMNS] for row in rows
        ]
    for row in rows:
        row[_TAGS] = stored_tags(row[_TAGS])
    return [tuple(row) for row in rows]
