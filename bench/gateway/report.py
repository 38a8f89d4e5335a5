"""What is printed: figures by target, as JSON or as tables with the ratios."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.gateway.measure import Sample

FIGURES = ("cpu_us_per_request", "rps_c32", "ttfb_added_ms", "cpu_us_per_stream", "rss_mb")
PROJECT = "tidegate"


@dataclass(frozen=True)
class Goal:
    """A figure to reach, first and in the end; `most` says that smaller is better."""

    figure: str
    says: str
    first: float
    final: float
    most: bool = True

    def met(self, value: float, bound: float) -> str:
        return "met" if (value <= bound if self.most else value >= bound) else "missed"


GOALS = (
    Goal("cpu_us_per_request", "CPU a request, us", 150, 50),
    Goal("rps_c32", "requests/s at 32 connections", 6_500, 20_000, most=False),
    Goal("cpu_us_per_stream", "CPU a paced 52-event stream, us", 1_900, 1_200),
    Goal("ttfb_added_ms", "added time to first byte, ms", 0.8, 0.25),
    Goal("rss_mb", "peak memory, MB", 150, 90),
)


@dataclass
class Row:
    """What is reported of one target: medians, and in `spread` the least and the greatest sample."""

    had_on: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    not_installed: str | None = None
    n: int = 0
    figures: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(FIGURES))
    spread: dict[str, tuple[float, float] | None] = field(default_factory=lambda: dict.fromkeys(FIGURES))
    latency_ms_c32: dict[str, float | None] = field(default_factory=dict)
    busy_before: float = 0.0
    others: float = 0.0
    errors: int = 0
    failures: list[str] = field(default_factory=list)
    proof: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The figures first, then what is needed to judge them."""
        if self.not_installed:
            return {**self.figures, "n": 0, "not_installed": self.not_installed}
        return {
            **{name: _rounded(value) for name, value in self.figures.items()},
            "n": self.n,
            "spread": {name: ends and [_rounded(end) for end in ends] for name, ends in self.spread.items()},
            "latency_ms_c32": {name: _rounded(value) for name, value in self.latency_ms_c32.items()},
            "errors": self.errors,
            "failures": self.failures,
            "busy_before": self.busy_before,
            "other_work_on_its_core": self.others,
            "had_on": self.had_on,
            "proof": self.proof,
            "versions": self.versions,
        }


def _rounded(value: float | None) -> float | None:
    """Four digits: more would pretend a precision that a shared machine does not have."""
    return None if value is None else float(f"{value:.4g}")


def summarised(row: Row, samples: Sequence[Sample], direct_ttfb_ms: float | None) -> Row:
    """Fills the row from its samples; the added time to first byte is what exceeds the direct median."""
    for name in FIGURES:
        values = _values(samples, name, direct_ttfb_ms)
        row.figures[name] = statistics.median(values) if values else None
        row.spread[name] = (min(values), max(values)) if values else None
    for name in ("p50_ms", "p99_ms"):
        values = _values(samples, name, None)
        row.latency_ms_c32[name.removesuffix("_ms")] = statistics.median(values) if values else None
    row.n = sum(1 for taken in samples if taken.rps_c32 is not None)
    row.errors = sum(taken.errors for taken in samples)
    row.failures = [failure for taken in samples for failure in taken.failures]
    row.proof = [taken.proof for taken in samples if taken.proof]
    row.others = max((taken.others for taken in samples), default=0.0)
    row.busy_before = max((taken.busy_before for taken in samples), default=0.0)
    return row


def _values(samples: Sequence[Sample], name: str, direct_ttfb_ms: float | None) -> list[float]:
    if name == "ttfb_added_ms":
        if direct_ttfb_ms is None:
            return []
        return [taken.ttfb_ms - direct_ttfb_ms for taken in samples if taken.ttfb_ms is not None]
    found: list[float | None] = [getattr(taken, name) for taken in samples]
    return [value for value in found if value is not None]


