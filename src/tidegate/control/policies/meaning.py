"""From the file's shape to what the gateway obeys: the one border where `tidegate.yaml`'s words become live ones."""

from decimal import ROUND_CEILING, Decimal

import msgspec

from tidegate.control.policies.addresses import public_address
from tidegate.control.policies.limit_shape import BudgetBlock, LimitBlock
from tidegate.control.policies.model_shape import GpuBlock, ModelBlock, PriceBlock, TierBlock
from tidegate.control.policies.route_shape import ChoiceBlock, RouteBlock, ScoringBlock
from tidegate.control.policies.shape import ExperimentsBlock, PoliciesBlock
from tidegate.kernel.money import Price, PriceTier, pico_usd_per_token
from tidegate.live.snapshot import Breaker, Choice, Deployment, LimitRule, Policy, Retry, Route, Shadow

__all__ = ["OWN_PRICE", "Scoring", "deployment_of", "limits_of", "policy_of", "route_of", "scoring_of"]

OWN_PRICE = "tidegate.yaml"

_JSON = msgspec.json.Encoder(order="sorted").encode


class Scoring(msgspec.Struct, frozen=True, kw_only=True):
    """What of a route is scored: `share_bp` of 10,000 of the calls whose content is kept, by which scorers (one with
    settings as JSON), for how much a day.
    """

    scorers: tuple[str, ...]
    share_bp: int
    cap_nano_usd_per_day: int


def deployment_of(name: str, model: ModelBlock) -> Deployment:
    """The deployment that a block under `models` stands for; its catalogue price comes later."""
    return Deployment(
        name=name,
        provider=model.provider,
        base_url=(model.base_url or public_address(model.provider, model.options) or "").rstrip("/"),
        upstream_model=model.model,
        api_key_env=model.api_key_env,
        secret=model.secret,
        headers=model.headers,
        options=model.options,
        region=model.region,
        adapters=model.adapters,
        price=_price(model.price) if isinstance(model.price, PriceBlock) else None,
        max_output_tokens=model.max_output_tokens,
        image_tokens=model.image_tokens,
        max_parallel=model.max_parallel,
        stream_usage=model.stream_usage,
        native_responses=model.native_responses,
        probe_s=model.probe_s,
        connect_timeout_s=model.timeouts.connect_s,
        first_token_timeout_s=model.timeouts.first_token_s,
        idle_timeout_s=model.timeouts.idle_s,
        total_timeout_s=model.timeouts.total_s,
    )


def route_of(alias: str, route: RouteBlock) -> Route:
    """The route that a block under `routes` stands for. One model alone has no choices."""
    choices = tuple(_choice(one) for one in route.models)
    shadow = route.shadow
    return Route(
        alias=alias,
        deployment=route.model or choices[0].deployment,
        by_environment=route.environments,
        strategy=route.strategy,
        choices=choices,
        fallbacks=route.fallbacks,
        retry=Retry(
            attempts=route.retry.attempts,
            base_ms=route.retry.base_ms,
            max_ms=route.retry.max_ms,
            budget=route.retry.budget,
        ),
        breaker=Breaker(failures=route.breaker.failures, open_s=route.breaker.open_s),
        regions=route.regions,
        shadow=None
        if shadow is None
        else Shadow(
            share_bp=_share_bp(shadow.percent),
            deployment=shadow.model,
            version=shadow.version,
            cap_nano_usd_per_day=_nano_usd(shadow.max_usd_per_day),
            max_parallel=shadow.max_parallel,
            timeout_s=shadow.timeout_s,
        ),
        content_bp=_share_bp(route.content.percent),
    )


def scoring_of(block: ScoringBlock) -> Scoring:
    """What a block `scoring` stands for."""
    return Scoring(
        scorers=tuple(one if isinstance(one, str) else _JSON(one).decode() for one in block.scorers),
        share_bp=_share_bp(block.percent),
        cap_nano_usd_per_day=_nano_usd(block.usd_per_day),
    )


