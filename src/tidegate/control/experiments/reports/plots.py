"""Pictures over time: the primary metric's interval as it narrowed, a bandit's weights, and what it lost."""

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

from tidegate.control.experiments.model import Analysis, BanditReport, Contrast, Look
from tidegate.control.experiments.reports.blocks import Grid
from tidegate.control.experiments.reports.drawing import WIDTH, Picture, Span, picture, short, span_of, ticks, write
from tidegate.control.experiments.reports.evidence import equal_regret, sum_text
from tidegate.control.experiments.reports.words import contrast_scale, control_of, metric_of, share_text
from tidegate.control.experiments.scales import scales_of
from tidegate.kernel.markup import Markup, tag
from tidegate.kernel.plain import date_text, plain
from tidegate.kernel.scales import Scale, known

__all__ = ["paths", "regret", "weights"]

LEFT, RIGHT, TOP, BOTTOM = 46.0, WIDTH - 6, 10.0, 190.0
HEIGHT = 226.0
CLOCKS = ((7_200_000, 60_000, "minutes"), (172_800_000, 3_600_000, "hours"), (math.inf, 86_400_000, "days"))
"""Up to how many ms on an axis of time, its unit in ms, and the unit's name."""

ROWS = 24
"""So many rows, at most, are in the table behind a picture."""

Point = tuple[float, float]
T = TypeVar("T")


def paths(analysis: Analysis) -> Iterator[Picture]:
    """The primary metric's interval at every look, a picture for each treatment that has one."""
    primary = [one for one in analysis.contrasts if one.metric == analysis.definition.primary]
    for number, contrast in enumerate(primary):
        drawn = _path(analysis, contrast, f"path{number}")
        if drawn is not None:
            yield drawn


def _path(analysis: Analysis, contrast: Contrast, key: str) -> Picture | None:
    scale = contrast_scale(contrast, scales_of(analysis.definition, analysis.arms))
    looks = [_said(look, scale) for look in contrast.path]
    seen = [look for look in looks if look.estimate is not None]
    effect = _worth_having(analysis, contrast, scale)
    across = span_of([_since(analysis, look.at_ms) for look in seen], LEFT, RIGHT)
    up = _height(seen, scale.null, effect)
    if across is None or up is None or len(seen) < 2:
        return None
    parts = [*_axes(analysis, across, up, scale)]
    band = [look for look in seen if look.low is not None and look.high is not None]
    points = [(across.at(_since(analysis, look.at_ms)), up.at(look.high or 0.0)) for look in band]
    points += [(across.at(_since(analysis, look.at_ms)), up.at(look.low or 0.0)) for look in reversed(band)]
    parts.append(tag("polygon", points=_joined(points), class_="band"))
    parts.append(_line(up.at(scale.null), "zero"))
    parts.append(write(RIGHT, up.at(scale.null) - 4, f"as {short(control_of(analysis), 120)}", "end", "quiet"))
    if effect is not None:
        parts.append(_line(up.at(effect), "worth"))
        parts.append(write(RIGHT, up.at(effect) - 4, "worth having", "end", "quiet"))
    line = [(across.at(_since(analysis, look.at_ms)), up.at(look.estimate or 0.0)) for look in seen]
    parts.append(tag("polyline", points=_joined(line), class_="line"))
    title = f"{plain(contrast.metric)}, {plain(contrast.variant)} against {control_of(analysis)}, over time"
    last = contrast.path[-1]
    told = f"At the last look: {scale.cell(last.estimate, last.low, last.high)}."
    caption = f"{title}. The line is the estimate, the band its interval at every look: it holds for all of them."
    rows = [(date_text(look.at_ms), scale.cell(look.estimate, look.low, look.high)) for look in _some(contrast.path)]
    return Picture(caption, picture(key, title, told, HEIGHT, parts), Grid(title, ("Look", ">Change"), tuple(rows)))


def _said(look: Look, scale: Scale) -> Look:
    """A look in the figures that people read, points rather than shares."""
    return Look(look.at_ms, *(known(one, scale.factor) for one in (look.estimate, look.low, look.high)))


def _worth_having(analysis: Analysis, contrast: Contrast, scale: Scale) -> float | None:
    """Where the effect worth having lies; None when it is unknown, or of another scale."""
    metric = metric_of(analysis.definition, contrast.metric)
    if metric is None or contrast.scale == "ratio":
        return None
    effect = known(metric.effect, scale.factor)
    return None if effect is None else -abs(effect) if metric.better == "lower" else abs(effect)


