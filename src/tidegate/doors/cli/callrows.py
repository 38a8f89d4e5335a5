"""Call records as lines: one for each call in a list, or every field of one call in groups."""

import shutil
import sys
import time
from collections.abc import Iterator
from types import MappingProxyType

from tidegate.control.monitoring.model import CallRecord, Pair
from tidegate.doors.cli.output import clean, date_text, duration_text
from tidegate.kernel.money import usd_text

__all__ = ["LABELS", "every_field", "head", "pair_rows", "print_row", "terminal_width"]

FIXED = 65
NARROW, WIDE = 12, 48
MODEL_FROM, MODEL, WIDER_FROM, WIDER = 96, 12, 116, 26
"""From so many columns on there is room for the model that answered, in so many columns; from more on for its region
and the number of attempts too: `backup eu x2`."""

GROUPS = (
    ("Call", ("call_id", "started_at_ms", "endpoint", "stream", "origin", "shadow_of", "environment", "unit", "tags")),
    ("Ending", ("ending", "status", "error_code", "finish_reason")),
    ("Prompt", ("prompt", "prompt_version", "release_id", "generation")),
    ("Model", ("model_requested", "route", "deployment", "region", "upstream_model", "upstream_request_id")),
    ("Experiment", ("experiment_id", "variant", "experiment_unit", "propensity")),
    ("Way", ("attempts", "trace")),
    ("Usage", ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens")),
    ("Money", ("cost_nano_usd", "bound_nano_usd")),
    ("Time", ("latency_ms", "ttft_ms", "tpot_ms")),
    ("Record", ("key_id", "gateway_id", "seq")),
)
LABELS = MappingProxyType(
    {
        "started_at_ms": "started",
        "cost_nano_usd": "cost",
        "bound_nano_usd": "reserved at most",
        "latency_ms": "latency",
        "ttft_ms": "time to first token",
        "tpot_ms": "time per output token",
    }
)


def terminal_width() -> int:
    """Columns of the terminal; 80 where there is none."""
    return shutil.get_terminal_size((80, 24)).columns


def head(width: int) -> str:
    """The line above the list."""
    return _line(width, "TIME", "ENDING", "PROMPT/MODEL", "ANSWERED BY", "TOKENS", "COST", "TTFT", "LATENCY", "ID")


def print_row(call: CallRecord, width: int) -> None:
    """Print one call as a line, at once."""
    sys.stdout.write(_row(call, width) + "\n")
    sys.stdout.flush()


def every_field(call: CallRecord) -> Iterator[str]:
    """Every field, in groups; `unknown` for what is None. A field that no group names is shown at the end."""
    named = {name for _, names in GROUPS for name in names}
    rest = tuple(name for name in CallRecord.__struct_fields__ if name not in named)
    for title, names in (*GROUPS, ("More", rest)):
        if names:
            yield title
        for name in names:
            label = LABELS.get(name, name.replace("_", " "))
            yield f"  {label:<22} {_value(name, getattr(call, name))}"


def pair_rows(pair: Pair) -> Iterator[tuple[object, ...]]:
    """The cells of the user's call, then of its copy."""
    sides = (("user", pair.user, pair.user_kept), ("shadow", pair.shadow, pair.shadow_kept))
    for whose, call, kept in sides:
        said = "yes" if kept else "no"
        route = (pair.shadow.route or "-") if whose == "user" else ""
        if call is None:
            yield (route, whose, "no longer there", "-", "-", "-", said, (pair.shadow.shadow_of or "-")[-8:])
            continue
        prompt = f"{call.prompt}@{call.prompt_version} " if call.prompt is not None else ""
        yield (
            route,
            whose,
            prompt + (call.deployment or "-"),
            call.ending,
            duration_text(call.latency_ms),
            _short_usd(call.cost_nano_usd),
            said,
            call.call_id[-8:],
        )


def _row(call: CallRecord, width: int) -> str:
    started = time.strftime("%H:%M:%S", time.localtime(call.started_at_ms / 1000))
    tokens = f"{_count(call.input_tokens)}/{_count(call.output_tokens)}"
    if call.status >= 400 and call.output_tokens is None:
        tokens = f"HTTP {call.status}"
    return _line(
        width,
        started,
        call.ending,
        _what(call),
        _answered_by(call),
        tokens,
        usd_text(call.cost_nano_usd),
        duration_text(call.ttft_ms),
        duration_text(call.latency_ms),
        call.call_id[-8:],
    )


def _line(width: int, *cells: str) -> str:
    started, ending, what, model, tokens, cost, ttft, latency, call_id = map(clean, cells)
    wide = WIDER if width >= WIDER_FROM else MODEL
    told = f" {_shortened(model, wide):<{wide}}" if width >= MODEL_FROM else ""
    room = min(max(width - FIXED - len(told), NARROW), WIDE)
    what = _shortened(what, room)
    return f"{started:<8} {ending:<9} {what:<{room}}{told} {tokens:>9} {cost:>11} {ttft:>6} {latency:>7} {call_id}"


def _answered_by(call: CallRecord) -> str:
    """The model, its region, and the attempts where there was more than one."""
    parts = [call.deployment or "-", call.region or "", f"x{call.attempts}" if call.attempts > 1 else ""]
    return " ".join(part for part in parts if part)


def _what(call: CallRecord) -> str:
    own = "" if call.origin == "user" else f"{call.origin}: "
    if call.prompt is not None:
        return own + (f"{call.prompt}@{call.prompt_version}" if call.prompt_version else call.prompt)
    return own + (call.model_requested or "-")


def _short_usd(nano_usd: int | None) -> str:
    """Down to a millionth of a dollar, where there is that much."""
    return usd_text(nano_usd if nano_usd is None or nano_usd < 1_000 else round(nano_usd, -3))


def _shortened(text: str, room: int) -> str:
    """Cut in the middle, so that a version at the end stays."""
    if len(text) <= room:
        return text
    tail = min(len(text.rpartition("@")[2]) + 1 if "@" in text else 4, room - 2)
    return f"{text[: room - tail - 1]}…{text[-tail:]}"


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


def _value(name: str, value: object) -> str:
    if name in ("cost_nano_usd", "bound_nano_usd"):
        return usd_text(value if isinstance(value, int) else None)
    if value is None:
        return "unknown"
    if name == "started_at_ms" and isinstance(value, int):
        return f"{date_text(value)}.{value % 1000:03d}"
    if name.endswith("_ms") and isinstance(value, int | float):
        return f"{value:.2f} ms"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return clean(", ".join(f"{key}={one}" for key, one in value.items())) or "none"
    return clean(value)
