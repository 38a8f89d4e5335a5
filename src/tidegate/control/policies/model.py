"""What `tidegate.yaml` means: the Config that control applies, or every fault of the text at once."""

from collections.abc import Iterator, Mapping

import msgspec

from tidegate.control.policies.checks import COMPLAINTS, dangling, secrets_in
from tidegate.control.policies.ports import Prices
from tidegate.control.policies.reading import check_shape
from tidegate.control.policies.shape import ConfigFile, ModelBlock, PriceBlock
from tidegate.kernel.documents import check_yaml
from tidegate.kernel.errors import Invalid, InvalidDocument
from tidegate.kernel.money import Price, pico_usd_per_token
from tidegate.live.snapshot import Deployment, Policy, Route

__all__ = [
    "Config",
    "Environment",
    "NotifierSpec",
    "PromptSource",
    "Retention",
    "changes",
    "check_config",
    "config_schema",
    "parse_config",
    "priced",
]

OWN_PRICE = "tidegate.yaml"


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Where prompts are released to."""

    name: str
    protected: bool = False


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How many call records are kept: those within the days, and of them the newest within the megabytes."""

    calls_days: int = 30
    calls_max_mb: int = 2048


class PromptSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where prompts come from, relative to the workspace; without a `remote` nothing is pushed."""

    repository: str = "."
    branch: str = "main"
    remote: str | None = None
    push: bool = True


class NotifierSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Somewhere to tell what happened. Either `url` or `url_env` (a variable that holds it) is given."""

    name: str
    kind: str
    url: str | None = None
    url_env: str | None = None
    events: tuple[str, ...] = ()


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration. `auto_priced` names the deployments whose price comes from the catalogue."""

    deployments: dict[str, Deployment]
    routes: dict[str, Route]
    environments: tuple[Environment, ...]
    policy: Policy = Policy()
    retention: Retention = Retention()
    prompts: PromptSource = PromptSource()
    notifiers: tuple[NotifierSpec, ...] = ()
    auto_priced: tuple[str, ...] = ()

    def environment(self, name: str) -> Environment | None:
        """The environment of that name, if there is one."""
        return next((one for one in self.environments if one.name == name), None)


def check_config(text: str, file: str) -> tuple[Config | None, tuple[InvalidDocument, ...]]:
    """Return the Config, or None and every fault in the order of lines. `file` is the name that they show."""
    document, faults = check_yaml(text, file)
    if document is None:
        return None, faults
    faults += (
        *secrets_in(text, file),
        *check_shape(document, ConfigFile, COMPLAINTS),
        *dangling(document),
    )
    if faults:
        return None, tuple(sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0)))
    return _config(msgspec.convert(document.value, ConfigFile)), ()


def parse_config(text: str, file: str) -> Config:
    """Return the Config; raises Invalid (`invalid_config`) whose message has a line for each fault."""
    config, faults = check_config(text, file)
    if config is not None:
        return config
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = "\n".join(f"  {fault}" for fault in faults)
    raise Invalid(
        f"{file} has {count}:\n{lines}",
        mend="Nothing was changed. Mend the file and apply it again.",
        code="invalid_config",
    )


def priced(config: Config, prices: Prices) -> Config:
    """Return the Config with the catalogue's prices in it; what the catalogue does not list stays unknown."""
    deployments = dict(config.deployments)
    for name in config.auto_priced:
        one = deployments[name]
        price = prices.price(one.base_url, one.upstream_model)
        deployments[name] = msgspec.structs.replace(one, price=price)
    return msgspec.structs.replace(config, deployments=deployments)


def changes(old: Config | None, new: Config) -> tuple[str, ...]:
    """Say what is different, a line each, in the file's words: `~ policies.max_body_bytes: 1024 -> 2048`."""
    before, after = dict(_facts(old)) if old else {}, dict(_facts(new))
    lines = []
    for name in [*after, *(name for name in before if name not in after)]:
        if name not in before:
            lines.append(f"+ {name}: {after[name]}")
        elif name not in after:
            lines.append(f"- {name}: {before[name]}")
        elif before[name] != after[name]:
            lines.append(f"~ {name}: {before[name]} -> {after[name]}")
    return tuple(lines)


