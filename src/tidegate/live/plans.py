"""Plans: which deployments a call may go to, in which order of steps, and why the others may not. Pure: the gateway
plans with it, and `tidegate route explain` shows the same plan.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cached_property

import msgspec

from tidegate.kernel.money import Price
from tidegate.live.snapshot import Breaker, Choice, Deployment, Retry, Route, Snapshot

__all__ = [
    "ADAPTER",
    "Candidate",
    "Ceiling",
    "Excluded",
    "Plan",
    "Step",
    "adapters_of",
    "make_plan",
    "make_shadow_plan",
    "may_use",
    "tried_once",
]

ADAPTER = ":"
OPENAI = "//api.openai.com"

Link = tuple[str, Route | None, tuple[Choice, ...]]
"""One link of a chain before it is bounded: its name, its route if it is one, and what it may choose from."""


class Candidate(msgspec.Struct, frozen=True):
    """A deployment that may be called. `upstream_model` is what it is asked for: its own model, or a LoRA adapter."""

    deployment: Deployment
    upstream_model: str
    weight: int = 1
    priority: int = 0


class Excluded(msgspec.Struct, frozen=True):
    """A deployment that may not, and why, in words for its operator."""

    deployment: str
    why: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One link of the chain: an alias with its policy over the candidates that are left."""

    alias: str
    strategy: str
    candidates: tuple[Candidate, ...]
    retry: Retry = Retry()
    breaker: Breaker = Breaker()


class Ceiling(msgspec.Struct, frozen=True):
    """What the candidates of a plan have in common: the fewest output tokens that one allows (None: none says), the
    most that one takes for an image, all their prices (None when one is unknown), and whether one is OpenAI's own.
    """

    output_tokens: int | None
    image_tokens: int
    prices: tuple[Price, ...] | None
    openai: bool


