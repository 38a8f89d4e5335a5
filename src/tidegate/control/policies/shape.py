"""The shape of `tidegate.yaml`, as its author writes it. The published JSON Schema is made from it."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tidegate.jobs.notifications import EVENTS

__all__ = [
    "PROVIDERS",
    "ConfigFile",
    "EnvironmentBlock",
    "ModelBlock",
    "NotifierBlock",
    "PoliciesBlock",
    "PriceBlock",
    "PromptsBlock",
    "RouteBlock",
    "TimeoutsBlock",
]

PROVIDERS = ("openai",)
"""The ways of speaking to an upstream that the gateway knows."""

USD_PER_1M = Meta(ge=0, le=100_000, description="US dollars for 1,000,000 tokens.")


class _Block(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A block of the file: an unknown field in it is a fault."""


class PriceBlock(_Block, frozen=True, kw_only=True):
    """A price of your own. Anything else than dollars for a million tokens is refused."""

    input_usd_per_1m_tokens: Annotated[float, USD_PER_1M]
    output_usd_per_1m_tokens: Annotated[float, USD_PER_1M]
    cached_input_usd_per_1m_tokens: (
        Annotated[
            float,
            Meta(
                ge=0,
                le=100_000,
                description="US dollars for 1,000,000 cached input tokens. Absent: the input price.",
            ),
        ]
        | None
    ) = None


class TimeoutsBlock(_Block, frozen=True, kw_only=True):
    """How long one call may wait, in seconds."""

    connect_s: Annotated[float, Meta(gt=0, le=600, description="Seconds until the upstream takes the connection.")] = (
        5.0
    )
    first_token_s: Annotated[float, Meta(gt=0, le=3600, description="Seconds until the first byte of an answer.")] = (
        60.0
    )
    idle_s: Annotated[float, Meta(gt=0, le=3600, description="Seconds of silence inside an answer.")] = 60.0
    total_s: Annotated[float, Meta(gt=0, le=86_400, description="Seconds for the whole call.")] = 600.0


class ModelBlock(_Block, frozen=True, kw_only=True):
    """One model at one upstream."""

    provider: Annotated[
        str,
        Meta(
            description="How to speak to the upstream. `openai`: any server with OpenAI's API.",
            extra_json_schema={"enum": list(PROVIDERS)},
        ),
    ]
    base_url: Annotated[
        str,
        Meta(
            description="Where the API begins, up to and with /v1: http://127.0.0.1:8082/v1.",
            examples=["https://llm.example/v1"],
        ),
    ]
    model: Annotated[str, Meta(min_length=1, max_length=256, description="The model's id at the upstream.")]
    api_key_env: (
        Annotated[
            str,
            Meta(
                description="The environment variable with the upstream's key. Absent or null: no key.",
                examples=["OPENAI_API_KEY"],
            ),
        ]
        | None
    ) = None
    price: Annotated[
        Literal["auto"] | PriceBlock | None,
        Meta(description="`auto`: the catalogue's. A block: your own. Absent or null: unknown, like the costs."),
    ] = None
    headers: Annotated[dict[str, str], Meta(description="More headers for the upstream. Never a secret.")] = {}
    timeouts: Annotated[TimeoutsBlock, Meta(description="How long one call may wait, in seconds.")] = TimeoutsBlock()


class RouteBlock(_Block, frozen=True, kw_only=True):
    """What an alias stands for."""

    model: Annotated[str, Meta(description="A name under `models`.")]
    environments: Annotated[dict[str, str], Meta(description="Another model for an environment: {staging: NAME}.")] = {}


class EnvironmentBlock(_Block, frozen=True, kw_only=True):
    """One environment."""

    protected: Annotated[bool, Meta(description="Releases into it take more than one person's say.")] = False


class PoliciesBlock(_Block, frozen=True, kw_only=True):
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


class PromptsBlock(_Block, frozen=True, kw_only=True):
    """Where prompts come from."""

    repository: Annotated[
        str, Meta(min_length=1, description="A Git repository: a folder, relative to this file, or a URL.")
    ] = "."
    branch: Annotated[str, Meta(min_length=1, description="The branch whose tip is read.")] = "main"
    remote: Annotated[
        str | None, Meta(description="The remote to fetch from and push release tags to, for example origin.")
    ] = None
    push: Annotated[bool, Meta(description="Push release tags and reverts to the remote.")] = True


class NotifierBlock(_Block, frozen=True, kw_only=True):
    """Somewhere to tell what happened. Give the address as `url`, or as `url_env` if it is a secret."""

    name: Annotated[str, Meta(description="Its name in logs.")]
    kind: Annotated[Literal["webhook"], Meta(description="`webhook`: a JSON POST.")]
    url: Annotated[str, Meta(description="Where to post.")] | None = None
    url_env: Annotated[str, Meta(description="The environment variable that holds the address.")] | None = None
    events: Annotated[
        tuple[Annotated[str, Meta(extra_json_schema={"enum": list(EVENTS)})], ...],
        Meta(description="What to tell; absent: everything."),
    ] = EVENTS


class ConfigFile(_Block, frozen=True, kw_only=True, rename={"api_version": "apiVersion"}):
    """The whole file. Control applies it; `server` is read by each process when it starts."""

    api_version: Annotated[Literal["tidegate/v1"], Meta(description="The file's format.")]
    models: Annotated[
        dict[str, ModelBlock],
        Meta(min_length=1, description="Models at upstreams, by a name of your choice."),
    ]
    routes: Annotated[
        dict[str, RouteBlock], Meta(description="The aliases that applications and prompts ask for.")
    ] = {}
    environments: Annotated[
        dict[str, EnvironmentBlock],
        Meta(min_length=1, description="Where prompts are released to, in order."),
    ] = msgspec.field(
        default_factory=lambda: {
            "dev": EnvironmentBlock(),
            "staging": EnvironmentBlock(),
            "production": EnvironmentBlock(protected=True),
        }
    )
    policies: Annotated[PoliciesBlock, Meta(description="Limits that hold for every call.")] = PoliciesBlock()
    prompts: Annotated[PromptsBlock, Meta(description="Where prompts come from.")] = PromptsBlock()
    notifiers: Annotated[tuple[NotifierBlock, ...], Meta(description="Who is told what happened.")] = ()
    server: Annotated[
        dict[str, Any],
        Meta(description="Addresses and processes. TIDEGATE_* variables win over it."),
    ] = {}