def _height(seen: Sequence[Look], null: float, effect: float | None) -> Span | None:
    """The upright axis: estimates, no difference and the effect, and the later half of the intervals; the first ones
    are far too wide to be shown whole.
    """
    later = seen[len(seen) // 2 :]
    bounds = [end for look in later for end in (look.low, look.high)]
    return span_of([null, effect, *bounds, *(look.estimate for look in seen[len(seen) // 4 :])], BOTTOM, TOP)


def _clock(analysis: Analysis) -> tuple[float, str]:
    """In what the time since the start is told: the unit in ms, and its name."""
    lasted_ms = (analysis.ended_at_ms or analysis.at_ms) - analysis.started_at_ms
    return next((unit_ms, name) for most_ms, unit_ms, name in CLOCKS if lasted_ms <= most_ms)


def _since(analysis: Analysis, at_ms: int) -> float:
    return (at_ms - analysis.started_at_ms) / _clock(analysis)[0]


def _axes(analysis: Analysis, across: Span, up: Span, scale: Scale | None) -> Iterator[Markup]:
    for value, said in ticks(up):
        y = up.at(value)
        yield tag("line", x1=LEFT, x2=across.end, y1=y, y2=y, class_="grid")
        yield write(LEFT - 5, y + 4, short(said, LEFT - 6), "end", "quiet")
    for value, said in ticks(across):
        yield write(across.at(value), BOTTOM + 16, said, "middle", "quiet")
    unit = "" if scale is None else (scale.before + scale.apart).strip()
    yield write(0, HEIGHT - 4, short(unit, 180), class_="quiet")
    yield write(RIGHT, HEIGHT - 4, f"{_clock(analysis)[1]} since the start", "end", "quiet")


def _line(y: float, class_: str) -> Markup:
    return tag("line", x1=LEFT, x2=RIGHT, y1=y, y2=y, class_=class_)


def _joined(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _some(found: Sequence[T]) -> Sequence[T]:
    """At most ROWS of them, evenly, the last always."""
    step = max(-(-len(found) // ROWS), 1)
    return found[::-1][::step][::-1]


def weights(analysis: Analysis, bandit: BanditReport) -> Picture | None:
    """The shares of units that a bandit gave its variants over time, stacked; None before there are two."""
    names = [plain(one.name) for one in analysis.definition.variants]
    told = [(at_ms, shares) for at_ms, shares in bandit.weights if len(shares) == len(names)]
    log = [(_since(analysis, at_ms), shares) for at_ms, shares in told]
    if log:  # what holds now has held until now
        log.append((max(_since(analysis, analysis.ended_at_ms or analysis.at_ms), log[-1][0]), log[-1][1]))
    across = span_of([at for at, _ in log], LEFT, WIDTH - 84)
    if across is None or len(told) < 2:
        return None
    across, up = across._replace(low=log[0][0], high=max(log[-1][0], log[0][0] + 1e-6)), Span(0.0, 100.0, BOTTOM, TOP)
    parts = [*_axes(analysis, across, up, None)]
    for number, name in enumerate(names):
        tops = [(at, sum(shares[: number + 1]) / 100) for at, shares in log]
        floors = [(at, sum(shares[:number]) / 100) for at, shares in log]
        area = [*_steps(tops, across, up), *reversed(_steps(floors, across, up))]
        parts.append(tag("polygon", points=_joined(area), class_=f"share tone{number % 6}"))
        top, floor = tops[-1][1], floors[-1][1]
        if top - floor >= 5:
            said = f"{short(name, 46)} {share_text((top - floor) / 100)}"
            parts.append(write(WIDTH - 80, up.at((top + floor) / 2) + 4, said, class_="words"))
    last = ", ".join(f"{name} {share_text(share / 10_000)}" for name, share in zip(names, log[-1][1], strict=True))
    title = "Shares of units over time, in percent"
    rows = [(date_text(at_ms), *(share_text(share / 10_000) for share in shares)) for at_ms, shares in _some(told)]
    grid = Grid(title, ("When", *(f">{name}" for name in names)), tuple(rows))
    caption = f"{title}: the bandit moves them to what earns more. Now: {last}."
    return Picture(caption, picture("weights", title, f"Now: {last}.", HEIGHT, parts), grid)


def _steps(points: Sequence[Point], across: Span, up: Span) -> list[Point]:
    """A line of steps: every value holds until the next."""
    found: list[Point] = []
    for x, y in points:
        if found:
            found.append((across.at(x), found[-1][1]))
        found.append((across.at(x), up.at(y)))
    return found


def regret(analysis: Analysis, bandit: BanditReport) -> Picture | None:
    """What a bandit lost so far against its best variant, beside what equal shares would have; None while unknown."""
    metric = metric_of(analysis.definition, analysis.definition.primary)
    path = [(_since(analysis, at_ms), lost) for at_ms, lost in bandit.regret_path if known(lost) is not None]
    equal = equal_regret(analysis, bandit)
    across = span_of([at for at, _ in path], LEFT, WIDTH - 84)
    up = span_of([0.0, equal, *(lost for _, lost in path)], BOTTOM, TOP)
    if metric is None or across is None or up is None or len(path) < 2:
        return None
    parts = [*_axes(analysis, across, up, None)]
    parts.append(tag("polyline", points=_joined([(across.at(x), up.at(y)) for x, y in path]), class_="line"))
    parts.append(write(WIDTH - 80, up.at(path[-1][1]) + 4, "bandit", class_="name"))
    told = f"Lost by the bandit: about {sum_text(metric, path[-1][1])}."
    if equal is not None:
        ends = {"x1": across.at(path[0][0]), "x2": across.at(path[-1][0]), "y1": up.at(0.0), "y2": up.at(equal)}
        parts.append(tag("line", **ends, class_="worth"))
        apart = abs(up.at(equal) - up.at(path[-1][1])) >= 14
        parts.append(write(WIDTH - 80, up.at(equal) + (4 if apart else -10), "equal shares", class_="words"))
        told += f" Equal shares would have lost about {sum_text(metric, equal)} (drawn at an even pace)."
    title = "Lost against the best variant, all units together"
    rows = [
        (date_text(at_ms), sum_text(metric, lost))
        for at_ms, lost in _some(bandit.regret_path)
        if known(lost) is not None
    ]
    grid = Grid(title, ("When", ">Lost so far"), tuple(rows))
    return Picture(f"{title}. {told}", picture("regret", title, told, HEIGHT, parts), grid)
