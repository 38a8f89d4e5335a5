"""`tidegate stats srm|bayes`: whether units were split as planned, and what is believed of each arm."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.doors.cli.figures import count_text, level_text, p_text, percent_text, points_text, span_text
from tidegate.doors.cli.options import Json, group
from tidegate.doors.cli.output import print_json, print_table, say
from tidegate.doors.cli.samples import Source, arms_in, heard, numbers, proportion
from tidegate.kernel.errors import Invalid
from tidegate.stats.checks import BadSample, probability
from tidegate.stats.posteriors import BetaBernoulli, effect, expected_loss, probability_best
from tidegate.stats.splits import srm_test

__all__ = ["app"]

app = group("Splits and beliefs.")

SPLIT = "Write the units of each arm, such as 5010/4990."
WEIGHTS = "Write a weight for each arm, such as 50/50 or 90/5/5."
PRIOR = "Write the alpha and beta of a Beta distribution, such as 1/1."


@app.command()
def srm(
    units: Annotated[str | None, typer.Argument(metavar="N/N", help="The units of each arm: 5010/4990.")] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="W/W", help="The planned split; equal unless said.")
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="A p-value below it shows that the split is broken.")] = 0.001,
    file: Annotated[Path | None, typer.Option("--file", metavar="FILE", help="Rows of a CSV or JSONL file.")] = None,
    arm: Annotated[str | None, typer.Option("--arm", metavar="COLUMN", help="The column that names the arm.")] = None,
    unit: Annotated[
        str | None, typer.Option("--unit", metavar="COLUMN", help="Count its different values, not the rows.")
    ] = None,
    control: Annotated[
        str | None, typer.Option("--control", metavar="ARM", help="The arm of the first weight.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a split against its plan (sample ratio mismatch). The file's arms: the control, then as they come."""
    names, seen = _counted(units, file, arm, unit, control)
    plan = [1.0] * len(seen) if weights is None else numbers(weights, None, WEIGHTS)
    with heard(f"{SPLIT} {WEIGHTS}"):
        limit = float(probability("alpha", alpha))
        split = srm_test(seen, plan)
    p = float(split.p_value)
    broken = p < limit
    rows: list[dict[str, Any]] = [
        {"name": name, "n": int(count), "expected_n": float(expected), "weight": weight / sum(plan)}
        for name, count, expected, weight in zip(names, seen, split.expected, plan, strict=True)
    ]
    answer = (
        f"The split is not as planned; {p_text(p)}: below {limit:g}. "
        "Trust no result before the assignment or the logging is mended."
        if broken
        else f"Nothing speaks against the split; {p_text(p)}, which is not below {limit:g}."
    )
    found: dict[str, Any] = {"answer": answer, "mismatch": broken, "p_value": p, "alpha": limit}
    found |= {"chi_square": float(split.statistic), "df": split.df, "exact": bool(split.exact), "arms": rows}
    if as_json:
        print_json(found)
        return
    say(answer)
    say()
    cells = [
        (row["name"], count_text(row["n"]), f"{row['expected_n']:,.1f}", percent_text(row["n"] / sum(seen)))
        for row in rows
    ]
    print_table(("ARM", ">UNITS", ">EXPECTED", ">SHARE"), cells, empty="")


@app.command()
def bayes(
    arms: Annotated[list[str], typer.Argument(metavar="X/N X/N...", help="Two or more of X/N: 90/1000.")],
    prior: Annotated[str, typer.Option("--prior", metavar="A/B", help="The Beta distribution at first.")] = "1/1",
    level: Annotated[float, typer.Option("--level", help="The credible intervals' level.")] = 0.95,
    lowest: Annotated[bool, typer.Option("--lowest", help="The lowest rate is the best.")] = False,
    as_json: Json = False,
) -> None:
    """Compare rates by what is believed of them: probability to be best, expected loss, credible intervals."""
    with heard(f"Name at least two arms as X/N, such as 90/1000 120/1000. {PRIOR}"):
        before = BetaBernoulli(*numbers(prior, 2, PRIOR))
        seen = [proportion(arm) for arm in arms]
        beliefs = [before.after(one.successes, one.n) for one in seen]
        chances, losses = probability_best(beliefs, lowest=lowest), expected_loss(beliefs, lowest=lowest)
        rows: list[dict[str, Any]] = []
        for place, (one, belief) in enumerate(zip(seen, beliefs, strict=True)):
            within = belief.interval(level)
            apart = effect(beliefs[0], belief, level=level) if place else None
            rows.append(
                {
                    "arm": place + 1,
                    "successes": int(one.successes),
                    "n": int(one.n),
                    "rate_mean": float(belief.mean),
                    "rate_low": float(within.low),
                    "rate_high": float(within.high),
                    "probability_best": float(chances[place]),
                    "expected_loss_rate": float(losses[place]),
                    "difference_median": None if apart is None else float(apart.median),
                    "difference_low": None if apart is None else float(apart.interval.low),
                    "difference_high": None if apart is None else float(apart.interval.high),
                }
            )
    best = max(rows, key=lambda row: row["probability_best"])
    answer = (
        f"Arm {best['arm']} is the best with a probability of {percent_text(best['probability_best'])}; "
        f"choosing it is expected to cost {points_text(best['expected_loss_rate'])} points."
    )
    if as_json:
        print_json({"answer": answer, "best_arm": best["arm"], "level": level, "lowest": lowest, "arms": rows})
        return
    say(answer)
    say("It is no rule for when to stop: for looks at any time see `tidegate stats sequential`.")
    say()
    head = ("ARM", ">UNITS", ">MEAN", f">{level_text(level)} INTERVAL", ">P(BEST)", ">LOSS", ">MINUS ARM 1")
    print_table(head, map(_belief_row, rows), empty="")


def _belief_row(row: dict[str, Any]) -> tuple[str, ...]:
    apart = "-"
    if row["difference_low"] is not None:
        apart = span_text(points_text(row["difference_low"]), points_text(row["difference_high"]))
    return (
        str(row["arm"]),
        f"{row['successes']:,}/{row['n']:,}",
        percent_text(row["rate_mean"]),
        span_text(percent_text(row["rate_low"]), percent_text(row["rate_high"])),
        percent_text(row["probability_best"]),
        points_text(row["expected_loss_rate"]),
        apart,
    )


def _counted(
    units: str | None, file: Path | None, arm: str | None, unit: str | None, control: str | None
) -> tuple[list[str], list[float]]:
    """The arms' names and units, from the argument or from the file; raises Invalid."""
    if (units is None) == (file is None):
        said = "A split comes from N/N or from --file, one of them."
        raise Invalid(said, mend=f"{SPLIT} Or name a file: --file FILE --arm COLUMN.")
    if units is not None:
        seen = numbers(units, None, SPLIT)
        return [str(place + 1) for place in range(len(seen))], seen
    if arm is None or file is None:
        raise Invalid("--file needs the column of the arm.", mend="Add --arm COLUMN.")
    with heard(SPLIT):
        arms = arms_in(Source(file, arm, None, unit, control))
        if len(arms) < 2:
            raise BadSample(f"column {arm!r} must name at least two arms")
    return [one.name for one in arms], [float(len(set(one.units)) if unit else one.rows) for one in arms]
