"""The shape of `tidegate.yaml`, as its author writes it. The published JSON Schema is made from it."""

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from tidegate.control.policies.blocks import Block
from tidegate.control.policies.limit_shape import BudgetBlock, LimitBlock
from tidegate.control.policies.model_shape import ModelBlock
from tidegate.control.policies.route_shape import RouteBlock
from tidegate.jobs.notifications import EVENTS

__all__ = ["ConfigFile", "EnvironmentBlock", "ExperimentsBlock", "NotifierBlock", "PoliciesBlock", "PromptsBlock"]


class EnvironmentBlock(Block, frozen=True, kw_only=True):
    """One environment."""

    protected: Annotated[
        bool,
        Meta(
            description="A version that is live there is replaced step by step (`tidegate release start`), or by an "
            "emergency with a reason; the first version of a prompt, and what an experiment has shipped, may go live "
            "at once."
        ),
    ] = False


class PoliciesBlock(Block, frozen=True, kw_only=True):
    """Limits that hold for every call."""

    max_body_bytes: Annotated[int, Meta(ge=1024, le=1024**3, description="The largest request body, in bytes.")] = (
        10 * 1024 * 1024
    )
    drain_timeout_s: Annotated[
        float,
        Meta(ge=0, le=3600, description="Seconds that answers under way may take to finish on shutdown."),
    ] = 30.0
    record_flush_ms: Annotated[
        int, Meta(ge=1, le=100, description="Milliseconds between two writes of call records.")
    ] = 50
    calls_retention_days: Annotated[int, Meta(ge=1, le=3650, description="Days that call records are kept.")] = 30
    calls_max_mb: Annotated[
        int,
        Meta(ge=16, le=10_000_000, description="Megabytes of call records that are kept; the oldest go first."),
    ] = 2048
    content_retention_days: Annotated[
        int, Meta(ge=1, le=3650, description="Days that messages and answers are kept, on routes that keep some.")
    ] = 30
    default_max_output_tokens: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000_000,
            description="Tokens that an answer may have where the call gave no bound and a budget or a limit on tokens "
            "needs one.",
        ),
    ] = 4096
    cors_origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Web pages that may call the gateway: exact origins, as https://app.example, or '*'; never "
            "with credentials."
        ),
    ] = ()
    judge_usd_per_day: Annotated[
        float,
        Meta(ge=0, le=1_000_000, description="US dollars a day that judges of users' calls may cost, all together."),
    ] = 5.0
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(description="If there are any, every model's host must be one of them; no other is ever called."),
    ] = ()


class ExperimentsBlock(Block, frozen=True, kw_only=True):
    """What holds for every experiment."""

    holdout_percent: Annotated[
        float,
        Meta(
            ge=0,
            le=50,
            description="Of 100 units, so many are in no experiment, always the same ones, in steps of 0.01: what all "
            "experiments together have changed can be seen by them.",
        ),
    ] = 0.0


class PromptsBlock(Block, frozen=True, kw_only=True):
    """Where prompts come from."""

    repository: Annotated[
        str, Meta(min_length=1, description="A Git repository: a folder, relative to this file, or a URL.")
    ] = "."
    branch: Annotated[str, Meta(min_length=1, description="The branch whose tip is read.")] = "main"
    remote: Annotated[
        str | None, Meta(description="The remote to fetch from and push release tags to, for example origin.")
    ] = None
    push: Annotated[bool, Meta(description="Push release tags and reverts to the remote.")] = True


class NotifierBlock(Block, frozen=True, kw_only=True):
    """Somewhere to tell what happened. Give the address as `url`, or as `url_env` if it is a secret."""

    name: Annotated[str, Meta(description="Its name in logs.")]
    kind: Annotated[
        Literal["webhook", "slack"],
        Meta(description="`webhook`: a signed JSON POST. `slack`: a message to a Slack-compatible webhook."),
    ]
    url: Annotated[str, Meta(description="Where to post.")] | None = None
    url_env: Annotated[str, Meta(description="The environment variable that holds the address.")] | None = None
    events: Annotated[
        tuple[Annotated[str, Meta(extra_json_schema={"enum": list(EVENTS)})], ...],
        Meta(description="What to tell; absent: everything."),
    ] = EVENTS


class ConfigFile(Block, frozen=True, kw_only=True, rename={"api_version": "apiVersion"}):
    """The whole file. Control applies it; `server` is read by each process when it starts."""

    api_version: Annotated[Literal["tidegate/v1"], Meta(description="The file's format.")]
    models: Annotated[
        dict[str, ModelBlock],
        Meta(min_length=1, description="Models at upstreams, by a name of your choice."),
    ]
    routes: Annotated[dict[str, RouteBlock], Meta(description="The aliases that applications and prompts ask for.")] = (
        field(default_factory=dict)
    )
    limits: Annotated[
        tuple[LimitBlock, ...], Meta(description="Requests, tokens and parallel calls, by key, team, model or tag.")
    ] = ()
    budgets: Annotated[
        tuple[BudgetBlock, ...], Meta(description="Dollars by day or month, by key, team, model or tag.")
    ] = ()
    environments: Annotated[
        dict[str, EnvironmentBlock],
        Meta(min_length=1, description="Where prompts are released to, in order."),
    ] = field(
        default_factory=lambda: {
            "dev": EnvironmentBlock(),
            "staging": EnvironmentBlock(),
            "production": EnvironmentBlock(protected=True),
        }
    )
    policies: Annotated[PoliciesBlock, Meta(description="Limits that hold for every call.")] = PoliciesBlock()
    experiments: Annotated[ExperimentsBlock, Meta(description="What holds for every experiment.")] = ExperimentsBlock()
    prompts: Annotated[PromptsBlock, Meta(description="Where prompts come from.")] = PromptsBlock()
    notifiers: Annotated[tuple[NotifierBlock, ...], Meta(description="Who is told what happened.")] = ()
    server: Annotated[
        dict[str, Any],
        Meta(description="Addresses and processes. TIDEGATE_* variables win over it."),
    ] = field(default_factory=dict)
