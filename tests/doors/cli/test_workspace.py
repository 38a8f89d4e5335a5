"""`tidegate init` as its user sees it."""

import os

import pytest

from tests.doors.cli.workspaces import Cli
from tests.house.docs import simple_commands, wrong_command
from tidegate.doors.cli.main import COMMANDS, command_of


def test_init_names_what_it_wrote_and_the_next_five_commands(cli: Cli) -> None:
    outcome = cli("init", str(cli.folder))
    assert outcome.code == 0
    assert "tidegate.yaml" in outcome.out
    assert "prompts/support-answer/v1.1.0.yaml" in outcome.out
    assert f"cd {cli.folder}" in outcome.out
    told = [words for line in outcome.out.splitlines() for words in simple_commands(line) if words[0] == "tidegate"]
    assert len(told) == 5
    commands = {command.name: (lambda command=command: command_of(command)) for command in COMMANDS}
    assert [wrong for words in told if (wrong := wrong_command(words[1:], commands))] == []


def test_init_never_shows_a_secret(cli: Cli) -> None:
    outcome = cli("init", str(cli.folder))
    secrets = [line.partition("=")[2] for line in (cli.folder / ".tidegate" / "keys.env").read_text().splitlines()]
    assert not any(secret in outcome.out for secret in secrets if secret)


def test_init_again_says_what_it_kept(cli: Cli) -> None:
    cli("init", str(cli.folder))
    again = cli("init", str(cli.folder))
    assert again.code == 0
    assert "kept      tidegate.yaml" in again.out
    assert "wrote" not in again.out


def test_init_with_force_says_where_the_old_text_is(cli: Cli) -> None:
    cli("init", str(cli.folder))
    (cli.folder / "README.md").write_text("mine")
    assert "replaced  README.md (its old text is in README.md.old)" in cli("init", str(cli.folder), "--force").out


def test_init_as_json(cli: Cli) -> None:
    told = cli("init", str(cli.folder), "--bare", "--json").json
    assert "tidegate.yaml" in told["written"]
    assert told["commits"] == []


def test_init_in_this_folder_needs_no_cd(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.folder.mkdir()
    monkeypatch.chdir(cli.folder)
    outcome = cli("init")
    assert (cli.folder / "tidegate.yaml").is_file()
    assert "cd " not in outcome.out
    assert os.getcwd() == str(cli.folder)


def test_init_for_another_server(cli: Cli) -> None:
    words = ("--model", "http://127.0.0.1:11434/v1", "--model-name", "llama3:8b", "--api-key-env", "KEY", "--bare")
    assert cli("init", str(cli.folder), *words).code == 0
    text = (cli.folder / "tidegate.yaml").read_text()
    assert 'model: "llama3:8b"' in text
    assert 'api_key_env: "KEY"' in text


def test_init_with_a_bad_address_says_so_and_writes_nothing(cli: Cli) -> None:
    outcome = cli("init", str(cli.folder), "--model", "http://169.254.169.254/v1", "--model-name", "x")
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert "mend: " in outcome.err
    assert not cli.folder.exists()