def config_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of the file, `server` left open: that block belongs to the processes."""
    return msgspec.json.schema(ConfigFile)


def _config(file: ConfigFile) -> Config:
    policies = file.policies
    return Config(
        deployments={name: _deployment(name, model) for name, model in file.models.items()},
        routes={
            alias: Route(alias=alias, deployment=route.model, by_environment=route.environments)
            for alias, route in file.routes.items()
        },
        environments=tuple(Environment(name=name, protected=one.protected) for name, one in file.environments.items()),
        policy=Policy(
            max_body_bytes=policies.max_body_bytes,
            drain_timeout_s=policies.drain_timeout_s,
            record_flush_ms=policies.record_flush_ms,
        ),
        retention=Retention(calls_days=policies.calls_retention_days, calls_max_mb=policies.calls_max_mb),
        prompts=msgspec.convert(msgspec.to_builtins(file.prompts), PromptSource),
        notifiers=tuple(msgspec.convert(msgspec.to_builtins(one), NotifierSpec) for one in file.notifiers),
        auto_priced=tuple(name for name, model in file.models.items() if model.price == "auto"),
    )


def _deployment(name: str, model: ModelBlock) -> Deployment:
    return Deployment(
        name=name,
        provider=model.provider,
        base_url=model.base_url.rstrip("/"),
        upstream_model=model.model,
        api_key_env=model.api_key_env,
        headers=model.headers,
        price=_price(model.price) if isinstance(model.price, PriceBlock) else None,
        connect_timeout_s=model.timeouts.connect_s,
        first_token_timeout_s=model.timeouts.first_token_s,
        idle_timeout_s=model.timeouts.idle_s,
        total_timeout_s=model.timeouts.total_s,
    )


def _price(block: PriceBlock) -> Price:
    cached = block.cached_input_usd_per_1m_tokens
    return Price(
        input_pico_usd_per_token=pico_usd_per_token(block.input_usd_per_1m_tokens),
        output_pico_usd_per_token=pico_usd_per_token(block.output_usd_per_1m_tokens),
        cached_input_pico_usd_per_token=None if cached is None else pico_usd_per_token(cached),
        source=OWN_PRICE,
    )


def _facts(config: Config) -> Iterator[tuple[str, str]]:
    """Every value of the configuration by its place in the file."""
    for name, one in config.deployments.items():
        values = msgspec.to_builtins(one)
        values["price"] = _price_text(one.price)
        values["model"] = values.pop("upstream_model")
        del values["name"]
        yield from _flat(f"models.{name}", values)
    for alias, route in config.routes.items():
        yield from _flat(f"routes.{alias}", {"model": route.deployment, "environments": route.by_environment})
    for place in config.environments:
        yield f"environments.{place.name}.protected", _text(place.protected)
    kept = {
        "calls_retention_days": config.retention.calls_days,
        "calls_max_mb": config.retention.calls_max_mb,
    }
    yield from _flat("policies", {**msgspec.to_builtins(config.policy), **kept})
    yield from _flat("prompts", msgspec.to_builtins(config.prompts))
    for notifier in config.notifiers:
        yield (
            f"notifiers.{notifier.name}",
            f"{notifier.kind} to {notifier.url or notifier.url_env}: {', '.join(notifier.events)}",
        )


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
    numbers = " in, ".join(f"${pico / 1_000_000:g}" for pico in pair)
    cached = price.cached_input_pico_usd_per_token
    extra = "" if cached is None else f", ${cached / 1_000_000:g} cached in"
    return f"{numbers} out{extra} for 1M tokens ({price.source})"


def _text(value: object) -> str:
    return "yes" if value is True else "no" if value is False else str(value)
