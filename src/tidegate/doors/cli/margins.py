"""`tidegate stats noninferiority`: how many units show that a treatment is not worse by a margin."""

import math
from typing import Annotated, Any

import typer

from tidegate.doors.cli.options import Json, group
from tidegate.doors.cli.samples import heard
from tidegate.doors.cli.sizing import Number, show
from tidegate.kernel.errors import Invalid
from tidegate.kernel.figures import count_text, number_text, percent_text, points_text
from tidegate.stats import sizes

__all__ = ["app"]

app = group("Sizes of tests for the absence of harm.")

ONE_OF = "Name --rate and --margin, or --rate and --times, or --sd and --margin."


@app.command()
def noninferiority(
    rate: Annotated[Number, typer.Option("--rate", metavar="P", help="The control's rate: 0.9.")] = None,
    to: Annotated[
        Number, typer.Option("--to", metavar="P", help="The treatment's true rate; the control's unless said.")
    ] = None,
    margin: Annotated[
        Number, typer.Option("--margin", metavar="M", help="It may be worse by less than M: 0.01 is a point.")
    ] = None,
    times: Annotated[
        Number, typer.Option("--times", metavar="R", help="A rate of failures may be below R times: 1.5.")
    ] = None,
    sd: Annotated[
        Number, typer.Option("--sd", metavar="S", help="For means: the standard deviation of one unit.")
    ] = None,
    difference: Annotated[
        float, typer.Option("--difference", metavar="D", help="For means: the true one, treatment less control.")
    ] = 0.0,
    lowest: Annotated[bool, typer.Option("--lowest", help="The lowest is the best: failures, costs.")] = False,
    power: Annotated[float, typer.Option("--power", help="The probability to show it.")] = 0.8,
    alpha: Annotated[float, typer.Option("--alpha", help="The probability to show it where it is worse.")] = 0.05,
    ratio: Annotated[float, typer.Option("--ratio", metavar="R", help="Treatment units a control unit.")] = 1.0,
    as_json: Json = False,
) -> None:
    """How many units show that a rate or a mean is not worse by a margin: non-inferiority, one-sided."""
    plan: dict[str, Any] = {"power": power, "alpha": alpha, "ratio": ratio}
    with heard("See `tidegate stats noninferiority --help`."):
        if rate is not None and sd is None and not difference and (margin is None) != (times is None):
            rates = rate, rate if to is None else to
            of = "rate_ratio" if margin is None else "rate_difference"
            asked = _of_ratio(rates, times or 0, plan) if margin is None else _of_rates(rates, margin, lowest, plan)
        elif sd is not None and margin is not None and rate is None and to is None and times is None:
            of, asked = "mean", _of_means(difference, margin, sd, lowest, plan)
        else:
            raise Invalid("The absence of harm is of a rate or of a mean, by one margin.", mend=ONE_OF)
    count, what, truth = asked
    treated = math.ceil(round(count * ratio, 6))
    answer = (
        f"{count_text(count)} control and {count_text(treated)} treatment units show that {what}, "
        f"with a power of {percent_text(power)}, when {truth}."
    )
    found = {"answer": answer, "n_control": int(count), "n_treatment": treated, "n_total": int(count) + treated}
    arms = [("control", count_text(count)), ("treatment", count_text(treated)), ("both", count_text(count + treated))]
    show(found | plan | {"of": of, "lowest": lowest or of == "rate_ratio"}, arms, as_json)


def _of_ratio(rates: tuple[float, float], times: float, plan: dict[str, Any]) -> tuple[float, str, str]:
    count = float(sizes.n_for_noninferiority_ratio(*rates, times, **plan))
    return count, f"the rate of failures is below {number_text(times)} times the control's", _truth(rates)


def _of_rates(rates: tuple[float, float], margin: float, lowest: bool, plan: dict[str, Any]) -> tuple[float, str, str]:
    good = (1 - rates[0], 1 - rates[1]) if lowest else rates
    count = float(sizes.n_for_noninferiority(*good, margin, **plan))
    return count, f"the rate is not {'higher' if lowest else 'lower'} by {points_text(margin)} points", _truth(rates)


def _of_means(
    difference: float, margin: float, sd: float, lowest: bool, plan: dict[str, Any]
) -> tuple[float, str, str]:
    count = float(sizes.n_for_noninferiority_of_means(-difference if lowest else difference, margin, sd, **plan))
    truth = f"the means differ by {number_text(difference)}" if difference else "the means are equal"
    return count, f"the mean is not {'higher' if lowest else 'lower'} by {number_text(margin)}", truth


def _truth(rates: tuple[float, float]) -> str:
    first, second = map(percent_text, rates)
    return f"both rates are {first}" if rates[0] == rates[1] else f"the rates are {first} and {second}"
