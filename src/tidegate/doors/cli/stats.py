"""`tidegate stats`: a calculator over `tidegate.stats`: first the answer in a sentence, then the evidence."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tidegate.doors.cli import beliefs, looks, margins, sizing, splitting
from tidegate.doors.cli.options import Json, group
from tidegate.doors.cli.output import clean, print_json, print_table, say
from tidegate.doors.cli.samples import COUNTS, MEANS, Arm, Source, heard, proportion, sample, two_arms
from tidegate.kernel.errors import Invalid
from tidegate.kernel.figures import count_text, level_text, number_text, p_text, percent_text, points_text, span_text
from tidegate.stats.checks import BadSample, probability
from tidegate.stats.means import welch
from tidegate.stats.proportions import fisher_exact, wilson, z_test
from tidegate.stats.ratios import Clusters, delta_ratio
from tidegate.stats.results import Proportion, Sample, Test

__all__ = ["app"]

app = group("Compute tests, intervals and sizes, without a server or a workspace.")
app.add_typer(splitting.app)
app.add_typer(beliefs.app)
app.add_typer(sizing.app)
app.add_typer(margins.app)
app.add_typer(looks.app)

Word = str | None
FEW = 5
"""With fewer successes or failures than this in an arm, Fisher's exact test decides."""

