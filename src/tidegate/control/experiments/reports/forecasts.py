"""What a definition's rule does at a traffic, told before the start: how often it errs, how often it finds."""

from tidegate.control.experiments.model import Operating, Scenario
from tidegate.control.experiments.reports.blocks import Grid, Report, Section
from tidegate.control.experiments.reports.words import Mood, metric_of
from tidegate.control.experiments.scales import scale_of
from tidegate.kernel.figures import about_text, count_text, level_text
from tidegate.kernel.plain import days_text, plain, plural, time_text
from tidegate.kernel.scales import PERCENT, SURE, UNKNOWN, known, mean_error

__all__ = ["forecast_of"]


def forecast_of(operating: Operating) -> Report:
    """The report of a simulation."""
    definition = operating.definition
    units = plural(definition.unit)
    traffic = known(operating.units_per_day)
    pace = "an unknown number of" if traffic is None else f"about {about_text(traffic)}"
    lead = (
        (
            f"{plain(definition.name)}, simulated at {pace} {units} a day, for {time_text(definition.duration_s)} at "
            f"most, {count_text(operating.runs)} times for each row (seed {operating.seed})."
        ),
    )
    rows = tuple(_row(one) for one in operating.scenarios)
    heads = ("If the treatment", ">Ship", ">Keep", ">Not known", ">Half by")
    wide = max((known(one.standard_error, SURE * 100) or 0.0 for one in operating.scenarios), default=0.0)
    lines = (
        "How often experiments like this one would end in each answer, and by when half of them have one.",
        *([f"By simulation, so each percentage may be off by {wide:.1g} points."] if wide >= 0.01 else []),
    )
    sections = (
        Section("scenarios", "What would come of it", lines, grids=(Grid("Answers", heads, rows),) if rows else ()),
        Section("rule", "How it would be judged", points=(
            f"The rule: {plain(definition.rule)}.",
            f"The error allowed is {level_text(definition.alpha)}; the power wanted is {level_text(definition.power)}.",
        )),
        *([Section("notes", "What to be careful about", points=tuple(plain(one) for one in operating.notes))]
          if operating.notes else []),
    )  # fmt: skip
    mood: Mood = "open" if operating.power is None or operating.power < definition.power else "ship"
    return Report(f"Forecast for {plain(definition.name)}", mood, _answer(operating), lead, sections)


def _answer(operating: Operating) -> str:
    falsely = _share(operating.false_ship, operating.runs)
    unwon = operating.ships_unwon
    bad = "is as bad as a guardrail's limit" if unwon else "changes nothing"
    found = [f"This rule ships a treatment that {bad} in {falsely} of experiments"]
    if known(operating.power) is not None:
        good = "one that changes nothing" if unwon else _worth(operating)
        found.append(f"and {good} in {_share(operating.power, operating.runs)}")
    days, units = known(operating.needed_days), operating.needed_units
    need = f"about {about_text(units)} {plural(operating.definition.unit)}" if units is not None and units > 0 else ""
    time = days_text(days) if days is not None and days >= 0 else ""
    wanted = level_text(operating.definition.power)
    takes = f"; to ship it in {wanted} takes {', '.join(filter(None, (need, time)))}" if need or time else ""
    return f"{' '.join(found)}{takes}."


def _worth(operating: Operating) -> str:
    """The treatment of which the power is told."""
    metric = metric_of(operating.definition, operating.definition.primary)
    if metric is None or known(metric.effect) is None or metric.effect is None:
        return "one that is better"
    effect = scale_of(metric, operating.definition).exact(abs(metric.effect), apart=True)
    return f"one that is {effect} better in {plain(metric.name)}"


def _row(scenario: Scenario) -> tuple[str, ...]:
    error = known(scenario.standard_error)
    shares = (
        PERCENT.level(one, None if error is None else max(SURE * error, 1 / max(scenario.runs, 1)))
        for one in (scenario.ship, scenario.keep, scenario.inconclusive)
    )
    name = ": ".join(plain(one) for one in (scenario.name, scenario.effect) if one.strip())
    median = known(scenario.median_days)
    return name or "(unnamed)", *shares, "less than half do" if median is None else days_text(median)


def _share(share: float | None, runs: int) -> str:
    """A share of simulated runs, to the places that so many runs allow."""
    found = known(share)
    if found is None:
        return UNKNOWN
    return PERCENT.level(found, mean_error(found, runs, None, rate=True))
