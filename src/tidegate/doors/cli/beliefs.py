"""`tidegate stats bayes`: what is believed of each arm's rate or mean, and how probable it is to be the best."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.doors.cli.options import Json, group
from tidegate.doors.cli.output import clean, print_json, print_table, say
from tidegate.doors.cli.samples import Arm, Source, arms_in, heard, numbers, proportion, sample
from tidegate.kernel.errors import Invalid
from tidegate.kernel.figures import count_text, level_text, number_text, percent_text, points_text, span_text
from tidegate.stats.beliefs import Posterior
from tidegate.stats.checks import BadSample
from tidegate.stats.posteriors import (
    BetaBernoulli,
    NormalNormal,
    NormalPrior,
    effect,
    expected_loss,
    probability_best,
)
from tidegate.stats.ratios import Clusters
from tidegate.stats.results import Proportion, Sample

__all__ = ["app"]

app = group("Beliefs.")

ARMS = "Name at least two arms, as X/N, such as 90/1000, or as MEAN/SD/N, such as 10.2/3.1/400."
RATE_PRIOR = "Write the alpha and beta of a Beta distribution, such as 1/1."
MEAN_PRIOR = "Write what was believed before as MEAN/SD/WEIGHT/DF: so many values' worth of a mean and of a spread."


@dataclass(frozen=True, slots=True)
class Seen:
    """One arm: what is believed of it, and what was seen, as JSON has it."""

    belief: Posterior
    told: dict[str, Any]


@app.command()
def bayes(
    arms: Annotated[
        list[str] | None, typer.Argument(metavar="ARM ARM...", help="Two or more of X/N, or of MEAN/SD/N.")
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option("--prior", metavar="A/B", help="Beta at first (1/1 unless said); for means MEAN/SD/WEIGHT/DF."),
    ] = None,
    level: Annotated[float, typer.Option("--level", help="The credible intervals' level.")] = 0.95,
    lowest: Annotated[bool, typer.Option("--lowest", help="The lowest rate or mean is the best.")] = False,
    means: Annotated[bool, typer.Option("--means", help="The file's values are numbers, not yes and no.")] = False,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Rows from a CSV, JSONL or Parquet file.")
    ] = None,
    arm: Annotated[str | None, typer.Option("--arm", metavar="COLUMN", help="The column that names the arm.")] = None,
    metric: Annotated[str | None, typer.Option("--metric", metavar="COLUMN", help="The column with the value.")] = None,
    unit: Annotated[
        str | None,
        typer.Option("--unit", metavar="COLUMN", help="The column that names what was assigned: user, session."),
    ] = None,
    control: Annotated[
        str | None, typer.Option("--control", metavar="ARM", help="The first arm; else `control`, else the file's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare rates or means by what is believed of them: probability to be best, expected loss, credible intervals."""
    source = _source(arms, means, Source(file or Path(), arm or "", metric, unit, control), file)
    with heard(ARMS):
        seen = _of_arguments(arms or (), prior) if source is None else _of_file(source, means, prior)
        found = _compared(seen, level, lowest)
    rates = "rate_mean" in found["arms"][0]
    best = found["arms"][found["best_arm"] - 1]
    who = f"Arm {best['arm']}" if source is None else clean(best["name"])
    cost = f"{points_text(best['expected_loss_rate'])} points" if rates else number_text(best["expected_loss"])
    chance = percent_text(best["probability_best"])
    found["answer"] = f"{who} is the best with a probability of {chance}; choosing it is expected to cost {cost}."
    if as_json:
        print_json(found)
        return
    say(found["answer"])
    say("It is no rule for when to stop: for looks at any time see `tidegate stats sequential`.")
    left_out = sum(one.get("rows_left_out", 0) for one in found["arms"])
    if left_out:
        say(f"Rows without a value, left out: {count_text(left_out)}.")
    say()
    wide = f">{level_text(level)} INTERVAL"
    first = "MINUS ARM 1" if source is None else f"MINUS {clean(found['arms'][0]['name']).upper()}"
    head = ("ARM", ">UNITS", ">MEAN", wide, ">P(BEST)", ">LOSS", f">{first}")
    print_table(head, (_row(one, rates) for one in found["arms"]), empty="")


def _source(arms: list[str] | None, means: bool, named: Source, file: Path | None) -> Source | None:
    """The file and its columns, or None where arguments say it all; raises Invalid for neither and for both."""
    if file is None:
        if means or any((named.arm, named.metric, named.unit, named.control)):
            said = "--means, --arm, --metric, --unit and --control are of a file."
            raise Invalid(said, mend="Name it: --file FILE.")
        if not arms:
            raise Invalid("Arms come from arguments or from --file.", mend=ARMS)
        return None
    if arms:
        raise Invalid("Arms come from arguments or from --file, not from both.", mend="Leave one out.")
    if not named.arm or named.metric is None:
        said = "--file needs the columns of the arm and of the value."
        raise Invalid(said, mend="Add --arm COLUMN --metric COLUMN.")
    return named