def markdown(rows: Mapping[str, Row]) -> str:
    """The figures, the ratios, the goals and what each target had on."""
    parts = [_figures(rows), _ratios(rows), _goals(rows), _conditions(rows)]
    return "\n\n".join(part for part in parts if part)


def _figures(rows: Mapping[str, Row]) -> str:
    head = (
        "target",
        "CPU us/request",
        "requests/s c32",
        "p50 / p99 ms c32",
        "CPU us/stream",
        "added TTFB ms",
    )
    lines = [_line(*head, "peak MB", "n", "requests/s from-to", "errors"), "|---|" + "---:|" * 9]
    for name, row in rows.items():
        if row.not_installed:
            lines.append(_line(name, f"not installed: `{row.not_installed}`", *[""] * 8))
            continue
        figure, ends, late = row.figures, row.spread["rps_c32"], row.latency_ms_c32
        lines.append(
            _line(
                name,
                _shown(figure["cpu_us_per_request"]),
                _shown(figure["rps_c32"]),
                f"{_shown(late['p50'], 2)} / {_shown(late['p99'], 2)}",
                _shown(figure["cpu_us_per_stream"]),
                _shown(figure["ttfb_added_ms"], 2),
                _shown(figure["rss_mb"]),
                str(row.n),
                f"{ends[0]:,.0f}-{ends[1]:,.0f}" if ends else "-",
                f"{row.errors}" + (f"; FAILED {len(row.failures)}x" if row.failures else ""),
            )
        )
    return "\n".join(lines)


def _ratios(rows: Mapping[str, Row]) -> str:
    """How many times better each target is: its rate over theirs, their CPU over its own."""
    against = {"litellm": "x LiteLLM", "portkey": "x Portkey", "tensorzero": "x TensorZero", "nginx": "of nginx"}
    kinds = {"rps_c32": "requests/s", "cpu_us_per_request": "CPU/request", "cpu_us_per_stream": "CPU/stream"}
    columns = [(peer, kind) for peer in against if peer in rows and rows[peer].n for kind in kinds]
    compared = {name: row for name, row in rows.items() if row.n and name != "direct"}
    if not columns or not compared:
        return ""
    head = [f"{against[peer]}: {kinds[kind]}" for peer, kind in columns]
    lines = [_line("ratio", *head), "|---|" + "---:|" * len(columns)]
    for name, row in compared.items():
        lines.append(_line(name, *(_ratio(row, rows[peer], kind) for peer, kind in columns)))
    return "\n".join(lines)


def _ratio(row: Row, peer: Row, figure: str) -> str:
    own, other = row.figures[figure], peer.figures[figure]
    if not own or not other:
        return "-"
    return f"{own / other if figure == 'rps_c32' else other / own:.3g}"


def _goals(rows: Mapping[str, Row]) -> str:
    row = rows.get(PROJECT)
    if row is None or not row.n:
        return ""
    lines = [_line("goal", "measured", "first", "", "final", ""), "|---|---:|---:|---|---:|---|"]
    for goal in GOALS:
        value = row.figures[goal.figure]
        sign = "<=" if goal.most else ">="
        marks = ("-", "-") if value is None else (goal.met(value, goal.first), goal.met(value, goal.final))
        first, final = f"{sign} {goal.first:,g}", f"{sign} {goal.final:,g}"
        lines.append(_line(goal.says, _shown(value, 2 if goal.final < 10 else 0), first, marks[0], final, marks[1]))
    return "\n".join(lines)


def _conditions(rows: Mapping[str, Row]) -> str:
    lines = ["What each had on:", ""]
    for name, row in rows.items():
        if row.not_installed:
            lines.append(f"- {name}: not installed: `{row.not_installed}`")
            continue
        versions = ", ".join(f"{package} {version}" for package, version in row.versions.items())
        lines.append(f"- {name}: {row.had_on} ({versions})")
        lines += [f"  - shown: {line}" for line in row.proof[:1]]
        lines += [f"  - FAILED: {line}" for line in dict.fromkeys(row.failures)]
        if row.others > 0.05:
            lines.append(f"  - other work took up to {row.others:.0%} of its core during a sample")
    return "\n".join(lines)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _shown(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
