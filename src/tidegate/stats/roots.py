"""Where a function crosses zero, for a whole array of problems at once."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tidegate.stats.checks import Floats

__all__ = ["crossing", "secant"]

STEPS = 200
TINY = 1e-300
CLOSE = 1e-12
"""A secant misses by less than the product of the last two steps, in widths: below this it is done."""
STEEP = 100.0
"""A step that is shorter than its miss by more than this came from no crossing, but from a jump or a flat place."""
TRIES = 16


def crossing(function: Callable[[Floats], Floats], low: Floats, high: Floats, *, within: float = 0.0) -> Floats:
    """Where `function` is 0, element by element, between `low` and `high`, at which it must differ in sign.

    Chandrupatla's method: inverse quadratic steps where they are safe, halving otherwise, so that it never leaves the
    bracket and ends within two units in the last place, or `within` that share of the bracket. An element without a
    crossing gives its end that is nearer to 0. Source: Chandrupatla (1997), Adv. Eng. Softw. 28, 145-149,
    https://doi.org/10.1016/S0965-9978(96)00051-8.
    """
    newest, other = np.broadcast_arrays(np.asarray(low, np.float64), np.asarray(high, np.float64))
    at_newest, at_other = function(newest), function(other)
    share = np.full(newest.shape, 0.5)
    best = nearest = np.where(np.abs(at_newest) < np.abs(at_other), newest, other)
    enough = within * np.abs(newest - other) + TINY
    none = np.sign(at_newest) * np.sign(at_other) > 0
    for _ in range(STEPS):
        tried = newest + share * (other - newest)
        at_tried = function(tried)
        same = np.sign(at_tried) == np.sign(at_newest)
        third, at_third = np.where(same, newest, other), np.where(same, at_newest, at_other)
        other, at_other = np.where(same, other, newest), np.where(same, at_other, at_newest)
        newest, at_newest = tried, at_tried
        nearer = np.abs(at_newest) < np.abs(at_other)
        best = np.where(nearer, newest, other)
        width = np.abs(other - newest)
        least = (2 * np.finfo(np.float64).eps * np.abs(best) + enough) / np.maximum(width, TINY)
        if np.all((least > 0.5) | (np.where(nearer, at_newest, at_other) == 0)):
            break
        least = np.minimum(least, 0.5)
        share = np.clip(_share((newest, other, third), (at_newest, at_other, at_third)), least, 1 - least)
    return np.where(none, nearest, best)


def secant(missed: Callable[[Floats], Floats], start: Floats, width: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Where `missed`, a score that rises by about 1 over each `width`, is 0, near the start, by secants; and whether it
    was found: what was not is for `crossing`. A nearly straight line takes three or four.
    """
    place, at = start, missed(start)
    step = -at * width
    done = np.zeros(start.shape, dtype=np.bool_)
    for _ in range(TRIES):
        step = np.clip(step, -2 * width, 2 * width)
        place, before, last = place + step, at, step
        at = missed(place)
        with np.errstate(all="ignore"):
            step = -at * step / (at - before)
        step = np.where(np.isfinite(step), step, 0.0)
        done = (np.abs(step * last) < CLOSE * width**2) & (np.abs(at) * width <= STEEP * np.abs(step) + CLOSE * width)
        if np.all(done):
            break
    return np.asarray(place + np.where(done, step, 0.0)), done


def _share(places: tuple[Floats, Floats, Floats], values: tuple[Floats, Floats, Floats]) -> Floats:
    """How far from the newest place towards the other one to go next."""
    newest, other, third = places
    at_newest, at_other, at_third = values
    with np.errstate(all="ignore"):
        along = (newest - other) / (third - other)
        risen = (at_newest - at_other) / (at_third - at_other)
        safe = (risen**2 < along) & ((1 - risen) ** 2 < 1 - along)
        first = at_newest / (at_other - at_newest) * at_third / (at_other - at_third)
        second = (third - newest) / (other - newest) * at_newest / (at_third - at_newest)
        found = first + second * at_other / (at_third - at_other)
    return np.where(safe & np.isfinite(found), found, 0.5)