def _of_arguments(arms: Sequence[str], prior: str | None) -> list[Seen]:
    """Rates of X/N, or means of MEAN/SD/N: all of one kind; raises Invalid."""
    sizes = {arm.count("/") for arm in arms}
    if sizes == {2}:
        return [_mean(sample(arm), prior, str(place)) for place, arm in enumerate(arms, start=1)]
    if len(sizes) > 1 and 2 in sizes:
        mend = "Write all as 90/1000, or all as 10.2/3.1/400."
        raise Invalid("Rates and means are not compared with each other.", mend=mend)
    return [_rate(proportion(arm), prior, str(place)) for place, arm in enumerate(arms, start=1)]


def _of_file(source: Source, means: bool, prior: str | None) -> list[Seen]:
    found = []
    for arm in arms_in(source, rates=not means):
        least = 2 if means or source.unit else 1
        if len(set(arm.units) if source.unit else arm.values) < least:
            raise BadSample(f"arm {arm.name!r} must have at least {least} {'units' if source.unit else 'values'}")
        if source.unit:
            if prior is not None:
                raise Invalid("--prior and --unit do not go together.", mend="Leave one out.")
            seen = _by_unit(arm, means)
        elif means:
            seen = _mean(Sample.of(arm.values), prior, arm.name)
        else:
            seen = _rate(Proportion(sum(arm.values), len(arm.values)), prior, arm.name)
        found.append(Seen(seen.belief, seen.told | {"rows_left_out": arm.left_out}))
    return found


def _rate(seen: Proportion, prior: str | None, name: str) -> Seen:
    before = BetaBernoulli(*numbers(prior or "1/1", 2, RATE_PRIOR))
    return Seen(
        before.after(seen.successes, seen.n), {"name": name, "successes": int(seen.successes), "n": int(seen.n)}
    )


def _mean(seen: Sample, prior: str | None, name: str) -> Seen:
    before = None if prior is None else NormalPrior(*numbers(prior, 4, MEAN_PRIOR))
    told = {"name": name, "n": int(seen.n), "sample_mean": float(seen.mean), "sample_sd": float(seen.sd)}
    return Seen(NormalNormal.of(seen, before), told)


def _by_unit(arm: Arm, means: bool) -> Seen:
    """The rate or mean a row, believed by the units that were assigned: rows of one unit are alike."""
    told = {"name": arm.name, "n": len(set(arm.units)), "rows": len(arm.values), "of_rates": not means}
    return Seen(NormalNormal.of_clusters(Clusters.of(*arm.totals())), told)


def _compared(seen: list[Seen], level: float, lowest: bool) -> dict[str, Any]:
    """What is believed of every arm, and of its difference from the first one."""
    beliefs = [one.belief for one in seen]
    chances, losses = probability_best(beliefs, lowest=lowest), expected_loss(beliefs, lowest=lowest)
    rates = isinstance(beliefs[0], BetaBernoulli) or seen[0].told.get("of_rates", False)
    kind, lost = ("rate", "expected_loss_rate") if rates else ("mean", "expected_loss")
    rows: list[dict[str, Any]] = []
    for place, one in enumerate(seen):
        within = one.belief.interval(level)
        apart = effect(beliefs[0], one.belief, level=level) if place else None
        told = {name: value for name, value in one.told.items() if name != "of_rates"}
        rows.append(
            {"arm": place + 1}
            | told
            | {
                f"{kind}_mean" if rates else "mean": float(one.belief.mean),
                f"{kind}_low": float(within.low),
                f"{kind}_high": float(within.high),
                "probability_best": float(chances[place]),
                lost: float(losses[place]),
                "difference_median": None if apart is None else float(apart.median),
                "difference_low": None if apart is None else float(apart.interval.low),
                "difference_high": None if apart is None else float(apart.interval.high),
            }
        )
    best = max(rows, key=lambda row: row["probability_best"])
    return {"answer": "", "best_arm": best["arm"], "level": level, "lowest": lowest, "arms": rows}


def _row(one: dict[str, Any], rates: bool) -> tuple[str, ...]:
    write, kind = (percent_text, "rate") if rates else (number_text, "mean")
    differ = points_text if rates else number_text
    apart = "-"
    if one["difference_low"] is not None:
        apart = span_text(differ(one["difference_low"]), differ(one["difference_high"]))
    return (
        one["name"],
        f"{one['successes']:,}/{one['n']:,}" if "successes" in one else count_text(one["n"]),
        write(one["rate_mean"] if rates else one["mean"]),
        span_text(write(one[f"{kind}_low"]), write(one[f"{kind}_high"])),
        percent_text(one["probability_best"]),
        points_text(one["expected_loss_rate"]) if rates else number_text(one["expected_loss"]),
        apart,
    )
