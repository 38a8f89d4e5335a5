"""What `tidegate.yaml` means: the Config that control applies, or every fault of the text at once."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import msgspec

from tidegate.control.policies.checks import COMPLAINTS, secrets_in
from tidegate.control.policies.facts import facts
from tidegate.control.policies.meaning import Scoring, deployment_of, limits_of, policy_of, route_of, scoring_of
from tidegate.control.policies.ports import Prices
from tidegate.control.policies.reading import check_shape
from tidegate.control.policies.references import dangling
from tidegate.control.policies.shape import ConfigFile
from tidegate.kernel.documents import check_yaml
from tidegate.kernel.errors import Invalid, InvalidDocument
from tidegate.live.explain import CallExplanation, CandidateView, RouteExplanation
from tidegate.live.plans import make_plan
from tidegate.live.snapshot import ANY, Deployment, LimitRule, Policy, Route, Snapshot

__all__ = [
    "SECRETS",
    "CallExplanation",
    "CandidateView",
    "Config",
    "Environment",
    "NotifierSpec",
    "PromptSource",
    "Retention",
    "Route",
    "RouteExplanation",
    "Scoring",
    "SecretInfo",
    "changes",
    "check_config",
    "config_schema",
    "parse_config",
    "priced",
    "warnings",
]


WAYS: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "PriceBlock": (("input_usd_per_1m_tokens", "output_usd_per_1m_tokens"), ("gpu",)),
        "RouteBlock": (("model",), ("models",)),
        "ShadowBlock": (("model",), ("version",)),
        "LimitBlock": (("requests", "per"), ("tokens", "per"), ("parallel",)),
    }
)
"""Blocks that can be written in several ways, each by the fields that it needs: for the published schema."""


SECRETS = "secrets"
"""The table of sealed secrets: part of what their seals are bound to."""


class SecretInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's sealed secret, without its value. `key_id` is the fingerprint of its master key."""

    name: str
    key_id: str
    set_at_ms: int
    set_by: str


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
    """The whole configuration. `auto_priced` names the deployments whose price comes from the catalogue; `scoring` is
    by route.
    """

    deployments: dict[str, Deployment]
    routes: dict[str, Route]
    environments: tuple[Environment, ...]
    policy: Policy = Policy()
    retention: Retention = Retention()
    prompts: PromptSource = PromptSource()
    notifiers: tuple[NotifierSpec, ...] = ()
    auto_priced: tuple[str, ...] = ()
    limits: tuple[LimitRule, ...] = ()
    scoring: dict[str, Scoring] = {}

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
    before, after = dict(facts(old)) if old else {}, dict(facts(new))
    lines = []
    for name in [*after, *(name for name in before if name not in after)]:
        if name not in before:
            lines.append(f"+ {name}: {after[name]}")
        elif name not in after:
            lines.append(f"- {name}: {before[name]}")
        elif before[name] != after[name]:
            lines.append(f"~ {name}: {before[name]} -> {after[name]}")
    return tuple(lines)


def warnings(config: Config) -> tuple[str, ...]:
    """What holds but may not be meant, a line each: hard budgets that a model without a price comes under."""
    lines = []
    for rule in config.limits:
        if rule.unit == "nano_usd" and rule.hard:
            names = sorted({one.name for one in _in_reach(config, rule) if one.price is None})
            if names:
                lines.append(
                    f"budgets.{rule.name}: the price of {', '.join(names)} is unknown, so that its cost cannot be "
                    "bounded: its calls are refused under this budget. Give it a `price`."
                )
    return tuple(lines)


def _in_reach(config: Config, rule: LimitRule) -> Iterator[Deployment]:
    """The deployments that a call under the rule may go to."""
    wanted, place = rule.match.get("model", ANY), rule.match.get("environment", ANY)
    world = Snapshot(deployments=config.deployments, routes=config.routes)
    aliases = (*config.routes, *config.deployments) if wanted == ANY else (wanted,)
    places = [one.name for one in config.environments] if place == ANY else [place]
    for alias in aliases:
        for environment in places:
            yield from (one.deployment for one in make_plan(world, alias, environment).candidates)


def config_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of the file, `server` left open: that block belongs to the processes."""
    schema = msgspec.json.schema(ConfigFile)
    for name, ways in WAYS.items():
        schema["$defs"][name]["anyOf"] = [{"required": list(fields)} for fields in ways]
    return schema


def _config(file: ConfigFile) -> Config:
    return Config(
        deployments={name: deployment_of(name, model) for name, model in file.models.items()},
        routes={alias: route_of(alias, route) for alias, route in file.routes.items()},
        scoring={alias: scoring_of(one.scoring) for alias, one in file.routes.items() if one.scoring is not None},
        limits=limits_of(file.limits, file.budgets),
        environments=tuple(Environment(name=name, protected=one.protected) for name, one in file.environments.items()),
        policy=policy_of(file.policies, file.experiments),
        retention=Retention(calls_days=file.policies.calls_retention_days, calls_max_mb=file.policies.calls_max_mb),
        prompts=msgspec.convert(msgspec.to_builtins(file.prompts), PromptSource),
        notifiers=tuple(msgspec.convert(msgspec.to_builtins(one), NotifierSpec) for one in file.notifiers),
        auto_priced=tuple(name for name, model in file.models.items() if model.price == "auto"),
    )
