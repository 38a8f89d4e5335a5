"""The entry point: help without loading anything, errors as two lines, options before the command."""

import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.doors.cli import main as cli
from tidegate.doors.cli.main import COMMANDS, command_of, help_text, run
from tidegate.kernel.errors import Conflict, InvalidDocument


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], []])
def test_help_lists_every_command_once(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert shown == help_text()
    for command in COMMANDS:
        assert shown.count(f"\n  {command.name:<10} {command.help}\n") == 1
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_help_loads_no_command_and_no_heavy_library() -> None:
    code = (
        "import sys; from tidegate.doors.cli.main import run; run(['--help']);"
        "print([n for n in ('typer', 'rich', 'httpx', 'sqlalchemy', 'tidegate.doors.cli.keys') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_misspelt_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["relase", "status"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    first, second = shown.err.splitlines()
    assert first == "error: There is no command named 'relase'."
    assert second.startswith("mend: Did you mean release")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--wrkspace", "x"], "There is no option named '--wrkspace'."),
        (["--workspace"], "--workspace needs a folder."),
        (["keys", "crate"], "crate"),
        (["keys", "create"], "name"),
        (["release", "deploy", "a@1.0.0"], "--env"),
        (["keys", "list", "--verbose"], "--verbose"),
        (["calls", "tail", "-n", "many"], "--limit"),
    ],
)
def test_wrong_usage_is_told_and_ends_with_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert said in shown.err
    assert "\nmend: " in shown.err
    assert "Traceback" not in shown.err


def test_a_bare_group_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys"]) == 2
    assert "revoke" in capsys.readouterr().err


def test_a_command_has_its_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["release", "rollback", "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Usage: tidegate release rollback ")
    assert "--reason" in shown


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tidegate ")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Conflict("It is there.", mend="Take it away."), "error: It is there.\nmend: Take it away.\n"),
        (Conflict("It is there."), "error: It is there.\n"),
        (InvalidDocument("Bad.", file="a.yaml", line=3, mend="Mend."), "error: a.yaml:3: Bad.\nmend: Mend.\n"),
    ],
)
def test_an_error_is_two_lines_on_stderr_and_ends_with_1(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("tidegate.doors.cli.keys.connect", fail)
    assert run(["keys", "list"]) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", said)


def test_a_workspace_before_the_command_is_the_commands_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[object] = []

    def fail(workspace: object, server: object) -> None:
        seen.append(workspace)
        raise Conflict("Far enough.")

    monkeypatch.setattr("tidegate.doors.cli.keys.connect", fail)
    for arguments in (
        ["--workspace", "a", "keys", "list"],
        ["-w", "a", "keys", "list"],
        ["--workspace=a", "keys", "list"],
    ):
        assert run(arguments) == 1
    assert run(["--workspace", "a", "keys", "revoke", "--", "-odd-"]) == 1
    assert seen == [Path("a")] * 4
    capsys.readouterr()


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(workspace: object, server: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tidegate.doors.cli.keys.connect", interrupted)
    assert run(["keys", "list"]) == 130


def test_the_process_ends_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tidegate", "--version"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 0


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_of_the_table_loads_and_fits_80_columns(
    command: cli.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_of(command) is not None
    assert run([command.name, "--help"]) == 0
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())
