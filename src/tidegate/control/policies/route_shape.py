"""The blocks under `routes`, as their author writes them."""

from typing import Annotated, Any

from msgspec import Meta, field

from tidegate.control.policies.blocks import Block

__all__ = [
    "STRATEGIES",
    "BreakerBlock",
    "ChoiceBlock",
    "ContentBlock",
    "RetryBlock",
    "RouteBlock",
    "ScoringBlock",
    "ShadowBlock",
]

STRATEGIES = ("weighted", "least_busy", "latency", "prefix_affinity", "priority", "cost")
"""How a route may choose between its models."""

PERCENT = Annotated[float, Meta(ge=0, le=100, description="Of 100 calls; two digits after the point count.")]


class ChoiceBlock(Block, frozen=True, kw_only=True):
    """One model of a route."""

    model: Annotated[str, Meta(description="A name under `models`.")]
    weight: Annotated[int, Meta(ge=1, le=10_000, description="Its share beside the other weights.")] = 1
    priority: Annotated[int, Meta(ge=0, le=100, description="Its rank for the strategy `priority`, 0 first.")] = 0


class RetryBlock(Block, frozen=True, kw_only=True):
    """How often a step of the route is tried."""

    attempts: Annotated[int, Meta(ge=1, le=10, description="All tries of one step together; 1: no retry.")] = 2
    base_ms: Annotated[int, Meta(ge=0, le=60_000, description="Milliseconds that the first wait is at most.")] = 100
    max_ms: Annotated[int, Meta(ge=0, le=600_000, description="Milliseconds that no wait passes.")] = 2000
    budget: Annotated[
        float, Meta(ge=0, le=1, description="Retries as a share of all first tries, so that an outage is no storm.")
    ] = 0.5


class BreakerBlock(Block, frozen=True, kw_only=True):
    """When a model is left alone for a while."""

    failures: Annotated[int, Meta(ge=1, le=1000, description="Failures in a row.")] = 5
    open_s: Annotated[float, Meta(gt=0, le=3600, description="Seconds until one call may try again.")] = 10.0


class ShadowBlock(Block, frozen=True, kw_only=True):
    """A copy of some calls for a candidate, never in the user's time, bill or cache. Give `model` or `version`."""

    percent: PERCENT
    model: Annotated[str, Meta(description="The candidate: a name under `models`.")] | None = None
    version: (
        Annotated[
            str,
            Meta(
                pattern=r"^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}$",
                description="The candidate: another version of the prompt that is asked for, as 1.2.0.",
            ),
        ]
        | None
    ) = None
    max_usd_per_day: Annotated[float, Meta(ge=0, le=1_000_000, description="US dollars a day for the copies.")] = 1.0
    max_parallel: Annotated[int, Meta(ge=1, le=10_000, description="Copies at a time, by gateway process.")] = 4
    timeout_s: Annotated[float, Meta(gt=0, le=3600, description="Seconds that one copy may take.")] = 60.0


class ContentBlock(Block, frozen=True, kw_only=True):
    """Which calls leave their messages and answers in the content store, sealed."""

    percent: PERCENT = 0.0


class ScoringBlock(Block, frozen=True, kw_only=True):
    """Which of the calls whose content is kept are scored, by what, while users are served."""

    scorers: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=256)] | dict[str, Any], ...],
        Meta(
            min_length=1,
            max_length=16,
            description="Scorers: faithfulness, contains:WORDS, or {faithfulness_judge: {model: ALIAS}}.",
        ),
    ]
    percent: PERCENT = 100.0
    usd_per_day: Annotated[
        float, Meta(ge=0, le=1_000_000, description="US dollars a day that judges may cost here.")
    ] = 1.0


class RouteBlock(Block, frozen=True, kw_only=True):
    """What an alias stands for: one model, or several with a strategy."""

    model: Annotated[str, Meta(description="A name under `models`. Give `model` or `models`.")] | None = None
    models: Annotated[
        tuple[str | ChoiceBlock, ...],
        Meta(description="Several: names under `models`, or blocks {model: NAME, weight: 1, priority: 0}."),
    ] = ()
    strategy: Annotated[
        str,
        Meta(
            description="How to choose between several: weighted (by weight), least_busy, latency, prefix_affinity "
            "(the same beginning goes to the same model), priority (the first that is well), cost (the cheapest).",
            extra_json_schema={"enum": list(STRATEGIES)},
        ),
    ] = "weighted"
    fallbacks: Annotated[
        tuple[str, ...], Meta(description="Aliases or models that are tried in this order when the route has failed.")
    ] = ()
    retry: Annotated[RetryBlock, Meta(description="How often one step is tried.")] = RetryBlock()
    breaker: Annotated[BreakerBlock, Meta(description="When a model is left alone.")] = BreakerBlock()
    regions: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...],
        Meta(description="Only models of these regions are called, fallbacks too. Empty: all."),
    ] = ()
    shadow: Annotated[ShadowBlock | None, Meta(description="A copy of some calls for a candidate.")] = None
    content: Annotated[ContentBlock, Meta(description="Which calls leave their content, sealed.")] = ContentBlock()
    scoring: Annotated[ScoringBlock | None, Meta(description="Which of those calls are scored, and by what.")] = None
    environments: Annotated[dict[str, str], Meta(description="Another model for an environment: {staging: NAME}.")] = (
        field(default_factory=dict)
    )
