"""Which stores a gateway uses: told by the settings alone."""

from collections.abc import Mapping
from typing import NamedTuple

from tidegate.adapters.sqlite.board import SqliteBoard
from tidegate.adapters.sqlite.contents import SqliteContents
from tidegate.adapters.sqlite.counters import SqliteCounters
from tidegate.adapters.sqlite.feedbacks import SqliteFeedbacks
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.app.secrets import open_content_seals
from tidegate.live.ports import Board, Contents, Counters, Feedbacks, Records
from tidegate.settings import Settings

__all__ = ["Stores", "open_board", "open_contents", "open_counters", "open_feedbacks", "open_records", "open_stores"]


class Stores(NamedTuple):
    """What one gateway process reads from and writes to; without `contents`, no content is kept, and without
    `feedbacks`, no feedback taken.
    """

    board: Board
    records: Records
    counters: Counters
    contents: Contents | None = None
    feedbacks: Feedbacks | None = None


def open_stores(settings: Settings, environ: Mapping[str, str]) -> Stores:
    """All stores of the workspace."""
    contents, feedbacks = open_contents(settings, environ), open_feedbacks(settings)
    return Stores(open_board(settings), open_records(settings), open_counters(settings), contents, feedbacks)


def open_board(settings: Settings) -> Board:
    """The Board of the workspace: PostgreSQL by URL, else the workspace's SQLite file."""
    if settings.is_postgres:
        from tidegate.adapters.postgres.board import PostgresBoard  # noqa: PLC0415  # lazy: costs memory

        return PostgresBoard(settings.database_url)
    return SqliteBoard(settings.control_db_file)


def open_records(settings: Settings) -> Records:
    """Where the workspace's call records go."""
    if settings.is_postgres:
        from tidegate.adapters.postgres.records import PostgresRecords  # noqa: PLC0415  # lazy: costs memory

        return PostgresRecords(settings.database_url)
    return SqliteRecords(settings.calls_db_file)


def open_counters(settings: Settings) -> Counters:
    """Where all gateways share limits and budgets: Redis if there is one, else beside the Board."""
    if settings.redis_url:
        from tidegate.adapters.redis.counters import RedisCounters  # noqa: PLC0415  # lazy: costs memory

        return RedisCounters(settings.redis_url)
    if settings.is_postgres:
        from tidegate.adapters.postgres.counters import PostgresCounters  # noqa: PLC0415  # lazy: costs memory

        return PostgresCounters(settings.database_url)
    return SqliteCounters(settings.counters_db_file)


def open_contents(settings: Settings, environ: Mapping[str, str]) -> Contents:
    """Where the workspace keeps content; nothing is opened before the first is put."""
    if settings.is_postgres:
        from tidegate.adapters.postgres.contents import PostgresContents  # noqa: PLC0415  # lazy: costs memory

        return PostgresContents(settings.database_url, lambda: open_content_seals(settings, environ))
    return SqliteContents(settings.contents_db_file, lambda: open_content_seals(settings, environ))


def open_feedbacks(settings: Settings) -> Feedbacks:
    """Where the workspace's feedback goes: beside the call records."""
    if settings.is_postgres:
        from tidegate.adapters.postgres.feedbacks import PostgresFeedbacks  # noqa: PLC0415  # lazy: costs memory

        return PostgresFeedbacks(settings.database_url)
    return SqliteFeedbacks(settings.calls_db_file)
