"""How runs of evaluations are printed."""

from collections.abc import Iterable, Iterator
from types import MappingProxyType

from tidegate.app.evaluating.runs import Found, Tally, counted, short, wilson_95
from tidegate.control.evals.model import Outcome
from tidegate.doors.cli.output import ago, clean, duration_text, print_table, say
from tidegate.kernel.money import usd_text
from tidegate.kernel.plain import count_of, joined

__all__ = ["ENDS", "print_cases", "print_list", "print_run"]

TEXT = 160
ENDS = MappingProxyType(
    {
        "max_cost": "the next call could have cost more than --max-cost allows",
        "cost_unknown": "what an answer costs is not known, so that --max-cost cannot be kept",
        "deadline": "the deadline came first",
        "interrupted": "it was interrupted",
        "failed": "it failed",
    }
)


def print_run(found: Found) -> None:
    """Print what came of a run: its cases, its scores, what it took."""
    manifest, tally = found.manifest, counted(found)
    upstream = f" ({clean(manifest.upstream)})" if manifest.upstream else ""
    model = f" by {clean(manifest.model)}{upstream}" if manifest.prompt else ""
    say(f"{clean(manifest.target)}{model} on {clean(manifest.dataset)}")
    say(_cases(found, tally))
    if tally.scores:
        say()
        print_table(("SCORER", ">MEAN", ">PASSED", ">ERRORS"), _scores(tally), empty="")
        say()
    for code, count in sorted(tally.errors.items(), key=lambda pair: -pair[1]):
        say(f"{clean(code)}: {count_of(count, 'answer')} never came. {clean(tally.messages[code])}")
    if tally.unstable:
        worst = joined([f"{clean(name)} ({flake:.2f})" for name, flake in tally.unstable[:5]])
        say(f"{count_of(len(tally.unstable), 'case')} changed between repeats, by flake score: {worst}.")
    say(_took(found, tally))
    say(f"Results: {found.folder}")


def print_list(found: Iterable[Found]) -> None:
    """Print runs, a line each."""
    print_table(
        ("RUN", "STARTED", "TARGET", ">CASES", "STATE"),
        (
            (
                short(one.manifest),
                ago(one.manifest.started_at_ms),
                one.manifest.target,
                one.manifest.cases,
                _state(one),
            )
            for one in found
        ),
        empty="Nothing was evaluated here yet: `tidegate eval run PROMPT`.",
    )


def print_cases(outcomes: Iterable[Outcome]) -> None:
    """Print answers, a block each."""
    for one in outcomes:
        verdict = one.error or {True: "passed", False: "FAILED", None: "not judged"}[one.passed]
        repeat = f" (repeat {one.repeat})" if one.repeat else ""
        say(f"{clean(one.case_id)}{repeat}: {clean(verdict)}")
        say(f"  {_short(one.error_message if one.error else one.text or '')}")
        for name, score in one.scores.items():
            value = score.error or ("-" if score.value is None else f"{score.value:.4g}")
            mark = {True: ", passed", False: ", FAILED", None: ""}[score.passed]
            say(f"  {clean(name)}: {clean(value)}{mark}{f': {_short(score.why)}' if score.why else ''}")


def _cases(found: Found, tally: Tally) -> str:
    total, open_cases = found.manifest.cases, tally.cases - tally.judged
    done = count_of(tally.cases, "case") if tally.cases == total else f"{tally.cases:,} of {count_of(total, 'case')}"
    parts = [done]
    if tally.judged:
        low, high = wilson_95(tally.passed, tally.judged)
        share = f"{tally.passed / tally.judged:.1%}, 95% interval {low:.1%} to {high:.1%}"
        parts.append(f"{tally.passed:,} passed ({share}), {tally.failed:,} failed")
    if tally.errored:
        parts.append(f"{tally.errored:,} without an answer")
    if open_cases > tally.errored:
        parts.append(f"{open_cases - tally.errored:,} not judged")
    return f"{parts[0]}: {', '.join(parts[1:])}." if parts[1:] else f"{done}."


def _scores(tally: Tally) -> Iterator[tuple[object, ...]]:
    for name, one in tally.scores.items():
        mean = "-" if one.mean is None else f"{one.mean:.4g}"
        yield name, mean, f"{one.passed} of {one.judged}" if one.judged else "-", one.errors or "-"


def _took(found: Found, tally: Tally) -> str:
    manifest = found.manifest
    parts = [f"{count_of(tally.answers, 'answer')}"]
    if tally.cached:
        parts[0] += f", {tally.cached:,} of them cached"
    if tally.answers and manifest.prompt is not None:
        parts.append(f"{tally.input_tokens:,} tokens in, {tally.output_tokens:,} out")
    if tally.answers:
        parts.append(f"{duration_text(tally.latency_ms / tally.answers)} an answer")
    parts.append(_cost(tally))
    if manifest.ended_at_ms is not None:
        parts.append(f"{duration_text(manifest.ended_at_ms - manifest.started_at_ms)} from start to end")
    return "; ".join(parts) + "."


def _cost(tally: Tally) -> str:
    """What was paid, and what it would have been without a cache."""
    known = tally.cost_known
    if not known and not tally.whole_nano_usd:
        return "cost unknown"
    paid = f"{usd_text(tally.now_nano_usd)} paid"
    if tally.cached:
        paid += f" ({usd_text(tally.whole_nano_usd)} without the cache)"
    return paid if known else f"{paid}, not counting answers whose price is unknown"


def _state(found: Found) -> str:
    manifest = found.manifest
    if found.live:
        return "running"
    if manifest.state == "complete":
        return "complete"
    return f"partial: {manifest.why}" if manifest.state == "partial" else "broke off"


def _short(text: str) -> str:
    flat = " ".join(clean(text.replace("\n", " ")).split())
    return flat if len(flat) <= TEXT else f"{flat[:TEXT]} ..."
