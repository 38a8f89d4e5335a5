"""The `feedback` table, beside `calls`: one row for each score of a call. Its columns are Feedback's fields."""

from collections.abc import Sequence

import msgspec

from tidegate.live.feedback import Feedback

__all__ = ["FEEDBACK_COLUMNS", "FeedbackRow", "feedback_ddl", "feedback_rows"]

FEEDBACK_COLUMNS: tuple[str, ...] = Feedback.__struct_fields__

FeedbackRow = tuple[str, str, str, float, int, str, str]

_DDL = """CREATE TABLE IF NOT EXISTS feedback (feedback_id TEXT NOT NULL, call_id TEXT NOT NULL, name TEXT NOT NULL,
value DOUBLE PRECISION NOT NULL, at_ms BIGINT NOT NULL, environment TEXT NOT NULL, key_id TEXT NOT NULL,
PRIMARY KEY (feedback_id, name))"""


def feedback_ddl(dialect: str) -> tuple[str, ...]:
    """CREATE TABLE in `sqlite` or `postgresql`, and the indexes by call and by time."""
    return (
        _DDL + (" WITHOUT ROWID" if dialect == "sqlite" else ""),
        "CREATE INDEX IF NOT EXISTS feedback_by_call ON feedback (call_id)",
        "CREATE INDEX IF NOT EXISTS feedback_by_time ON feedback (at_ms)",
    )


def feedback_rows(batch: Sequence[Feedback]) -> list[FeedbackRow]:
    """The scores as rows, in the columns' order."""
    return [msgspec.structs.astuple(one) for one in batch]
