"""What a plan does at a traffic, told before the start: how often it errs, how soon it finds harm."""

from tidegate.control.experiments.reports.blocks import Grid, Report, Section
from tidegate.control.experiments.reports.words import Mood
from tidegate.control.gates.sentences import allowed_text, gate_scale
from tidegate.control.rollouts.model import Foreseen, Plan, RolloutForecast, Stage
from tidegate.kernel.figures import about_text, count_text, fixed_text, level_text
from tidegate.kernel.plain import days_text, joined, plain, plural, time_text
from tidegate.kernel.scales import PERCENT, SURE

__all__ = ["BARS", "brief_text", "forecast_of", "minutes_text", "share_cell", "worse_of"]

BARS = 10
"""The letters of a bar on a terminal."""

GOOD = 0.85
MINUTES_A_DAY = 1440


def forecast_of(forecast: RolloutForecast) -> Report:
    """The report of a simulation."""
    plan = forecast.plan
    units = plural(plan.unit)
    pace = (
        f"about {about_text(forecast.units_per_minute)} {units} a minute, looked at every {time_text(forecast.tick_s)}"
    )
    times = f"{count_text(forecast.runs)} rollouts of an identical candidate, half as many of each other"
    lead = (f"Simulated at {pace}: {times} (seed {forecast.seed}).",)
    identical = forecast.scenarios[0]
    mood: Mood = "ship" if forecast.false_rollback <= plan.alpha and forecast.promoted_identical >= GOOD else "open"
    sections = (
        Section("caught", "What would come of it", _told(forecast), grids=(_scenarios(forecast),)),
        Section("gates", "Which gate would err", _by_gate(identical), grids=(_gates(plan, identical),)),
        Section("plan", "The plan", points=tuple(_stage(one) for one in plan.stages)),
        Section("notes", "What to be careful about", points=tuple(plain(one) for one in forecast.notes)),
    )
    return Report("Forecast of a rollout", mood, _answer(forecast), lead, sections)


def worse_of(forecast: RolloutForecast) -> tuple[Foreseen, ...]:
    """The candidates that are worse."""
    return tuple(one for one in forecast.scenarios if one.kind == "worse")


def share_cell(share: float, runs: int) -> str:
    """A share of simulated rollouts, to the places that so many allow; of none or all, what that leaves possible."""
    if share == 0 and runs:
        return f"< {PERCENT.level(3 / runs, 3 / runs)}"
    if share == 1:
        return "100%"
    error = max(SURE * (share * (1 - share) / max(runs, 1)) ** 0.5, 1 / max(runs, 1))
    return PERCENT.level(share, error)


def minutes_text(minutes: float | None) -> str:
    """`8 minutes`, `3.4 hours`; `-` where it never came."""
    if minutes is None:
        return "-"
    return f"{fixed_text(minutes, 0)} minutes" if 1 < minutes < 120 else days_text(minutes / MINUTES_A_DAY)


def brief_text(minutes: float | None) -> str:
    """`8 min`, `3.4 h`, for a table; `-` where it never came."""
    if minutes is None:
        return "-"
    return f"{fixed_text(minutes, 0)} min" if minutes < 120 else f"{fixed_text(minutes / 60, 1)} h"


def _answer(forecast: RolloutForecast) -> str:
    first = forecast.scenarios[0]
    said = (
        f"An identical candidate is rolled back in {share_cell(first.caught, first.runs)} of rollouts and promoted by "
        f"itself in {share_cell(first.promoted, first.runs)}"
    )
    if first.promoted_min is not None:
        said += f", half of them after {minutes_text(first.promoted_min)} of canary"
    rest = [(first.inconclusive, "wait for your decision"), (first.paused, "are paused for want of data")]
    more = [f"{share_cell(share, first.runs)} {what}" for share, what in rest if share >= 0.005]
    return f"{said}.{f' {joined(more)}.' if more else ''}"


def _told(forecast: RolloutForecast) -> tuple[str, ...]:
    """Plain conclusions: what is found surely, and what is not."""
    worse = worse_of(forecast)
    sure = [one for one in worse if one.caught >= 0.99]
    missed = [one for one in worse if one.promoted >= 0.05]
    lines = []
    if sure:
        quick = min(sure, key=lambda one: one.caught_min or 0.0)
        slow = max(sure, key=lambda one: one.caught_min or 0.0)
        found = [_found(one) for one in ((quick, slow) if quick is not slow else (quick,))]
        lines.append(f"Found in practically every rollout: {joined(found, 'and')}.")
    if missed:
        often = [f"{plain(one.name)} ({share_cell(one.promoted, one.runs)})" for one in missed]
        lines.append(f"Often promoted all the same, as too small for the plan's margins: {joined(often)}.")
    if not forecast.scenarios[0].promoted:
        lines.append("At this traffic nothing is ever promoted by itself: allow more time, or wider margins.")
    return tuple(lines)


def _found(one: Foreseen) -> str:
    served = "" if one.served is None else f", {count_text(one.served)} of its units served"
    return f"{plain(one.name)} after {minutes_text(one.caught_min)}{served}"


def _scenarios(forecast: RolloutForecast) -> Grid:
    heads = ("Candidate", ">Back", "", ">Half by", ">Served", ">Promoted")
    rows = tuple(
        (
            plain(one.name),
            share_cell(one.caught, one.runs),
            "#" * round(BARS * one.caught),
            brief_text(one.caught_min),
            "-" if one.served is None else count_text(one.served),
            share_cell(one.promoted, one.runs),
        )
        for one in forecast.scenarios
    )
    return Grid("Rolled back, by when half of those were, with how many units served; promoted by itself", heads, rows)


def _by_gate(identical: Foreseen) -> tuple[str, ...]:
    rate = share_cell(identical.caught, identical.runs)
    return (f"Of an identical candidate, by the gate that rolled it back: {rate} in all.",)


def _gates(plan: Plan, identical: Foreseen) -> Grid:
    rows = tuple(
        (
            plain(gate.metric),
            allowed_text(gate, gate_scale(gate, {}), "control"),
            level_text(gate.share * plan.alpha),
            share_cell(identical.caught_by.get(gate.metric, 0.0), identical.runs),
        )
        for gate in plan.gates
    )
    return Grid("Gates", ("Gate", "Allowed", ">May err in", ">Errs in"), rows)


def _stage(stage: Stage) -> str:
    least = [time_text(stage.hold_s)] if stage.hold_s else []
    least += [f"{count_text(stage.min_units)} units"] if stage.min_units else []
    told = f": at least {joined(least)}" if least else ""
    needs = f"; {joined(stage.needs)} must be shown to hold" if stage.needs else ""
    longest = f"; after {time_text(stage.max_hold_s)} you decide" if stage.max_hold_s is not None else ""
    return f"{plain(stage.name)}{told}{needs}{longest}."
