"""Every value of a configuration by its place in the file: what `changes` compares, in the file's words."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.kernel.money import Price
from tidegate.live.snapshot import Breaker, Choice, LimitRule, Retry, Route

if TYPE_CHECKING:
    from tidegate.control.policies.meaning import Scoring
    from tidegate.control.policies.model import Config

__all__ = ["facts", "rule_text"]


def facts(config: "Config") -> Iterator[tuple[str, str]]:
    """(place, value), in the order of the file. What a route does not say is left out."""
    for name, one in config.deployments.items():
        values = msgspec.to_builtins(one)
        values["price"] = _price_text(one.price)
        values["model"] = values.pop("upstream_model")
        values["region"] = one.region or None
        del values["name"]
        yield from _flat(f"models.{name}", values)
    for alias, route in config.routes.items():
        yield from _flat(f"routes.{alias}", _route(route))
        scoring = config.scoring.get(alias)
        if scoring is not None:
            yield from _flat(f"routes.{alias}.scoring", _scoring(scoring))
    for rule in config.limits:
        yield f"{'budgets' if rule.unit == 'nano_usd' else 'limits'}.{rule.name}", rule_text(rule)
    for place in config.environments:
        yield f"environments.{place.name}.protected", _text(place.protected)
    kept = {
        "calls_retention_days": config.retention.calls_days,
        "calls_max_mb": config.retention.calls_max_mb,
    }
    policies = {**msgspec.to_builtins(config.policy), **kept}
    holdout_bp = policies.pop("holdout_bp")
    policies["judge_usd_per_day"] = _usd(policies.pop("judge_cap_nano_usd_per_day"))
    yield from _flat("policies", policies)
    yield "experiments.holdout_percent", f"{holdout_bp / 100:g}"
    yield from _flat("prompts", msgspec.to_builtins(config.prompts))
    for notifier in config.notifiers:
        yield (
            f"notifiers.{notifier.name}",
            f"{notifier.kind} to {notifier.url or notifier.url_env}: {', '.join(notifier.events)}",
        )


def rule_text(rule: LimitRule) -> str:
    """A limit in words: `$100 a month (Europe/Berlin) for each key where team=support, soft at 80%, hard`."""
    if rule.unit == "nano_usd":
        amount = f"${_usd(rule.cap)}"
    else:
        amount = f"{rule.cap} {'parallel calls' if rule.unit == 'parallel' else rule.unit}"
    text = amount + (f" a {rule.per}" if rule.per else "")
    text += f" ({rule.time_zone})" if rule.per in ("day", "month") else ""
    text += f" for each {', '.join(rule.each)}" if rule.each else ""
    where = ", ".join(f"{word}={value}" for word, value in rule.match.items())
    text += f" where {where}" if where else ""
    return f"{text}, soft at {rule.soft_bp / 100:g}%, {'hard' if rule.hard else 'only warns'}"


def _route(route: Route) -> dict[str, Any]:
    """What the route says; defaults are None and left out."""
    values: dict[str, Any] = {"model": route.deployment, "environments": route.by_environment}
    if route.choices:
        values |= {"model": None, "models": {one.deployment: _choice(one) for one in route.choices}}
        values["strategy"] = route.strategy
    values["fallbacks"] = list(route.fallbacks) or None
    values["retry"] = msgspec.to_builtins(route.retry) if route.retry != Retry() else None
    values["breaker"] = msgspec.to_builtins(route.breaker) if route.breaker != Breaker() else None
    values["regions"] = list(route.regions) or None
    values["content.percent"] = f"{route.content_bp / 100:g}" if route.content_bp else None
    if route.shadow is not None:
        shadow = route.shadow
        values["shadow"] = {
            "percent": f"{shadow.share_bp / 100:g}",
            "model": shadow.deployment,
            "version": shadow.version,
            "max_usd_per_day": _usd(shadow.cap_nano_usd_per_day),
            "max_parallel": shadow.max_parallel,
            "timeout_s": shadow.timeout_s,
        }
    return values


def _scoring(scoring: "Scoring") -> dict[str, Any]:
    return {
        "scorers": list(scoring.scorers),
        "percent": f"{scoring.share_bp / 100:g}",
        "usd_per_day": _usd(scoring.cap_nano_usd_per_day),
    }


def _usd(nano_usd: int) -> str:
    return f"{Decimal(nano_usd).scaleb(-9).normalize():f}"


def _choice(choice: Choice) -> str:
    return f"weight {choice.weight}, priority {choice.priority}"


def _flat(place: str, values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{place}.{name}", value)
        elif value is not None:
            yield f"{place}.{name}", _text(value)


def _price_text(price: Price | None) -> str:
    if price is None:
        return "unknown"
    pair = (price.input_pico_usd_per_token, price.output_pico_usd_per_token)
    numbers = " in, ".join(_dollars(pico) for pico in pair)
    cached, written = price.cached_input_pico_usd_per_token, price.cache_write_pico_usd_per_token
    extra = "" if cached is None else f", {_dollars(cached)} cached in"
    extra += "" if written is None else f", {_dollars(written)} written to the cache"
    for tier in price.tiers:
        extra += (
            f"; above {tier.above_input_tokens} tokens in: {_dollars(tier.input_pico_usd_per_token)} in, "
            f"{_dollars(tier.output_pico_usd_per_token)} out"
        )
    return f"{numbers} out{extra} for 1M tokens ({price.source})"


def _dollars(pico: int) -> str:
    return f"${pico / 1_000_000:g}"


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "yes" if value is True else "no" if value is False else str(value)
