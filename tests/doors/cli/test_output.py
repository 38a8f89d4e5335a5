"""What is printed: relative times, lengths, and nothing that could command the terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.doors.cli.output import ago, clean, duration_text, print_json, print_line, print_table, share_text

NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("at_ms", "said"),
    [
        (None, "-"),
        (NOW, "now"),
        (NOW - 999, "now"),
        (NOW - 59_000, "59 s ago"),
        (NOW - 60_000, "1 min ago"),
        (NOW - 3 * 3_600_000, "3 h ago"),
        (NOW - 400 * 86_400_000, "400 d ago"),
        (NOW + 90_000, "in 1 min"),
        (NOW + 2 * 86_400_000, "in 2 d"),
    ],
)
def test_times_are_told_relative_to_now(at_ms: int | None, said: str) -> None:
    assert ago(at_ms, NOW) == said


@pytest.mark.parametrize(
    ("ms", "said"), [(None, "-"), (0.4, "0ms"), (87.4, "87ms"), (1250, "1.25s"), (99_990, "99.99s"), (600_000, "600s")]
)
def test_lengths_are_short(ms: float | None, said: str) -> None:
    assert duration_text(ms) == said


def test_weights_are_percentages() -> None:
    assert [share_text(bp) for bp in (10_000, 250, 1)] == ["100%", "2.5%", "0.01%"]


@given(st.text())
def test_no_text_from_outside_can_command_the_terminal(text: str) -> None:
    cleaned = clean(text)
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in cleaned)


def test_escape_sequences_go_whole() -> None:
    assert clean("a\x1b[31mred\x1b[0m\x1b]0;title\x07b") == "ared]0;titleb"


def test_a_table_keeps_to_80_columns_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = [("greeting-for-the-longest-name-there-is", "x" * 70, "[bold]not markup[/bold]", 7)]
    print_table(("NAME", "TEXT", "RAW", ">N"), rows, empty="Nothing.")
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert shown.count("x") == 70
    assert "[bold]" in "".join(shown.split())


def test_an_empty_table_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME",), [], empty="There is nothing.")
    assert capsys.readouterr().out == "There is nothing.\n"


def test_json_is_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": 1})
    print_line({"a": "ü\n"})
    assert capsys.readouterr().out == '{\n  "a": 1\n}\n{"a":"ü\\n"}\n'
