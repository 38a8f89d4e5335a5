"""`tidegate stats sample-size|power|mde|duration`: how many units, what they can show, how many days they take."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from tidegate.doors.cli.options import Json, group
from tidegate.doors.cli.output import print_json, print_table, say
from tidegate.doors.cli.samples import heard
from tidegate.kernel.errors import Invalid
from tidegate.kernel.figures import count_text, number_text, percent_text, points_text
from tidegate.stats import sizes

__all__ = ["Number", "app", "show"]

app = group("Sizes.")

ONE_OF = "Name --rate and --to for rates, or --difference and --sd for means."
Number = float | None

Rate = Annotated[Number, typer.Option("--rate", metavar="P", help="The control's rate: 0.9.")]
To = Annotated[Number, typer.Option("--to", metavar="P", help="The treatment's rate.")]
Difference = Annotated[Number, typer.Option("--difference", metavar="D", help="A difference of means.")]
Deviation = Annotated[Number, typer.Option("--sd", metavar="S", help="The standard deviation of one unit.")]
Units = Annotated[int, typer.Option("--n", metavar="N", help="The control's units.")]
Power = Annotated[float, typer.Option("--power", help="The probability to find it.")]
Alpha = Annotated[float, typer.Option("--alpha", help="The probability to find what is not there.")]
Ratio = Annotated[float, typer.Option("--ratio", metavar="R", help="Treatment units a control unit.")]
Side = Annotated[str, typer.Option("--alternative", metavar="SIDE", help="two-sided, greater or less.")]


@dataclass(frozen=True, slots=True)
class Plan:
    """How sure a test is to be."""

    power: float
    alpha: float
    ratio: float
    alternative: str

    @property
    def options(self) -> dict[str, Any]:
        """The plan as the statistics take it."""
        return {"power": self.power, "alpha": self.alpha, "ratio": self.ratio, "alternative": self.alternative}


@app.command("sample-size")
def sample_size(
    rate: Rate = None,
    to: To = None,
    precision: Annotated[
        Number, typer.Option("--precision", metavar="M", help="Estimate the one rate within +- M instead.")
    ] = None,
    difference: Difference = None,
    sd: Deviation = None,
    power: Power = 0.8,
    alpha: Alpha = 0.05,
    ratio: Ratio = 1.0,
    alternative: Side = "two-sided",
    as_json: Json = False,
) -> None:
    """How many units tell two rates or means apart, or estimate one rate within a margin."""
    plan = Plan(power, alpha, ratio, alternative)
    with heard("See `tidegate stats sample-size --help`."):
        if precision is not None:
            if to is not None or difference is not None or sd is not None:
                said = "--precision is of one rate, not of a comparison."
                raise Invalid(said, mend="Leave out --to, --difference and --sd.")
            base = _named(rate, "--rate")
            count = float(sizes.n_for_precision(base, precision, level=1 - alpha))
            answer = (
                f"{count_text(count)} units estimate a rate of {percent_text(base)} within "
                f"+-{points_text(precision)} points, at a level of {percent_text(1 - alpha)}. "
                "It is no size for a comparison."
            )
            show({"answer": answer, "n": int(count), "margin_rate": precision, "level": 1 - alpha}, [], as_json)
            return
        of_rates, first, second = _compared(rate, to, difference, sd)
        if of_rates:
            count = float(sizes.n_for_difference(first, second, **plan.options))
            what = f"{percent_text(first)} from {percent_text(second)}"
        else:
            count = float(sizes.n_for_means(first, second, **plan.options))
            what = f"means that differ by {number_text(first)}"
    treated = math.ceil(round(count * ratio, 6))
    answer = (
        f"{count_text(count)} control and {count_text(treated)} treatment units tell {what} apart "
        f"with a power of {percent_text(power)}."
    )
    found = {"answer": answer, "n_control": int(count), "n_treatment": treated, "n_total": int(count) + treated}
    arms = [("control", count_text(count)), ("treatment", count_text(treated)), ("both", count_text(count + treated))]
    show(found | plan.options, arms, as_json)


@app.command()
def power(
    n: Units,
    rate: Rate = None,
    to: To = None,
    difference: Difference = None,
    sd: Deviation = None,
    alpha: Alpha = 0.05,
    ratio: Ratio = 1.0,
    alternative: Side = "two-sided",
    as_json: Json = False,
) -> None:
    """How probable it is that so many units show a difference that is there."""
    ways: dict[str, Any] = {"alpha": alpha, "ratio": ratio, "alternative": alternative}
    with heard("See `tidegate stats power --help`."):
        of_rates, first, second = _compared(rate, to, difference, sd)
        if of_rates:
            found = float(sizes.power_of_difference(first, second, n, **ways))
        else:
            found = float(sizes.power_of_means(first, second, n, **ways))
    answer = f"{count_text(n)} control units find it with a probability of {percent_text(found)}."
    show({"answer": answer, "power": found, "n_control": n, **ways}, [], as_json)


@app.command()
def mde(
    n: Units,
    rate: Rate = None,
    sd: Deviation = None,
    power: Power = 0.8,
    alpha: Alpha = 0.05,
    ratio: Ratio = 1.0,
    alternative: Side = "two-sided",
    as_json: Json = False,
) -> None:
    """The least difference that so many units find: of a rate (--rate) or of a mean (--sd)."""
    plan = Plan(power, alpha, ratio, alternative)
    if (rate is None) == (sd is None):
        raise Invalid("The least difference is of a rate or of a mean.", mend="Name --rate P, or --sd S.")
    found: dict[str, Any] = {"answer": "", "n_control": n, **plan.options}
    with heard("See `tidegate stats mde --help`."):
        if rate is not None:
            least = sizes.minimum_detectable_effect(rate, n, **plan.options)
            found |= {"down_rate": float(least.down), "up_rate": float(least.up)}
            ends = {"down": found["down_rate"], "up": found["up_rate"]}
            said = " or ".join(
                f"{points_text(abs(size))} points {way}" for way, size in ends.items() if not math.isnan(size)
            )
        else:
            found["difference"] = float(sizes.minimum_detectable_mean_effect(_named(sd, "--sd"), n, **plan.options))
            said = f"a difference of {number_text(found['difference'])}"
    finds = f"find {said}" if said else "find nothing that a rate could still change by"
    found["answer"] = f"{count_text(n)} control units {finds}, with a power of {percent_text(power)}."
    show(found, [], as_json)


@app.command()
def duration(
    n: Annotated[int, typer.Option("--n", metavar="N", help="The units of all arms together.")],
    units_per_day: Annotated[float, typer.Option("--units-per-day", metavar="D", help="New units a day.")],
    share: Annotated[float, typer.Option("--share", help="The part of them that takes part.")] = 1.0,
    as_json: Json = False,
) -> None:
    """How many days so many units take."""
    with heard("See `tidegate stats duration --help`."):
        days = int(float(sizes.days_for(n, units_per_day, share)))
    answer = f"{count_text(n)} units take {days:,} {'day' if days == 1 else 'days'}."
    show({"answer": answer, "duration_days": days, "n_total": n, "share": share}, [], as_json)


def _compared(rate: Number, to: Number, difference: Number, sd: Number) -> tuple[bool, float, float]:
    """Whether rates are compared, and not means, and the two numbers that say how; raises Invalid for half of either,
    and for both.
    """
    if rate is not None and to is not None and difference is None and sd is None:
        return True, rate, to
    if difference is not None and sd is not None and rate is None and to is None:
        return False, difference, sd
    raise Invalid("A comparison is of two rates or of two means.", mend=ONE_OF)


def _named(value: Number, option: str) -> float:
    if value is None:
        raise Invalid(f"{option} is missing.", mend=f"Add {option} and a number, such as {option} 0.9.")
    return value


def show(found: dict[str, Any], rows: list[tuple[str, str]], as_json: bool) -> None:
    """Print the answer and the units of each arm, or JSON."""
    if as_json:
        print_json(found)
        return
    say(found["answer"])
    if rows:
        say()
        print_table(("ARM", ">UNITS"), rows, empty="")
