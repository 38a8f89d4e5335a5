"""Which stores a gateway uses is told by the settings alone."""

from pathlib import Path

import pytest

from tidegate.adapters.postgres.board import PostgresBoard
from tidegate.adapters.postgres.feedbacks import PostgresFeedbacks
from tidegate.adapters.postgres.records import PostgresRecords
from tidegate.adapters.sqlite.board import SqliteBoard
from tidegate.adapters.sqlite.feedbacks import SqliteFeedbacks
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.app.stores import open_board, open_feedbacks, open_records
from tidegate.settings import Settings


@pytest.mark.parametrize(
    ("url", "board", "records", "feedbacks"),
    [
        ("", SqliteBoard, SqliteRecords, SqliteFeedbacks),
        ("postgresql://u@h/db", PostgresBoard, PostgresRecords, PostgresFeedbacks),
        ("postgres://u@h/db", PostgresBoard, PostgresRecords, PostgresFeedbacks),
    ],
)
async def test_the_url_decides(tmp_path: Path, url: str, board: type, records: type, feedbacks: type) -> None:
    settings = Settings(workspace=tmp_path, database_url=url)
    opened_board, opened_records = open_board(settings), open_records(settings)
    opened_feedbacks = open_feedbacks(settings)
    assert isinstance(opened_board, board)
    assert isinstance(opened_records, records)
    assert isinstance(opened_feedbacks, feedbacks)
    await opened_feedbacks.close()
    await opened_board.close()
    await opened_records.close()
