"""`tidegate stats sequential`: two rates watched window by window, for as long as one likes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.doors.cli.options import Json, group
from tidegate.doors.cli.output import print_json, print_table, say
from tidegate.doors.cli.samples import heard, numbers, rows_in
from tidegate.kernel.errors import Invalid, NotFound
from tidegate.kernel.figures import count_text, number_text, p_text, span_text
from tidegate.stats.checks import probability
from tidegate.stats.sequential.rates import RateProcess, RateState, RateWindow, rate_ratio_interval

__all__ = ["app"]

app = group("Looks at any time.")

COLUMNS = ("events_control", "units_control", "events_treatment", "units_treatment")
WINDOW = "Write events/units of the control, then of the treatment: 9/950:1/50."


@app.command()
def sequential(
    windows: Annotated[
        list[str] | None, typer.Argument(metavar="X/N:X/N...", help="A window each: control, then treatment.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help=f"A CSV, JSONL or Parquet file: {', '.join(COLUMNS)}.")
    ] = None,
    ratio: Annotated[float, typer.Option("--ratio", help="Harm is a rate above so many times the control's.")] = 1.0,
    margin: Annotated[float, typer.Option("--margin", help="No harm is a rate below so many times.")] = 1.5,
    alpha: Annotated[float, typer.Option("--alpha", help="The error of each of the two tests.")] = 0.05,
    as_json: Json = False,
) -> None:
    """Say at any look whether a rate of failures has risen, or surely has not; each window once, complete."""
    if bool(windows) == (file is not None):
        said = "Windows come from arguments or from --file, one of them."
        raise Invalid(said, mend=f"{WINDOW} Or name a file: --file FILE.")
    given = [_window(text) for text in windows or ()] if file is None else _rows(file)
    with heard(f"{WINDOW} A ratio and a margin are above 0, alpha is between 0 and 1."):
        limit = float(probability("alpha", alpha))
        harm, safe = RateProcess(ratio), RateProcess(margin, non_inferiority=True)
        risen, kept = _followed(harm, given), _followed(safe, given)
        columns = zip(*given, strict=True)
        within = rate_ratio_interval(RateWindow(*(list(column) for column in columns)), level=1 - limit)
    found: dict[str, Any] = {
        "answer": "",
        "may_stop": bool(risen.rejects(limit) or kept.rejects(limit)),
        "windows": len(given),
        "alpha": limit,
        "rate_ratio": float(risen.rate_ratio),
        "rate_ratio_low": float(within.low),
        "rate_ratio_high": float(within.high),
        "harm": _said(risen, limit, ratio),
        "non_inferiority": _said(kept, limit, margin),
    }
    found |= {name: int(sum(column)) for name, column in zip(COLUMNS, zip(*given, strict=True), strict=True)}
    found["answer"] = _answer(found)
    if as_json:
        print_json(found)
        return
    _show(found)


def _show(found: dict[str, Any]) -> None:
    say(found["answer"])
    ends = span_text(number_text(found["rate_ratio_low"]), number_text(found["rate_ratio_high"]))
    say(f"Rate ratio {number_text(found['rate_ratio'])} ({ends}), after {count_text(found['windows'])} windows.")
    say()
    rows = []
    for name, what in (("harm", "above"), ("non_inferiority", "below")):
        one = found[name]
        told = "shown" if one["shown"] else "not shown"
        question = f"rate {what} {_limit(one)}"
        rows.append((question, told, number_text(one["e_value"]), p_text(one["always_valid_p"])))
    print_table(("QUESTION", "ANSWER", ">E-VALUE NOW", ">P AT ANY TIME"), rows, empty="")


def _followed(process: RateProcess, windows: list[tuple[float, ...]]) -> RateState:
    state = process.start()
    for window in windows:
        state = process.update(state, RateWindow(*window))
    return state


def _said(state: RateState, alpha: float, limit: float) -> dict[str, Any]:
    shown = bool(state.rejects(alpha))
    return {
        "limit_ratio": limit,
        "shown": shown,
        "e_value": float(state.e_value),
        "always_valid_p": float(state.p_value),
    }


def _answer(found: dict[str, Any]) -> str:
    """The verdict, in a sentence."""
    harm, safe = found["harm"], found["non_inferiority"]
    above, below = f"above {_limit(harm)}", f"below {_limit(safe)}"
    p = p_text(min(harm["always_valid_p"], safe["always_valid_p"]))
    if harm["shown"] and safe["shown"]:
        return f"You may stop: the second's rate is {above}, and {below}; {p} at any time."
    if harm["shown"]:
        return f"You may stop: the second's rate is {above}; {p} at any time."
    if safe["shown"]:
        return f"You may stop: the second's rate is {below}; {p} at any time."
    return f"Go on: neither is shown, that the second's rate is {above} or that it is {below}."


def _limit(one: dict[str, Any]) -> str:
    times = one["limit_ratio"]
    return "the control's" if times == 1 else f"{times:g} times the control's"


def _window(text: str) -> tuple[float, ...]:
    parts = text.split(":")
    if len(parts) != 2:
        raise Invalid(f"{text!r} is no window.", mend=WINDOW, code="bad_sample")
    control, treatment = (numbers(part, 2, WINDOW) for part in parts)
    return _checked((*control, *treatment), repr(text))


def _rows(file: Path) -> list[tuple[float, ...]]:
    found = []
    for place, row in enumerate(rows_in(file, COLUMNS), start=1):
        found.append(_checked(tuple(_cell(file, row, place, column) for column in COLUMNS), f"{file}: row {place}"))
    return found


def _cell(file: Path, row: Mapping[str, Any], place: int, column: str) -> float:
    if column not in row:
        raise NotFound("column", column, mend=f"{file} has: {', '.join(map(str, row))}.")
    try:
        return float(row[column])
    except (TypeError, ValueError) as error:
        said = f"{file}: row {place} has {str(row[column])!r} as {column}, which is no number."
        raise Invalid(said, mend="Write whole numbers.", code="bad_sample") from error


def _checked(window: tuple[float, ...], what: str) -> tuple[float, ...]:
    """The window itself; raises Invalid for what cannot be, by the window's own name."""
    with heard(WINDOW, what):
        RateWindow(*window)
    return window
