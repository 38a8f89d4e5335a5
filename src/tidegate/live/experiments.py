"""An experiment as the gateway knows it, and who is in it. Pure."""

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import msgspec

from tidegate.live.assignment import BUCKETS, bucket, draw

__all__ = [
    "HOLDOUT",
    "REQUEST",
    "TAG",
    "USER",
    "Enrolment",
    "LiveExperiment",
    "LiveVariant",
    "Seen",
    "enrol",
    "told_unit",
    "unit_of",
]

USER = "user"
REQUEST = "request"
TAG = "tag:"
HOLDOUT = "holdout"
"""The salt by which units are kept out of every experiment: the same ones, always."""


class LiveVariant(msgspec.Struct, frozen=True, kw_only=True):
    """One arm: its share of the experiment's units (of 10,000), the prompt's version and the model that it stands for;
    None: what the call would get anyway.
    """

    name: str
    weight_bp: int
    version: str | None = None
    model: str | None = None


class LiveExperiment(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One running experiment. `subject` is `prompt:NAME` or an alias. A unit is in it when its bucket under `layer`'s
    salt lies in [from_bp, to_bp), and the call has all `tags` and, if there are any, one of the `keys` (names).
    """

    experiment_id: str
    name: str
    environment: str
    subject: str
    unit: str
    salt: str
    layer: str
    from_bp: int
    to_bp: int
    variants: tuple[LiveVariant, ...]
    tags: dict[str, str] = {}
    keys: tuple[str, ...] = ()

    @cached_property
    def arms(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The variants' names and weights."""
        return tuple(one.name for one in self.variants), tuple(one.weight_bp for one in self.variants)


class Seen(NamedTuple):
    """What is known of a call: its id, its unit (the header, or the body's `user`), its tags, and its key's name."""

    call_id: str
    unit: str | None
    tags: Mapping[str, str]
    key: str


class Enrolment(NamedTuple):
    """A call's place in an experiment: the variant, whose unit it counts for, and the probability that it had to get
    this variant, given that it is in the experiment.
    """

    experiment: LiveExperiment
    variant: LiveVariant
    unit: str
    propensity: float


def unit_of(experiment: LiveExperiment, seen: Seen) -> str | None:
    """Who is assigned; None when the call does not say."""
    return told_unit(experiment.unit, seen)


def told_unit(kind: str, seen: Seen) -> str | None:
    """The call's unit of a kind (user, request or `tag:NAME`); None when the call does not say."""
    if kind == REQUEST:
        return seen.call_id
    if kind.startswith(TAG):
        return seen.tags.get(kind[len(TAG) :]) or None
    return seen.unit


def enrol(experiment: LiveExperiment, seen: Seen, holdout_bp: int = 0) -> Enrolment | None:
    """The call's place, None when it is not in the experiment: another segment, no unit, held out, or elsewhere in the
    layer.
    """
    tags = seen.tags
    if any(tags.get(name) != value for name, value in experiment.tags.items()):
        return None
    if experiment.keys and seen.key not in experiment.keys:
        return None
    unit = unit_of(experiment, seen)
    if unit is None or (holdout_bp and bucket(HOLDOUT, unit) < holdout_bp):
        return None
    whole = experiment.to_bp - experiment.from_bp >= BUCKETS
    if not whole and not experiment.from_bp <= bucket(experiment.layer, unit) < experiment.to_bp:
        return None
    names, weights = experiment.arms
    at = draw(names, weights, experiment.salt, unit)
    return Enrolment(experiment, experiment.variants[at], unit, weights[at] / sum(weights))
