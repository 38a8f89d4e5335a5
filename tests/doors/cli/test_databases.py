"""`tidegate migrate`, `backup` and `restore` as their user sees them."""

from pathlib import Path

import pytest

from tests.doors.cli.workspaces import Cli


def test_migrate_says_what_it_did_and_the_second_time_that_nothing_is_to_do(cli: Cli) -> None:
    first = cli.make().here("migrate")
    assert first.code == 0
    assert "Migrated from nothing to" in first.out
    assert "already" in cli.here("migrate").out
    told = cli.here("migrate", "--json").json
    assert told["current"] == told["head"]


def test_a_backup_brings_back_what_held(cli: Cli, tmp_path: Path) -> None:
    archive = tmp_path / "all.tar.gz"
    cli.make().here("apply")
    held = cli.config.read_text()
    outcome = cli.here("backup", str(archive))
    assert outcome.code == 0
    assert "configs" in outcome.out
    assert "keys.env" in outcome.out  # is not in it
    cli.rewrite("drain_timeout_s: 30", "drain_timeout_s: 10")
    cli.here("apply")
    refused = cli.here("restore", str(archive))
    assert refused.code == 1
    assert "mend: " in refused.err
    restored = cli.here("restore", str(archive), "--force")
    assert restored.code == 0
    assert "Restored" in restored.out
    assert cli.here("config", "show").out == held


def test_backup_as_json_counts_the_rows(cli: Cli, tmp_path: Path) -> None:
    cli.make().here("apply")
    told = cli.here("backup", str(tmp_path / "all.tar.gz"), "--without-calls", "--json").json
    assert told["tables"]["configs"]["rows"] == 1
    assert "calls" not in told["tables"]


@pytest.mark.parametrize("command", ["backup", "restore", "migrate", "apply"])
def test_without_a_workspace_the_mend_says_how_to_get_one(cli: Cli, tmp_path: Path, command: str) -> None:
    words = [command, *(["file.tar.gz"] if command in ("backup", "restore") else []), "--workspace", str(tmp_path)]
    outcome = cli(*words)
    assert outcome.code == 1
    assert "tidegate init" in outcome.err


def test_a_damaged_archive_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    archive = tmp_path / "all.tar.gz"
    cli.make().here("apply")
    cli.here("backup", str(archive))
    archive.write_bytes(archive.read_bytes()[:-200])
    outcome = cli.here("restore", str(archive), "--force")
    assert outcome.code == 1
    assert cli.here("config", "show").out == cli.config.read_text()
