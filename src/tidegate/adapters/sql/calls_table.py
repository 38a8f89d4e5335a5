"""The `calls` table, whose columns are CallRecord's fields: made and widened from the Struct itself, so the two
cannot part.

Fields are only ever added to CallRecord; an older table gets the new columns, an older gateway's rows leave them null.
"""

from typing import Any

import msgspec

from tidegate.live.calls import CallRecord

__all__ = ["CALLS_COLUMNS", "CALLS_INDEXES", "calls_ddl", "column_type", "stored_tags"]

CALLS_COLUMNS: tuple[str, ...] = CallRecord.__struct_fields__
CALLS_INDEXES: tuple[str, ...] = (
    "CREATE INDEX IF NOT EXISTS calls_by_id ON calls (call_id)",
    "CREATE INDEX IF NOT EXISTS calls_by_time ON calls (started_at_ms)",
    "CREATE INDEX IF NOT EXISTS calls_of_shadows ON calls (call_id) WHERE shadow_of IS NOT NULL",
    """CREATE INDEX IF NOT EXISTS calls_of_experiments ON calls (experiment_id, started_at_ms)
WHERE experiment_id IS NOT NULL""",
    """CREATE INDEX IF NOT EXISTS calls_of_units ON calls (experiment_id, experiment_unit, propensity, started_at_ms)
WHERE propensity IS NOT NULL""",
    """CREATE INDEX IF NOT EXISTS calls_that_took_long ON calls (experiment_id, started_at_ms)
WHERE experiment_id IS NOT NULL AND latency_ms > 30000""",
)

_TYPES = {
    "sqlite": {int: "INTEGER", float: "REAL", bool: "INTEGER", str: "TEXT", dict: "TEXT"},
    "postgresql": {int: "BIGINT", float: "DOUBLE PRECISION", bool: "BOOLEAN", str: "TEXT", dict: "TEXT"},
}
_FIELDS = {field.name: field for field in msgspec.structs.fields(CallRecord)}
_ENCODE = msgspec.json.Encoder(order="sorted").encode
_NO_TAGS = "{}"


def column_type(column: str, dialect: str) -> str:
    """The SQL type of a column in `sqlite` or `postgresql`."""
    annotation: Any = _FIELDS[column].type
    kinds = [kind for kind in getattr(annotation, "__args__", (annotation,)) if kind is not type(None)]
    kind = dict if getattr(annotation, "__origin__", None) is dict else kinds[0]
    return _TYPES[dialect][kind]


def calls_ddl(dialect: str) -> str:
    """CREATE TABLE for a fresh store. Only the key is NOT NULL: old rows know nothing of new columns."""
    columns = ", ".join(f"{column} {column_type(column, dialect)}" for column in CALLS_COLUMNS)
    tail = " WITHOUT ROWID" if dialect == "sqlite" else ""
    return f"CREATE TABLE IF NOT EXISTS calls ({columns}, PRIMARY KEY (gateway_id, seq)){tail}"


def stored_tags(tags: object) -> str:
    """The tags as they stand in their column."""
    return _ENCODE(tags).decode() if tags else _NO_TAGS
