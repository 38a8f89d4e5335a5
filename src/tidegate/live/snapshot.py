"""The Snapshot: everything the gateway needs to know, immutable, numbered by `generation`. Control writes it; the
gateway obeys it.

It travels as JSON with the schema's number inside. A reader understands the schema before and after its own, so that
gateways and control can be upgraded in any order: fields are only ever added, with a default.
"""

import hashlib

import msgspec

from tidegate.kernel.errors import Invalid
from tidegate.kernel.money import Price
from tidegate.live.assignment import Arm
from tidegate.live.experiments import LiveExperiment

__all__ = [
    "ANY",
    "SCHEMA",
    "UNITS",
    "Arm",
    "Breaker",
    "Choice",
    "Deployment",
    "KeyGrant",
    "LimitRule",
    "LiveRelease",
    "LiveRollout",
    "Policy",
    "PromptMessage",
    "PromptVersion",
    "Retry",
    "Route",
    "Sealed",
    "Shadow",
    "Snapshot",
    "decode_snapshot",
    "encode_snapshot",
    "secret_hash",
]

SCHEMA = 1
UNITS = ("requests", "tokens", "parallel", "nano_usd")
ANY = "*"
"""In a LimitRule's `match`: the tag must be there, with any value."""


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one upstream. Times in seconds. The secret itself is not here: `api_key_env` names the variable
    that holds it, `secret` the sealed one in the Snapshot.

    `region` says where its data stay (empty: unknown, so that a key bound to regions never reaches it). `options` are
    the provider's own words (azure: api_version; vertex: project, location; bedrock: region). `adapters` are LoRA
    adapters on this base: asked for as `alias:adapter`, each with its id at the upstream. `image_tokens` bounds what
    one image can cost. `probe_s` 0: no active probe.
    """

    name: str
    provider: str
    base_url: str
    upstream_model: str
    api_key_env: str | None = None
    secret: str | None = None
    headers: dict[str, str] = {}
    options: dict[str, str] = {}
    region: str = ""
    adapters: dict[str, str] = {}
    price: Price | None = None
    max_output_tokens: int | None = None
    image_tokens: int = 50_000
    max_parallel: int | None = None
    stream_usage: bool = True
    native_responses: bool = True
    probe_s: float = 0.0
    connect_timeout_s: float = 5.0
    first_token_timeout_s: float = 60.0
    idle_timeout_s: float = 60.0
    total_timeout_s: float = 600.0


class Choice(msgspec.Struct, frozen=True):
    """One deployment of a route. `weight` for the strategies that draw, `priority` (0 first) for those that rank."""

    deployment: str
    weight: int = 1
    priority: int = 0


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """How often one step of a route is tried. `attempts` counts all tries of the step (1: no retry); the wait before
    the n-th is drawn from [0, min(max_ms, base_ms * 2^n)]; retries are at most `budget` of all first tries (a share,
    over the last seconds), so that an outage is not answered with a storm.
    """

    attempts: int = 2
    base_ms: int = 100
    max_ms: int = 2000
    budget: float = 0.5


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """When a deployment is left alone: after `failures` in a row it opens for `open_s`, then lets one call try."""

    failures: int = 5
    open_s: float = 10.0


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of `share_bp` of 10,000 calls for a candidate, never in the user's latency, bill or cache.

    The candidate is another `deployment`, or another `version` of the prompt asked for (then the version's own model
    unless `deployment` is given). Caps of its own: dollars a day, calls at a time, seconds a call.
    """

    share_bp: int
    deployment: str | None = None
    version: str | None = None
    cap_nano_usd_per_day: int = 1_000_000_000
    max_parallel: int = 4
    timeout_s: float = 60.0


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What an alias stands for: a policy over deployments, where an environment may have its own single one.

    `deployment` is the first choice (all that older gateways know); `choices` empty means it alone. `fallbacks` are
    aliases or deployments tried in order when this step has failed. `content_bp` of 10,000 calls leave their messages
    and answers in the content store.
    """

    alias: str
    deployment: str
    by_environment: dict[str, str] = {}
    strategy: str = "weighted"
    choices: tuple[Choice, ...] = ()
    fallbacks: tuple[str, ...] = ()
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    regions: tuple[str, ...] = ()
    shadow: Shadow | None = None
    content_bp: int = 0


class LimitRule(msgspec.Struct, frozen=True, kw_only=True):
    """One limit or budget: at most `cap` of `unit` per window, over all gateway processes together.

    `match` says whose calls count: `key` (name), `model` (alias), `environment`, or a tag (team, project, ...) with its
    value, ANY for whatever value; empty: every call. `each` splits the count: one counter for each value of those
    words. `unit` is one of UNITS; `per` is minute, hour, day or month in `time_zone`, empty for `parallel`. Not `hard`:
    it warns and never blocks. From `soft_bp` of 10,000 on it warns.
    """

    name: str
    unit: str
    cap: int
    per: str = ""
    match: dict[str, str] = {}
    each: tuple[str, ...] = ()
    time_zone: str = "UTC"
    soft_bp: int = 8000
    hard: bool = True


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's secret, sealed with AES-256-GCM under the workspace's master key (adapters/vault)."""

    name: str
    key_id: str
    nonce: bytes
    ciphertext: bytes
    wrapped_key: bytes
    wrap_nonce: bytes


class KeyGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What a virtual key may do. Found by the SHA-256 of the key (`secret_hash`); the key itself is stored nowhere.

    `models` and `prompts` are allow-lists of names; empty means all. With `regions`, only deployments of these regions
    are ever called, and one without a region never. A key that was revoked stays for a while, so
    that its owner reads why it stopped.
    """

    key_id: str
    name: str
    environment: str = "production"
    scopes: tuple[str, ...] = ("inference",)
    models: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    regions: tuple[str, ...] = ()
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None


class PromptMessage(msgspec.Struct, frozen=True):
    """One message of a chat prompt, its content still a template."""

    role: str
    content: str


class PromptVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable version of a prompt, includes already woven in.

    Exactly one of `messages` (chat) and `template` (text) is given. `sampling` holds request fields in OpenAI's names
    (temperature, max_tokens, stop, ...); `params` is a JSON Schema (2020-12) for the variables.
    """

    name: str
    version: str
    content_hash: str
    model: str
    template_format: str
    messages: tuple[PromptMessage, ...] = ()
    template: str | None = None
    params: dict[str, object] = {}
    sampling: dict[str, object] = {}
    output: dict[str, object] = {}


class LiveRollout(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout under way: its calls carry `rollout_id`, their arm and its propensity, as those of an experiment do.
    `unit` is user, request or `tag:NAME`; a call that does not tell its unit is its own. `shadow`: calls are copied for
    the candidate, also after it was rolled back.
    """

    rollout_id: str
    unit: str = "user"
    shadow: Shadow | None = None


class LiveRelease(msgspec.Struct, frozen=True, kw_only=True):
    """What is live of one prompt in one environment."""

    release_id: str
    number: int
    prompt: str
    environment: str
    arms: tuple[Arm, ...]
    salt: str
    previous_version: str | None = None
    rollout: LiveRollout | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every call. `default_max_output_tokens` bounds a call that gave no bound itself, where a budget or
    a limit on tokens needs one. With `allowed_hosts`, no other host is ever called as an upstream.
    Content that routes keep goes after `content_retention_days`. `holdout_bp` of 10,000 units are in no experiment.
    Judges of users' calls may cost `judge_cap_nano_usd_per_day` together.
    """

    max_body_bytes: int = 10 * 1024 * 1024
    drain_timeout_s: float = 30.0
    record_flush_ms: int = 50
    default_max_output_tokens: int = 4096
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    content_retention_days: int = 30
    holdout_bp: int = 0
    judge_cap_nano_usd_per_day: int = 5_000_000_000


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The whole world, as the gateway sees it. Keyed by: keys[secret hash], deployments[name], routes[alias],
    sealed[secret's name], prompts[name][version], releases[environment][prompt],
    experiments[environment][subject]: those that run there, in the order of their start.
    """

    schema: int = SCHEMA
    generation: int = 0
    written_at_ms: int = 0
    policy: Policy = Policy()
    keys: dict[str, KeyGrant] = {}
    deployments: dict[str, Deployment] = {}
    routes: dict[str, Route] = {}
    limits: tuple[LimitRule, ...] = ()
    sealed: dict[str, Sealed] = {}
    prompts: dict[str, dict[str, PromptVersion]] = {}
    releases: dict[str, dict[str, LiveRelease]] = {}
    experiments: dict[str, dict[str, tuple[LiveExperiment, ...]]] = {}


_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> tuple[bytes, str]:
    """Return the JSON bytes and their SHA-256 in hex."""
    blob = _ENCODER.encode(snapshot)
    return blob, hashlib.sha256(blob).hexdigest()


def decode_snapshot(blob: bytes, sha256: str | None = None) -> Snapshot:
    """Return the Snapshot; raises Invalid when the bytes are not what was written, or are of a schema that is too new
    or too old.
    """
    if sha256 is not None and hashlib.sha256(blob).hexdigest() != sha256:
        raise Invalid(
            "The snapshot's bytes do not match their SHA-256.",
            mend="Run `tidegate apply` to write it anew.",
            code="snapshot_corrupt",
        )
    try:
        snapshot = _DECODER.decode(blob)
    except msgspec.DecodeError as error:
        raise Invalid(
            f"The snapshot cannot be read: {error}.",
            mend="Run `tidegate apply` to write it anew.",
            code="snapshot_corrupt",
        ) from error
    if abs(snapshot.schema - SCHEMA) > 1:
        raise Invalid(
            f"The snapshot has schema {snapshot.schema}; this version reads {SCHEMA - 1} to {SCHEMA + 1}.",
            mend="Upgrade control and gateways one version at a time.",
            code="snapshot_schema",
        )
    return snapshot


def secret_hash(secret: str) -> str:
    """SHA-256 in hex of a key or token: what is stored and looked up. Enough for 160 random bits; a password would
    need more.
    """
    return hashlib.sha256(secret.encode()).hexdigest()