class Plan(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The whole chain. `known` is False when the configuration has no such alias, model or adapter. `steps` is empty
    when nothing may be called; then `excluded` says why. `total_timeout_s` is the longest that a candidate may take:
    all attempts together get no more.
    """

    alias: str
    known: bool
    steps: tuple[Step, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    total_timeout_s: float = 600.0

    @property
    def candidates(self) -> Iterator[Candidate]:
        """Every candidate of every step: what a bound on the call's cost must cover."""
        return (candidate for step in self.steps for candidate in step.candidates)

    @cached_property
    def ceiling(self) -> Ceiling:
        """Found once for all calls of this plan."""
        deployments = [one.deployment for one in self.candidates]
        prices = [one.price for one in deployments if one.price is not None]
        return Ceiling(
            output_tokens=min((one.max_output_tokens for one in deployments if one.max_output_tokens), default=None),
            image_tokens=max((one.image_tokens for one in deployments), default=0),
            prices=tuple(prices) if len(prices) == len(deployments) else None,
            openai=any(one.provider == "azure" or OPENAI in one.base_url for one in deployments),
        )


def make_plan(snapshot: Snapshot, alias: str, environment: str, regions: tuple[str, ...] = ()) -> Plan:
    """Plan a call of `alias` (`alias:adapter` for a LoRA adapter) in an environment, for a key bound to `regions`.

    Fail closed: with regions, of the key's or of the asked route's, a deployment of another region or of none is
    excluded from every step, fallbacks too; a fallback's own regions narrow its step further.
    """
    base, adapter = _split(snapshot, alias)
    links = tuple(_chain(snapshot, base, environment))
    of_call = tuple(frozenset(one) for one in (regions, _regions(snapshot, base)) if one)
    steps, excluded = [], []
    for name, route, choices in links:
        narrower = route is not None and name != base and route.regions
        bounds = (*of_call, frozenset(narrower)) if narrower else of_call
        candidates = []
        for choice in choices:
            found = _candidate(snapshot, choice, adapter, bounds)
            if isinstance(found, Candidate):
                candidates.append(found)
            else:
                excluded.append(found)
        if candidates:
            policy = route or Route(alias=name, deployment=name)
            steps.append(
                Step(
                    alias=name,
                    strategy=policy.strategy,
                    candidates=tuple(candidates),
                    retry=policy.retry,
                    breaker=policy.breaker,
                )
            )
    return Plan(
        alias=alias,
        known=bool(links) and (adapter is None or adapter in _adapters(snapshot, links)),
        steps=tuple(steps),
        excluded=tuple(excluded),
        total_timeout_s=max(
            (one.deployment.total_timeout_s for step in steps for one in step.candidates), default=600.0
        ),
    )


def make_shadow_plan(
    snapshot: Snapshot,
    alias: str,
    regions: tuple[str, ...] = (),
    rendered: Plan | None = None,
) -> Plan:
    """Plan the shadow of a call of `alias`: its candidate alone, tried once; without `deployment` the plan's of the
    other version (`rendered`). Bound to the same regions as the call itself, fail closed.
    """
    route = snapshot.routes.get(alias)
    shadow = route.shadow if route else None
    if shadow is None:
        return Plan(alias=alias, known=False)
    bounds = tuple(frozenset(one) for one in (regions, _regions(snapshot, alias)) if one)
    if shadow.deployment is not None:
        found = [_candidate(snapshot, Choice(shadow.deployment), None, bounds)]
    else:
        found = [_bounded(one, bounds) for one in (rendered.candidates if rendered else ())]
    candidates = tuple(one for one in found if isinstance(one, Candidate))[:1]
    step = Step(alias=alias, strategy="priority", candidates=candidates, retry=Retry(attempts=1))
    excluded = tuple(one for one in found if isinstance(one, Excluded))
    return Plan(alias=alias, known=True, steps=(step,) if candidates else (), excluded=excluded)


def tried_once(plan: Plan) -> Plan:
    """The plan's first step alone, without a retry."""
    steps = tuple(msgspec.structs.replace(one, retry=Retry(attempts=1)) for one in plan.steps[:1])
    return msgspec.structs.replace(plan, steps=steps)


def adapters_of(snapshot: Snapshot, alias: str, environment: str) -> tuple[str, ...]:
    """The LoRA adapters that the configuration declares for an alias or model, its fallbacks included."""
    return _adapters(snapshot, _chain(snapshot, alias, environment))


def may_use(snapshot: Snapshot, names: Container[str], alias: str) -> bool:
    """Whether a key with this list of models may use an alias: it is listed, or it is an adapter of a listed one."""
    return alias in names or _split(snapshot, alias)[0] in names


def _split(snapshot: Snapshot, alias: str) -> tuple[str, str | None]:
    """The alias and its adapter; a name that is there as it stands has none."""
    if ADAPTER not in alias or alias in snapshot.routes or alias in snapshot.deployments:
        return alias, None
    base, _, adapter = alias.partition(ADAPTER)
    return base, adapter


def _adapters(snapshot: Snapshot, links: Iterable[Link]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for _, _, choices in links:
        for choice in choices:
            one = snapshot.deployments.get(choice.deployment)
            if one is not None:
                found.update(dict.fromkeys(one.adapters))
    return tuple(found)


def _regions(snapshot: Snapshot, alias: str) -> tuple[str, ...]:
    route = snapshot.routes.get(alias)
    return route.regions if route else ()


def _chain(snapshot: Snapshot, alias: str, environment: str) -> Iterator[Link]:
    """The asked route, then its fallbacks in order, each once; a fallback's own fallbacks are not followed."""
    seen: set[str] = set()
    first = snapshot.routes.get(alias)
    for name in (alias, *(first.fallbacks if first else ())):
        if name in seen:
            continue
        seen.add(name)
        route = snapshot.routes.get(name)
        if route is not None:
            yield name, route, _choices(route, environment)
        elif name in snapshot.deployments:
            yield name, None, (Choice(name),)


def _choices(route: Route, environment: str) -> tuple[Choice, ...]:
    own = route.by_environment.get(environment)
    if own is not None:
        return (Choice(own),)
    return route.choices or (Choice(route.deployment),)


def _candidate(
    snapshot: Snapshot, choice: Choice, adapter: str | None, bounds: tuple[frozenset[str], ...]
) -> Candidate | Excluded:
    deployments: Mapping[str, Deployment] = snapshot.deployments
    one = deployments.get(choice.deployment)
    if one is None:
        return Excluded(choice.deployment, "it is not configured")
    outside = _outside(one, bounds)
    if outside is not None:
        return outside
    model = one.upstream_model
    if adapter is not None:
        if adapter not in one.adapters:
            return Excluded(one.name, f"it has no adapter {adapter!r}")
        model = one.adapters[adapter]
    return Candidate(one, model, choice.weight, choice.priority)


def _bounded(one: Candidate, bounds: tuple[frozenset[str], ...]) -> Candidate | Excluded:
    return _outside(one.deployment, bounds) or one


def _outside(one: Deployment, bounds: tuple[frozenset[str], ...]) -> Excluded | None:
    for allowed in bounds:
        if one.region not in allowed:
            where = f"its region is {one.region!r}" if one.region else "it names no region"
            return Excluded(one.name, f"{where}, and only {', '.join(sorted(allowed))} is allowed")
    return None
