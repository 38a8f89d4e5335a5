"""A call as a line, and as every field that is known of it."""

from typing import Any

import pytest

from tidegate.control.monitoring.model import CallRecord
from tidegate.doors.cli.callrows import LABELS, every_field, head, print_row


def call(**fields: Any) -> CallRecord:
    values: dict[str, Any] = {
        "call_id": "call_019a5c0e7b2100112233445566778899",
        "gateway_id": "gw_1",
        "seq": 1,
        "started_at_ms": 1_800_000_000_123,
        "endpoint": "chat.completions",
        "status": 200,
        "ending": "complete",
        "latency_ms": 1234.5,
    }
    return CallRecord(**values | fields)


FULL = call(
    prompt="greeting", prompt_version="1.1.0", input_tokens=1234, output_tokens=567, cost_nano_usd=123_000, ttft_ms=87.2
)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_line_fits_the_terminal_and_stands_under_its_head(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    print_row(FULL, width)
    line = capsys.readouterr().out.rstrip("\n")
    assert len(line) <= width
    assert len(head(width)) <= width
    for text in ("complete", "greeting@1.1.0", "1234/567", "$0.000123", "87ms", "1.23s", "66778899"):
        assert text in line
    assert line.index("complete") == head(width).index("ENDING")


def test_what_is_unknown_is_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    print_row(call(model_requested="fast"), 100)
    line = capsys.readouterr().out
    assert "?/?" in line
    assert "unknown" in line
    assert "fast" in line
    assert "$0" not in line


def test_a_long_name_is_cut_so_that_its_version_stays(capsys: pytest.CaptureFixture[str]) -> None:
    print_row(call(prompt="the-very-longest-of-all-names-in-here", prompt_version="12.34.56"), 80)
    assert "…@12.34.56" in capsys.readouterr().out


def test_a_refusal_shows_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    print_row(call(ending="refused", status=401), 80)
    assert "refused" in (shown := capsys.readouterr().out)
    assert "HTTP 401" in shown


def test_a_model_name_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_row(call(model_requested="\x1b[2Jevil\r\n"), 100)
    assert "\x1b" not in (shown := capsys.readouterr().out)
    assert shown.count("\n") == 1


def test_every_field_is_shown_in_some_group() -> None:
    text = "\n".join(every_field(FULL))
    for name in CallRecord.__struct_fields__:
        label = {"started_at_ms": "started", "cost_nano_usd": "cost", "latency_ms": "latency"}.get(name)
        label = label or LABELS.get(name)
        assert f"\n  {label or name.replace('_', ' ')} " in text
    assert "unknown" in text
    assert "$0.000123" in text
    assert "1234.50 ms" in text


@pytest.mark.parametrize(("width", "told"), [(95, False), (96, True), (140, True)])
def test_the_model_that_answered_is_told_where_there_is_room(
    width: int, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    print_row(call(prompt="greeting", prompt_version="1.1.0", deployment="smollm2"), width)
    line = capsys.readouterr().out.rstrip("\n")
    assert ("smollm2" in line) is told
    assert ("ANSWERED BY" in head(width)) is told
    assert len(line) <= width


def test_a_wide_line_tells_the_region_and_the_attempts(capsys: pytest.CaptureFixture[str]) -> None:
    print_row(call(model_requested="chat", deployment="backup", region="eu", attempts=2), 140)
    assert "backup eu x2" in capsys.readouterr().out


def test_a_shadow_is_not_taken_for_a_users_call(capsys: pytest.CaptureFixture[str]) -> None:
    print_row(call(model_requested="chat", origin="shadow"), 100)
    assert "shadow: chat" in capsys.readouterr().out