Alternative = Annotated[
    str, typer.Option("--alternative", metavar="SIDE", help="What is looked for: two-sided, greater or less.")
]
Level = Annotated[float | None, typer.Option("--level", help="The interval's level; 1 - alpha unless said.")]
Alpha = Annotated[float, typer.Option("--alpha", help="A p-value below it shows a difference.")]
File = Annotated[Path | None, typer.Option("--file", metavar="FILE", help="Rows from a CSV, JSONL or Parquet file.")]
ArmColumn = Annotated[str | None, typer.Option("--arm", metavar="COLUMN", help="The column that names the arm.")]
Metric = Annotated[str | None, typer.Option("--metric", metavar="COLUMN", help="The column with the value.")]
Unit = Annotated[
    str | None, typer.Option("--unit", metavar="COLUMN", help="The column that names what was assigned: user, session.")
]
Control = Annotated[
    str | None, typer.Option("--control", metavar="ARM", help="The control; else `control`, else the file's first arm.")
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a comparison is asked to say."""

    alternative: str
    level: float
    alpha: float

    @classmethod
    def of(cls, alternative: str, level: float | None, alpha: float) -> "Asked":
        """With the level that belongs to alpha where none is named; raises BadSample."""
        found = float(probability("alpha", alpha))
        return cls(alternative, 1 - found if level is None else level, found)


@app.command()
def proportions(
    arms: Annotated[list[str] | None, typer.Argument(metavar="CONTROL TREATMENT", help="Two of X/N: 90/1000.")] = None,
    alternative: Alternative = "two-sided",
    level: Level = None,
    alpha: Alpha = 0.05,
    unpooled: Annotated[bool, typer.Option("--unpooled", help="Wald's test, with a variance for each arm.")] = False,
    file: File = None,
    arm: ArmColumn = None,
    metric: Metric = None,
    unit: Unit = None,
    control: Control = None,
    as_json: Json = False,
) -> None:
    """Compare two rates: successes out of units, or a column of 0 and 1."""
    with heard("See `tidegate stats proportions --help`."):
        asked = Asked.of(alternative, level, alpha)
        source = _source(arms, (file, arm, metric, unit, control), COUNTS)
        if source is None:
            first, second = map(proportion, arms or ())
            found = _rates(first, second, asked, unpooled)
        else:
            pair = two_arms(source, rates=True)
            if source.unit is None:
                found = _rates(_proportion(pair[0]), _proportion(pair[1]), asked, unpooled)
            else:
                found = _by_unit(pair, asked, "rate")
            _named(found, pair)
        _show(found, asked, as_json, rates=True)


@app.command()
def means(
    arms: Annotated[
        list[str] | None, typer.Argument(metavar="CONTROL TREATMENT", help="Two of MEAN/SD/N: 10.2/3.1/400.")
    ] = None,
    alternative: Alternative = "two-sided",
    level: Level = None,
    alpha: Alpha = 0.05,
    file: File = None,
    arm: ArmColumn = None,
    metric: Metric = None,
    unit: Unit = None,
    control: Control = None,
    as_json: Json = False,
) -> None:
    """Compare two means by Welch's t-test: mean, standard deviation and units, or a column of numbers."""
    with heard("See `tidegate stats means --help`."):
        asked = Asked.of(alternative, level, alpha)
        source = _source(arms, (file, arm, metric, unit, control), MEANS)
        if source is None:
            first, second = map(sample, arms or ())
            found = _means(first, second, asked)
        else:
            pair = two_arms(source)
            found = _by_unit(pair, asked, "mean") if source.unit else _means(_sample(pair[0]), _sample(pair[1]), asked)
            _named(found, pair)
        _show(found, asked, as_json, rates=False)


def _source(arms: list[str] | None, named: tuple[Path | None, Word, Word, Word, Word], mend: str) -> Source | None:
    """The file and its columns, or None where two arguments say it all; raises Invalid for neither and for both."""
    file, arm, metric, unit, control = named
    if file is None:
        if any((arm, metric, unit, control)):
            said = "--arm, --metric, --unit and --control are of a file."
            raise Invalid(said, mend="Name it: --file FILE.")
        if len(arms or ()) != 2:
            said = f"Two arms are compared, the control first; {len(arms or ())} came."
            raise Invalid(said, mend=f"{mend} Or name a file: --file FILE --arm COLUMN --metric COLUMN.")
        return None
    if arms:
        raise Invalid("Arms come from arguments or from --file, not from both.", mend="Leave one out.")
    if arm is None or metric is None:
        said = "--file needs the columns of the arm and of the value."
        raise Invalid(said, mend="Add --arm COLUMN --metric COLUMN.")
    return Source(file, arm, metric, unit, control)


def _rates(control: Proportion, treatment: Proportion, asked: Asked, unpooled: bool) -> dict[str, Any]:
    ways = {"alternative": asked.alternative, "level": asked.level}
    test = z_test(control, treatment, pooled=not unpooled, alternative=asked.alternative, level=asked.level)
    sides = (control.successes, control.n - control.successes, treatment.successes, treatment.n - treatment.successes)
    few = min(float(side) for side in sides) < FEW
    exact = fisher_exact(control, treatment, alternative=asked.alternative, level=asked.level) if few else None
    found = _tested(exact or test, asked) | ways
    for name, arm in (("control", control), ("treatment", treatment)):
        around = wilson(arm, level=asked.level)
        found[name] = {
            "name": name,
            "successes": int(arm.successes),
            "n": int(arm.n),
            "rate": float(arm.rate),
            "rate_low": float(around.low),
            "rate_high": float(around.high),
        }
    found["tests"] = [_evidence(one) for one in (test, exact) if one is not None]
    return found


def _means(control: Sample, treatment: Sample, asked: Asked) -> dict[str, Any]:
    test = welch(control, treatment, alternative=asked.alternative, level=asked.level)
    found = _tested(test, asked)
    for name, arm in (("control", control), ("treatment", treatment)):
        found[name] = {"name": name, "mean": float(arm.mean), "sd": float(arm.sd), "n": int(arm.n)}
    found["tests"] = [_evidence(test)]
    return found


def _by_unit(pair: tuple[Arm, Arm], asked: Asked, kind: str) -> dict[str, Any]:
    """The rate or mean a row, by the units that were assigned: rows of one unit are alike."""
    clusters = []
    for arm in pair:
        if len(set(arm.units)) < 2:
            raise BadSample(f"arm {arm.name!r} must have at least two units")
        clusters.append(Clusters.of(*arm.totals()))
    test = delta_ratio(clusters[0], clusters[1], alternative=asked.alternative, level=asked.level)
    found = _tested(test, asked)
    for name, arm in zip(("control", "treatment"), pair, strict=True):
        value = sum(arm.values) / len(arm.values)
        found[name] = {"name": name, kind: value, "n": len(set(arm.units)), "rows": len(arm.values)}
    found["tests"] = [_evidence(test)]
    return found


def _proportion(arm: Arm) -> Proportion:
    if not arm.values:
        raise BadSample(f"arm {arm.name!r} must have at least one value")
    return Proportion(sum(arm.values), len(arm.values))


def _sample(arm: Arm) -> Sample:
    if len(arm.values) < 2:
        raise BadSample(f"arm {arm.name!r} must have at least two values")
    return Sample.of(arm.values)


def _named(found: dict[str, Any], pair: tuple[Arm, Arm]) -> None:
    """Add the arms' own names, and how many rows had no value."""
    for name, arm in zip(("control", "treatment"), pair, strict=True):
        found[name] |= {"name": arm.name, "rows_left_out": arm.left_out}


def _tested(test: Test, asked: Asked) -> dict[str, Any]:
    return {
        "answer": "",
        "difference": float(test.effect),
        "difference_low": float(test.interval.low),
        "difference_high": float(test.interval.high),
        "level": asked.level,
        "p_value": float(test.p_value),
        "alpha": asked.alpha,
        "alternative": asked.alternative,
        "differs": bool(test.p_value < asked.alpha),
        "method": test.method,
    }


def _evidence(test: Test) -> dict[str, Any]:
    """One row of evidence; what is infinite or unknown is null in JSON."""
    return {
        "method": test.method,
        "difference_low": float(test.interval.low),
        "difference_high": float(test.interval.high),
        "statistic": float(test.statistic),
        "df": None if test.df is None else float(test.df),
        "p_value": float(test.p_value),
    }


def _show(found: dict[str, Any], asked: Asked, as_json: bool, *, rates: bool) -> None:
    found["answer"] = _answer(found, asked, rates)
    if as_json:
        print_json(found)
        return
    say(found["answer"])
    left_out = sum(found[arm].get("rows_left_out", 0) for arm in ("control", "treatment"))
    if left_out:
        say(f"Rows without a value, left out: {count_text(left_out)}.")
    say()
    wide = f"{level_text(asked.level)} INTERVAL"
    print_table(("ARM", ">UNITS", ">RATE" if rates else ">MEAN", ">SPREAD"), map(_arm_row, _arms(found)), empty="")
    say()
    write = points_text if rates else number_text
    rows = []
    for one in found["tests"]:
        ends = span_text(write(one["difference_low"]), write(one["difference_high"]))
        rows.append((one["method"], number_text(one["statistic"]), p_text(one["p_value"]), ends))
    print_table(("METHOD", ">STATISTIC", ">P", f">{wide}"), rows, empty="")


def _arms(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [found["control"], found["treatment"]]


def _arm_row(arm: dict[str, Any]) -> tuple[str, ...]:
    if "rows" in arm:
        value = percent_text(arm["rate"]) if "rate" in arm else number_text(arm["mean"])
        return (arm["name"], count_text(arm["n"]), value, f"{count_text(arm['rows'])} rows")
    if "rate" in arm:
        spread = span_text(percent_text(arm["rate_low"]), percent_text(arm["rate_high"]))
        return (arm["name"], f"{arm['successes']:,}/{arm['n']:,}", percent_text(arm["rate"]), spread)
    return (arm["name"], count_text(arm["n"]), number_text(arm["mean"]), f"sd {number_text(arm['sd'])}")


def _answer(found: dict[str, Any], asked: Asked, rates: bool) -> str:
    """The verdict, in a sentence."""
    name = clean(found["treatment"]["name"])
    who = "the second" if name == "treatment" else name
    by, low, high = found["difference"], found["difference_low"], found["difference_high"]
    if by < 0:
        by, low, high = -by, -high, -low
    write = points_text if rates else number_text
    unit = " points" if rates else ""
    way = "lower" if found["difference"] < 0 else "higher"
    if found["difference"] == 0:
        none = f"{span_text(write(low), write(high))}{unit}"
        return f"No difference: {who} and the control are equal ({none}); {p_text(found['p_value'])}."
    said = f"{who} is {way} by {write(by)}{unit} ({span_text(write(low), write(high))})"
    limit = f"{asked.alpha:g}"
    if found["differs"]:
        return f"{said[0].upper()}{said[1:]}; {p_text(found['p_value'])}: below {limit}, so hardly by chance."
    return f"No difference is shown: {said}; {p_text(found['p_value'])}, which is not below {limit}."
