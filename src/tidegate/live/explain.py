"""Why a call goes where it goes: the plan in words, made by the function that the gateway plans with, and one call's
own way, read from its record. Pure.
"""

from collections.abc import Iterator, Mapping

import msgspec

from tidegate.kernel.money import Price, usd_text
from tidegate.live.calls import CallRecord
from tidegate.live.counting import counts
from tidegate.live.plans import Candidate, Plan, Step, make_plan, may_use
from tidegate.live.snapshot import KeyGrant, LimitRule, Snapshot

__all__ = [
    "CallExplanation",
    "CandidateView",
    "ExcludedView",
    "RouteExplanation",
    "StepView",
    "explain_call",
    "explain_route",
    "price_text",
]

CHOICES: Mapping[str, str] = {
    "weighted": "drawn by weight",
    "least_busy": "the one with the fewest calls under way",
    "latency": "the one that has answered fastest of late",
    "prefix_affinity": "the same beginning of a prompt goes to the same model, whose cache may hold it",
    "priority": "the first of them that is well",
    "cost": "the cheapest for the call's length",
}
DRAWN = frozenset({"weighted"})
PASSED_OVER: Mapping[str, str] = {
    "breaker_open": "its breaker was open",
    "cooling": "it had asked to be left alone",
    "full": "it had as many calls as it may have at a time",
    "retry_budget": "No further retry, for the retry budget was spent",
}
"""The words of a trace that are no attempts."""


class CandidateView(msgspec.Struct, frozen=True, kw_only=True):
    """A model that may be called. `share` is its part of 1 where the strategy draws, else None; `health` what gateways
    on this host say of it, None when none says anything.
    """

    deployment: str
    provider: str
    upstream_model: str
    region: str | None
    weight: int
    priority: int
    share: float | None
    price: str
    health: str | None


class ExcludedView(msgspec.Struct, frozen=True, kw_only=True):
    """A model that may not, and why."""

    deployment: str
    why: str


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One link of the chain; all candidates of it fail before the next is tried."""

    alias: str
    strategy: str
    choice: str
    attempts: int
    breaker: str
    candidates: tuple[CandidateView, ...]


class RouteExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of a call. `refused` says why nothing would be called at all, None when something would; `limits` names
    the limits and budgets that would count it.
    """

    asked: str
    environment: str
    key: str | None
    regions: tuple[str, ...]
    generation: int
    steps: tuple[StepView, ...]
    excluded: tuple[ExcludedView, ...]
    limits: tuple[str, ...]
    shadow: str | None = None
    refused: str | None = None


class CallExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """One call's way, a sentence a line, and the plan as it stands now (None when the alias is gone)."""

    call_id: str
    lines: tuple[str, ...]
    now: RouteExplanation | None = None


def explain_route(
    snapshot: Snapshot,
    asked: str,
    environment: str,
    key: KeyGrant | None = None,
    health: Mapping[str, str] | None = None,
) -> RouteExplanation:
    """The plan of a call of `asked` (an alias, a model, or ALIAS:ADAPTER) with this key, as the gateway makes it.
    `health` is told by deployment.
    """
    regions = key.regions if key is not None else ()
    plan = make_plan(snapshot, asked, environment, regions)
    steps = tuple(_step(step, health or {}) for step in plan.steps)
    route = snapshot.routes.get(asked)
    shadow = None
    if route is not None and route.shadow is not None:
        candidate = route.shadow.deployment or f"the prompt's version {route.shadow.version}"
        shadow = f"{route.shadow.share_bp / 100:g}% of calls are copied to {candidate}"
    return RouteExplanation(
        asked=asked,
        environment=environment,
        key=key.name if key is not None else None,
        regions=regions,
        generation=snapshot.generation,
        steps=steps,
        excluded=tuple(ExcludedView(deployment=one.deployment, why=one.why) for one in plan.excluded),
        limits=tuple(rule.name for rule in snapshot.limits if _may_count(rule, asked, environment, key)),
        shadow=shadow,
        refused=_refused(snapshot, plan, key),
    )


def explain_call(record: CallRecord, now: RouteExplanation | None = None, key: str | None = None) -> CallExplanation:
    """Why the call went where it went, from its record alone; `now` is the plan as it stands, for comparison. `key` is
    the name of the record's key.
    """
    return CallExplanation(call_id=record.call_id, lines=tuple(_story(record, now, key)), now=now)


def price_text(price: Price | None) -> str:
    """`$0.15 in, $0.6 out for 1M tokens`, or unknown."""
    if price is None:
        return "unknown"
    given, taken = price.input_pico_usd_per_token, price.output_pico_usd_per_token
    return f"${given / 1_000_000:g} in, ${taken / 1_000_000:g} out for 1M tokens"


