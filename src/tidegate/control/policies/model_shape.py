"""The blocks under `models`, as their author writes them."""

from typing import Annotated, Literal

from msgspec import Meta, field

from tidegate.control.policies.blocks import Block

__all__ = ["PROVIDERS", "GpuBlock", "ModelBlock", "PriceBlock", "TierBlock", "TimeoutsBlock"]

PROVIDERS = ("openai", "azure", "anthropic", "gemini", "vertex", "bedrock")
"""The ways of speaking to an upstream that the gateway knows."""

USD_PER_1M = Meta(ge=0, le=100_000, description="US dollars for 1,000,000 tokens.")
CACHED_USD_PER_1M = Meta(
    ge=0, le=100_000, description="US dollars for 1,000,000 cached input tokens. Absent: the input price."
)
WRITTEN_USD_PER_1M = Meta(
    ge=0,
    le=100_000,
    description="US dollars for 1,000,000 input tokens that are written into the provider's cache. Absent: the input "
    "price.",
)


class TierBlock(Block, frozen=True, kw_only=True):
    """Prices of calls with a long input; they hold for the whole call."""

    above_input_tokens: Annotated[int, Meta(ge=1, le=1_000_000_000, description="For inputs longer than this.")]
    input_usd_per_1m_tokens: Annotated[float, USD_PER_1M]
    output_usd_per_1m_tokens: Annotated[float, USD_PER_1M]
    cached_input_usd_per_1m_tokens: Annotated[float, CACHED_USD_PER_1M] | None = None
    cache_write_usd_per_1m_tokens: Annotated[float, WRITTEN_USD_PER_1M] | None = None


class GpuBlock(Block, frozen=True, kw_only=True):
    """What a model of your own costs: its GPUs by the hour, shared out over the tokens that they can do."""

    usd_per_hour: Annotated[float, Meta(gt=0, le=10_000, description="US dollars for one GPU for one hour.")]
    gpus: Annotated[float, Meta(gt=0, le=10_000, description="How many GPUs serve the model.")] = 1.0
    tokens_per_second: Annotated[
        float,
        Meta(gt=0, le=100_000_000, description="Input and output tokens a second of all GPUs together, when busy."),
    ]


class PriceBlock(Block, frozen=True, kw_only=True):
    """A price of your own: by token, or by GPU-hour. Anything else than dollars for a million tokens is refused."""

    input_usd_per_1m_tokens: Annotated[float, USD_PER_1M] | None = None
    output_usd_per_1m_tokens: Annotated[float, USD_PER_1M] | None = None
    cached_input_usd_per_1m_tokens: Annotated[float, CACHED_USD_PER_1M] | None = None
    cache_write_usd_per_1m_tokens: Annotated[float, WRITTEN_USD_PER_1M] | None = None
    tiers: Annotated[tuple[TierBlock, ...], Meta(description="Other prices for long inputs, in rising order.")] = ()
    gpu: Annotated[GpuBlock | None, Meta(description="The price by GPU-hour, instead of prices by token.")] = None


class TimeoutsBlock(Block, frozen=True, kw_only=True):
    """How long one call may wait, in seconds."""

    connect_s: Annotated[float, Meta(gt=0, le=600, description="Seconds until the upstream takes the connection.")] = (
        5.0
    )
    first_token_s: Annotated[float, Meta(gt=0, le=3600, description="Seconds until the first byte of an answer.")] = (
        60.0
    )
    idle_s: Annotated[float, Meta(gt=0, le=3600, description="Seconds of silence inside an answer.")] = 60.0
    total_s: Annotated[float, Meta(gt=0, le=86_400, description="Seconds for the whole call.")] = 600.0


class ModelBlock(Block, frozen=True, kw_only=True):
    """One model at one upstream."""

    provider: Annotated[
        str,
        Meta(
            description="How to speak to the upstream. `openai`: any server with OpenAI's API.",
            extra_json_schema={"enum": list(PROVIDERS)},
        ),
    ]
    base_url: (
        Annotated[
            str,
            Meta(
                description="Where the API begins, up to and with /v1: http://127.0.0.1:8082/v1. Absent: the "
                "provider's own public address.",
                examples=["https://llm.example/v1"],
            ),
        ]
        | None
    ) = None
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
    secret: (
        Annotated[
            str, Meta(description="The name of a stored secret that is the upstream's key, instead of `api_key_env`.")
        ]
        | None
    ) = None
    region: Annotated[
        str,
        Meta(
            max_length=64,
            description="Where the data stay, in your words: eu. Absent: unknown, so that a key that is bound to "
            "regions never reaches the model.",
        ),
    ] = ""
    price: Annotated[
        Literal["auto"] | PriceBlock | None,
        Meta(description="`auto`: the catalogue's. A block: your own. Absent or null: unknown, like the costs."),
    ] = None
    headers: Annotated[dict[str, str], Meta(description="More headers for the upstream. Never a secret.")] = field(
        default_factory=dict
    )
    options: Annotated[
        dict[str, str],
        Meta(
            description="The provider's own words. azure: api_version; vertex: project, location; bedrock: region.",
        ),
    ] = field(default_factory=dict)
    adapters: Annotated[
        dict[str, Annotated[str, Meta(min_length=1, max_length=256)]],
        Meta(description="LoRA adapters on this model, asked for as ALIAS:NAME, each with its id at the upstream."),
    ] = field(default_factory=dict)
    max_output_tokens: (
        Annotated[int, Meta(ge=1, le=10_000_000, description="The longest answer that may be asked for, in tokens.")]
        | None
    ) = None
    image_tokens: Annotated[
        int, Meta(ge=0, le=10_000_000, description="The most input tokens that one image can count as.")
    ] = 50_000
    max_parallel: (
        Annotated[int, Meta(ge=1, le=1_000_000, description="Calls at a time of one gateway process.")] | None
    ) = None
    stream_usage: Annotated[
        bool, Meta(description="Whether a stream may be asked for its usage (stream_options.include_usage).")
    ] = True
    native_responses: Annotated[
        bool, Meta(description="Whether an `openai` upstream has /responses itself; else it is asked as a chat.")
    ] = True
    probe_s: Annotated[float, Meta(ge=0, le=3600, description="Seconds between two active health probes; 0: none.")] = (
        0.0
    )
    timeouts: Annotated[TimeoutsBlock, Meta(description="How long one call may wait, in seconds.")] = TimeoutsBlock()
