"""Two arms compared over few, evenly laid nodes: what `tidegate.stats.posteriors` says of every arm, in a few
milliseconds, wherever both beliefs are smooth (a Beta with alpha and beta of at least 1, or 12 where it is moved; t and
LogNormal of 30 degrees of freedom). The sum runs over the narrower belief, in whose steps the other one is smoother.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.stats.beliefs import Posterior
from tidegate.stats.checks import Floats

__all__ = ["chances_of_two", "effect_near", "losses_of_two", "moved_above", "part_of"]

Where = npt.NDArray[np.bool_]


def chances_of_two(first: Posterior, second: Posterior) -> Floats:
    """P(first above), P(second above): (..., 2)."""
    thin, wide, turned = _by_width(first, second, _widths(first, second))
    places, masses = thin.nodes()
    found = [np.sum(masses * tail, axis=-1) for tail in wide.tails(places)]
    return _turned(np.stack(found, axis=-1), turned)


def losses_of_two(first: Posterior, second: Posterior) -> Floats:
    """E[(second - first)+], E[(first - second)+]: (..., 2)."""
    thin, wide, turned = _by_width(first, second, _widths(first, second))
    places, masses = thin.nodes()
    found = [np.sum(masses * part, axis=-1) for part in wide.excess(places)]
    return _turned(np.stack(found, axis=-1), turned)


def moved_above(control: Posterior, treatment: Posterior, relative: bool) -> Callable[[Floats, Floats], Floats]:
    """A function of (by, times): P(treatment above control * times + by), for one or several rows of problems."""
    thin, wide, turned = _by_width(control, treatment, _spans(control, treatment, relative))
    places, masses = thin.nodes()

    def above(by: Floats, times: Floats) -> Floats:
        back, by, times = turned[..., None], by[..., None], times[..., None]
        at = wide.moved(places, np.where(back, -by / times, by), np.where(back, 1 / times, times))
        below = np.sum(masses * wide.tails(at, False)[0], axis=-1)
        return np.asarray(np.where(turned, below, 1 - below))

    return above


def effect_near(control: Posterior, treatment: Posterior, scores: Floats, relative: bool) -> tuple[Floats, Floats]:
    """About where the effect lies at these scores, and its standard deviation: the two beliefs' distances from their
    middles, as the sides of a right angle. Source: Zou & Donner (2008), https://doi.org/10.1002/sim.3095.
    """

    def apart(score: float) -> Floats:
        few, many = (np.stack((one.about(0.0), one.about(by))) for one, by in ((control, -score), (treatment, score)))
        few, many = _scaled(control.value(few), relative), _scaled(treatment.value(many), relative)
        return np.asarray(many[0] - few[0] + np.sign(score) * np.hypot(many[1] - many[0], few[1] - few[0]))

    found = np.stack([apart(float(score)) for score in scores])
    return found, np.asarray((apart(1.0) - apart(-1.0)) / 2)


def part_of(arm: Posterior, shape: tuple[int, ...], where: Where) -> Posterior:
    """The belief of some problems only, in one row."""
    return type(arm)(*(np.broadcast_to(value, shape)[where] for value in _values(arm)))


def _widths(first: Posterior, second: Posterior) -> tuple[Floats, Floats]:
    """How wide the beliefs are on their line."""
    return first.about(1.0) - first.about(-1.0), second.about(1.0) - second.about(-1.0)


def _spans(control: Posterior, treatment: Posterior, relative: bool) -> tuple[Floats, Floats]:
    """How wide the beliefs are in what is compared."""
    ends = ([_scaled(one.value(one.about(by)), relative) for by in (-1.0, 1.0)] for one in (control, treatment))
    few, many = (high - low for low, high in ends)
    return few, many


def _by_width(first: Posterior, second: Posterior, widths: tuple[Floats, Floats]) -> tuple[Posterior, Posterior, Where]:
    """The narrower belief, the wider one, and where the second is the narrower."""
    turned = np.asarray(widths[0] > widths[1])
    pairs = list(zip(_values(first), _values(second), strict=True))
    thin, wide = ([np.where(turned != other, two, one) for one, two in pairs] for other in (False, True))
    return type(first)(*thin), type(first)(*wide), turned


def _scaled(value: Floats, relative: bool) -> Floats:
    return np.log(value) if relative else value


def _turned(found: Floats, turned: Where) -> Floats:
    return np.where(turned[..., None], found[..., ::-1], found)


def _values(arm: Any) -> list[Floats]:
    return [getattr(arm, one.name) for one in fields(arm)]
