"""The forecast of a rollout as one page that needs nothing else."""

from collections.abc import Iterator

from tidegate.control.experiments.reports.blocks import Grid
from tidegate.control.experiments.reports.drawing import WIDTH, Picture, Span, picture, short, ticks, write
from tidegate.control.experiments.reports.html import page
from tidegate.control.rollouts.model import Foreseen, RolloutForecast
from tidegate.control.rollouts.reports.forecasts import forecast_of, minutes_text, share_cell, worse_of
from tidegate.kernel.markup import Markup, tag
from tidegate.kernel.plain import plain

__all__ = ["html"]

ROW = 34.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, WIDTH - 6, 10.0, 170.0
HEIGHT = 204.0
CURVES = 5
"""So many candidates, at most, are drawn over time."""


def html(forecast: RolloutForecast) -> str:
    """The forecast as a page, to be opened from a disk or mailed."""
    foot = f"Simulated by Tidegate, {forecast.runs:,} rollouts, seed {forecast.seed}."
    return page(forecast_of(forecast), lambda key: _pictures(forecast) if key == "caught" else iter(()), foot)


def _pictures(forecast: RolloutForecast) -> Iterator[Picture]:
    yield _shares(forecast)
    drawn = _curves(forecast)
    if drawn is not None:
        yield drawn


def _shares(forecast: RolloutForecast) -> Picture:
    """How often each candidate is rolled back and promoted, a bar each."""
    parts, told = [], []
    for number, one in enumerate(forecast.scenarios):
        top = number * ROW
        said = f"{share_cell(one.caught, one.runs)} back, {share_cell(one.promoted, one.runs)} promoted"
        parts += [
            write(0, top + 13, short(plain(one.name), WIDTH - len(said) * 6.4), class_="name"),
            write(WIDTH, top + 13, said, "end"),
            tag("rect", x=0.0, y=top + 18, width=WIDTH * one.caught, height=9.0, class_="share bad"),
            tag("rect", x=WIDTH * (1 - one.promoted), y=top + 18, width=WIDTH * one.promoted, height=9.0,
                class_="share good"),
        ]  # fmt: skip
        told.append(f"{plain(one.name)}: {said}")
    height = ROW * len(forecast.scenarios) + 4
    caption = "Rolled back (from the left) and promoted by itself (from the right); what is between waits for you."
    return Picture(caption, picture("shares", "What becomes of each candidate", "; ".join(told), height, parts))


def _curves(forecast: RolloutForecast) -> Picture | None:
    """The share that is rolled back by then, of the candidates that are."""
    chosen = _chosen(worse_of(forecast))
    latest = max((one.late_min or 0.0 for one in chosen), default=0.0)
    if not chosen or latest <= 0:
        return None
    across, up = Span(0.0, latest * 1.1, LEFT, RIGHT), Span(0.0, 1.0, BOTTOM, TOP)
    parts: list[Markup] = []
    for place, label in ticks(across):
        parts.append(tag("line", x1=across.at(place), x2=across.at(place), y1=TOP, y2=BOTTOM, class_="grid"))
        parts.append(write(across.at(place), BOTTOM + 14, label, "middle", "quiet"))
    for share in (0.0, 0.5, 1.0):
        parts.append(tag("line", x1=LEFT, x2=RIGHT, y1=up.at(share), y2=up.at(share), class_="grid"))
        parts.append(write(LEFT - 4, up.at(share) + 4, f"{share:.0%}", "end", "quiet"))
    parts.append(write(RIGHT, HEIGHT - 6, "minutes of canary →", "end", "quiet"))
    for number, one in enumerate(chosen):
        parts += _curve(one, across, up, 0.12 + 0.76 * number / max(len(chosen) - 1, 1))
    told = "; ".join(f"{plain(one.name)}: half by {minutes_text(one.caught_min)}" for one in chosen)
    rows = tuple((plain(one.name), minutes_text(one.caught_min), minutes_text(one.late_min)) for one in chosen)
    grid = Grid("When they are rolled back", ("Candidate", ">Half by", ">9 in 10 by"), rows)
    caption = "The share of rollouts that are rolled back by then."
    return Picture(caption, picture("curves", "How soon harm is found", told, HEIGHT, parts), grid)


def _curve(one: Foreseen, across: Span, up: Span, told_at: float) -> list[Markup]:
    """Steps from look to look, and the candidate's name where so large a share is back: names stand apart."""
    points, before = [(across.at(0.0), up.at(0.0))], 0.0
    for minutes, share in one.curve:
        points += [(across.at(minutes), up.at(before)), (across.at(minutes), up.at(share))]
        before = share
    points.append((across.end, up.at(before)))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x = across.at(next((minutes for minutes, share in one.curve if share >= told_at), across.high))
    return [
        tag("polyline", points=line, class_="line"),
        write(min(x + 4, RIGHT - 120), up.at(told_at) + 4, short(plain(one.name), 130), class_="quiet"),
    ]


def _chosen(worse: tuple[Foreseen, ...]) -> tuple[Foreseen, ...]:
    """Those of the first metric that are caught at least half of the time."""
    caught = [one for one in worse if one.caught >= 0.5]
    return tuple(one for one in caught if one.metric == caught[0].metric)[:CURVES] if caught else ()