def _step(step: Step, health: Mapping[str, str]) -> StepView:
    total = sum(one.weight for one in step.candidates)
    drawn = step.strategy in DRAWN
    return StepView(
        alias=step.alias,
        strategy=step.strategy,
        choice=CHOICES.get(step.strategy, step.strategy) if len(step.candidates) > 1 else "the only one",
        attempts=step.retry.attempts,
        breaker=f"opens for {step.breaker.open_s:g} s after {step.breaker.failures} failures in a row",
        candidates=tuple(
            _candidate(one, one.weight / total if drawn and total else None, health.get(one.deployment.name))
            for one in step.candidates
        ),
    )


def _candidate(one: Candidate, share: float | None, health: str | None) -> CandidateView:
    return CandidateView(
        deployment=one.deployment.name,
        provider=one.deployment.provider,
        upstream_model=one.upstream_model,
        region=one.deployment.region or None,
        weight=one.weight,
        priority=one.priority,
        share=share,
        price=price_text(one.deployment.price),
        health=health,
    )


def _may_count(rule: LimitRule, asked: str, environment: str, key: KeyGrant | None) -> bool:
    """Whether the rule counts the call, as far as the key's own tags tell; without a key, every tag may be there."""
    if rule.match.get("origin", "user") != "user":
        return False  # a limit of shadows, judges or probes
    words = {"model": asked, "environment": environment, "origin": "user"}
    if key is None:
        return counts(rule, {**rule.match, **words})
    return counts(rule, {**key.tags, **words, "key": key.name})


def _refused(snapshot: Snapshot, plan: Plan, key: KeyGrant | None) -> str | None:
    if key is not None and key.revoked_at_ms is not None:
        return f"the key {key.name!r} is revoked"
    if key is not None and key.models and not may_use(snapshot, key.models, plan.alias):
        return f"the key {key.name!r} may use only {', '.join(key.models)}"
    if not plan.known and plan.excluded:
        return f"no model of {plan.alias!r} has that adapter"
    if not plan.known:
        return f"there is no route and no model {plan.alias!r}"
    return None if plan.steps else "no model is left that may be called"


def _story(record: CallRecord, now: RouteExplanation | None, key: str | None) -> Iterator[str]:
    asked = record.model_requested or record.route or "nothing"
    place = f" in {record.environment}" if record.environment else ""
    whose = f" with the key {key or record.key_id}" if record.key_id else ""
    yield f"It asked for {asked}{place}{whose}, and saw generation {record.generation}."
    if record.shadow_of:
        yield f"It is a shadow of {record.shadow_of}: not the user's, and not in the user's bill."
    if record.prompt is not None:
        version = f"@{record.prompt_version}" if record.prompt_version else ""
        yield f"The prompt {record.prompt}{version} named the model: {record.route or 'none'}."
    tried = []
    for name, outcome in _trace(record):
        if not name:
            yield f"{PASSED_OVER.get(outcome, outcome)}."
        elif outcome in PASSED_OVER:
            yield f"{name} was passed over: {PASSED_OVER[outcome]}."
        else:
            tried.append(name)
            yield f"Attempt {len(tried)}: {name}: {outcome}."
    if not tried and record.attempts == 0 and record.deployment is None:
        yield "No upstream was asked."
    if record.deployment is not None:
        where = f" in {record.region}" if record.region else " (no region)"
        yield f"{record.deployment}{where} was the last one asked, as {record.upstream_model or 'its own model'}."
        yield from _why(record, now, tried)
    code = f" ({record.error_code})" if record.error_code else ""
    yield f"It ended as {record.ending} with status {record.status}{code}, after {record.latency_ms:.0f} ms."
    if record.bound_nano_usd is not None:
        yield f"Reserved at most {usd_text(record.bound_nano_usd)}; it cost {usd_text(record.cost_nano_usd)}."
    else:
        yield f"Nothing was reserved; it cost {usd_text(record.cost_nano_usd)}."


def _trace(record: CallRecord) -> Iterator[tuple[str, str]]:
    """(deployment, outcome) of each entry of the trace; the deployment is empty for what concerns none."""
    for part in record.trace.split(" > ") if record.trace else ():
        name, _, outcome = part.rpartition(":")
        yield name, outcome


def _why(record: CallRecord, now: RouteExplanation | None, names: list[str]) -> Iterator[str]:
    """What the plan says of the one that answered, if it still names it."""
    distinct = [*dict.fromkeys(names)]
    if len(distinct) > 1:
        yield f"It fell back: {' -> '.join(distinct)}."
    for number, step in enumerate(now.steps if now is not None else ()):
        if any(one.deployment == record.deployment for one in step.candidates):
            link = "the route itself" if number == 0 else f"fallback {number}, {step.alias}"
            yield f"By today's plan that is {link}: {step.choice}."
            return
    if now is not None:
        why = next((one.why for one in now.excluded if one.deployment == record.deployment), None)
        yield f"By today's plan it would not be called{f': {why}' if why else ''}."
