"""Which Board and Records a gateway uses: told by the settings alone."""

from tidegate.adapters.sqlite.board import SqliteBoard
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.live.ports import Board, Records
from tidegate.settings import Settings

__all__ = ["open_board", "open_records"]


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
