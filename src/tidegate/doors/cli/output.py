"""How commands print: tables that stay readable at 80 columns, relative times, JSON for machines."""

import re
import sys
import time
from collections.abc import Iterable, Sequence

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = [
    "ago",
    "clean",
    "date_text",
    "duration_text",
    "now_ms",
    "print_json",
    "print_line",
    "print_table",
    "say",
    "share_text",
]

_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x1f\x7f-\x9f]")
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (float("inf"), 86_400, "d"))


def now_ms() -> int:
    """This machine's Unix time in ms, for relative times."""
    return time.time_ns() // 1_000_000


def clean(value: object) -> str:
    """Text from outside as it may be printed: no escape sequences, no control characters."""
    return _CONTROL.sub("", str(value))


def ago(at_ms: int | None, now: int | None = None) -> str:
    """`3 min ago`, `in 2 d`; `-` for None."""
    if at_ms is None:
        return "-"
    seconds = ((now if now is not None else now_ms()) - at_ms) / 1000
    if abs(seconds) < 1:
        return "now"
    length, unit = next((int(abs(seconds) / size), unit) for limit, size, unit in _STEPS if abs(seconds) < limit)
    return f"{length} {unit} ago" if seconds > 0 else f"in {length} {unit}"


def date_text(at_ms: int | None) -> str:
    """`2026-11-24 06:05:12`, in this machine's time; `-` for None."""
    return "-" if at_ms is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))


def duration_text(ms: float | None) -> str:
    """`87ms`, `1.25s`; `-` for None."""
    if ms is None:
        return "-"
    return f"{ms:.0f}ms" if ms < 1000 else f"{ms / 1000:.2f}s" if ms < 100_000 else f"{ms / 1000:.0f}s"


def share_text(weight_bp: int) -> str:
    """Basis points as a percentage: `100%`, `2.5%`."""
    return f"{weight_bp / 100:g}%"


def say(text: str = "") -> None:
    """Print one line for people."""
    sys.stdout.write(text + "\n")


def print_line(value: object) -> None:
    """Print one JSON value on one line (NDJSON), at once."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def print_json(value: object) -> None:
    """Print one JSON value, indented."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print a table, or the sentence `empty`. A column whose head begins with `>` stands to the right."""
    lines = [[clean(cell) for cell in row] for row in rows]
    if not lines:
        say(empty)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.lstrip(">"), justify="right" if right else "left", overflow="fold")
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    Console(highlight=False).print(table)