def limits_of(limits: tuple[LimitBlock, ...], budgets: tuple[BudgetBlock, ...]) -> tuple[LimitRule, ...]:
    """One rule for each limit, then for each budget, in the file's order."""
    return (*map(_limit, limits), *map(_budget, budgets))


def policy_of(policies: PoliciesBlock, experiments: ExperimentsBlock) -> Policy:
    """What holds for every call, and for every experiment."""
    return Policy(
        max_body_bytes=policies.max_body_bytes,
        drain_timeout_s=policies.drain_timeout_s,
        record_flush_ms=policies.record_flush_ms,
        default_max_output_tokens=policies.default_max_output_tokens,
        cors_origins=policies.cors_origins,
        allowed_hosts=policies.allowed_hosts,
        content_retention_days=policies.content_retention_days,
        holdout_bp=_share_bp(experiments.holdout_percent),
        judge_cap_nano_usd_per_day=_nano_usd(policies.judge_usd_per_day),
    )


def _choice(one: str | ChoiceBlock) -> Choice:
    return Choice(one) if isinstance(one, str) else Choice(one.model, one.weight, one.priority)


def _limit(block: LimitBlock) -> LimitRule:
    units = (("requests", block.requests), ("tokens", block.tokens), ("parallel", block.parallel))
    unit, cap = next((unit, cap) for unit, cap in units if cap is not None)
    return LimitRule(
        name=block.name,
        unit=unit,
        cap=cap,
        per=block.per or "",
        match=block.match,
        each=block.each,
        time_zone=block.time_zone,
        hard=block.hard,
    )


def _budget(block: BudgetBlock) -> LimitRule:
    return LimitRule(
        name=block.name,
        unit="nano_usd",
        cap=_nano_usd(block.usd),
        per=block.per,
        match=block.match,
        each=block.each,
        time_zone=block.time_zone,
        soft_bp=round(block.soft_at * 10_000),
        hard=block.hard,
    )


def _nano_usd(usd: float) -> int:
    return int(Decimal(str(usd)) * 1_000_000_000)


def _share_bp(percent: float) -> int:
    return round(percent * 100)


def _price(block: PriceBlock) -> Price:
    if block.gpu is not None:
        return _by_gpu_hour(block.gpu)
    return Price(
        input_pico_usd_per_token=pico_usd_per_token(block.input_usd_per_1m_tokens or 0),
        output_pico_usd_per_token=pico_usd_per_token(block.output_usd_per_1m_tokens or 0),
        cached_input_pico_usd_per_token=_pico(block.cached_input_usd_per_1m_tokens),
        cache_write_pico_usd_per_token=_pico(block.cache_write_usd_per_1m_tokens),
        tiers=tuple(map(_tier, block.tiers)),
        source=OWN_PRICE,
    )


def _tier(block: TierBlock) -> PriceTier:
    return PriceTier(
        above_input_tokens=block.above_input_tokens,
        input_pico_usd_per_token=pico_usd_per_token(block.input_usd_per_1m_tokens),
        output_pico_usd_per_token=pico_usd_per_token(block.output_usd_per_1m_tokens),
        cached_input_pico_usd_per_token=_pico(block.cached_input_usd_per_1m_tokens),
        cache_write_pico_usd_per_token=_pico(block.cache_write_usd_per_1m_tokens),
    )


def _by_gpu_hour(gpu: GpuBlock) -> Price:
    """All GPUs' dollars an hour, over the tokens that they do in an hour: the same for input and output."""
    usd_an_hour = Decimal(str(gpu.usd_per_hour)) * Decimal(str(gpu.gpus))
    tokens_an_hour = Decimal(str(gpu.tokens_per_second)) * 3600
    pico = int((usd_an_hour * 10**12 / tokens_an_hour).to_integral_value(rounding=ROUND_CEILING))
    return Price(
        input_pico_usd_per_token=pico,
        output_pico_usd_per_token=pico,
        source=f"{OWN_PRICE}, per GPU-hour: {gpu.gpus:g} x ${gpu.usd_per_hour:g}, {gpu.tokens_per_second:g} tokens/s",
    )


def _pico(usd: float | None) -> int | None:
    return None if usd is None else pico_usd_per_token(usd)
