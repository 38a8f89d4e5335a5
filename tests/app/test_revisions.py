"""The developer's verb that writes the schema's next step."""

from pathlib import Path

from tidegate.adapters.sql import schema
from tidegate.app.revisions import declared_tables, write_step


def test_every_slice_s_tables_are_found() -> None:
    assert set(schema.tables("head")) == set(declared_tables().tables)


async def test_a_schema_that_lacks_nothing_gives_an_empty_step(tmp_path: Path) -> None:
    path = await write_step("nothing new", tmp_path)
    assert path.parent == tmp_path
    assert "op.create_table" not in path.read_text()
    assert f'revision = "{int(schema.head()) + 1:04d}"' in path.read_text()
    assert len(schema.known()) == int(schema.head())  # the script was written aside, not into the package
