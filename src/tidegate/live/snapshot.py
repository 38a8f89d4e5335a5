"""The Snapshot: everything the gateway needs to know, immutable, numbered by `generation`. Control writes it; the
gateway obeys it.

It travels as JSON with the schema's number inside. A reader understands the schema before and after its own, so that
gateways and control can be upgraded in any order: fields are only ever added, with a default.
"""

import hashlib

import msgspec

from tidegate.kernel.errors import Invalid
from tidegate.kernel.money import Price

__all__ = [
    "SCHEMA",
    "Arm",
    "Deployment",
    "KeyGrant",
    "LiveRelease",
    "Policy",
    "PromptMessage",
    "PromptVersion",
    "Route",
    "Snapshot",
    "decode_snapshot",
    "encode_snapshot",
    "secret_hash",
]

SCHEMA = 1


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one upstream. Times in seconds. The secret itself is not here: `api_key_env` names the variable
    that holds it.
    """

    name: str
    provider: str
    base_url: str
    upstream_model: str
    api_key_env: str | None = None
    headers: dict[str, str] = {}
    price: Price | None = None
    connect_timeout_s: float = 5.0
    first_token_timeout_s: float = 60.0
    idle_timeout_s: float = 60.0
    total_timeout_s: float = 600.0


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What an alias stands for: the deployment to call, where an environment may have its own."""

    alias: str
    deployment: str
    by_environment: dict[str, str] = {}


class KeyGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What a virtual key may do. Found by the SHA-256 of the key (`secret_hash`); the key itself is stored nowhere.

    `models` and `prompts` are allow-lists of names; empty means all. A key that was revoked stays for a while, so
    that its owner reads why it stopped.
    """

    key_id: str
    name: str
    environment: str = "production"
    scopes: tuple[str, ...] = ("inference",)
    models: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    tags: dict[str, str] = {}
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


class Arm(msgspec.Struct, frozen=True):
    """A version and its share of the units, in basis points of 10,000."""

    version: str
    weight_bp: int


class LiveRelease(msgspec.Struct, frozen=True, kw_only=True):
    """What is live of one prompt in one environment."""

    release_id: str
    number: int
    prompt: str
    environment: str
    arms: tuple[Arm, ...]
    salt: str
    previous_version: str | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Limits that hold for every call."""

    max_body_bytes: int = 10 * 1024 * 1024
    drain_timeout_s: float = 30.0
    record_flush_ms: int = 50


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The whole world, as the gateway sees it. Keyed by: keys[secret hash], deployments[name], routes[alias],
    prompts[name][version], releases[environment][prompt]."""

    schema: int = SCHEMA
    generation: int = 0
    written_at_ms: int = 0
    policy: Policy = Policy()
    keys: dict[str, KeyGrant] = {}
    deployments: dict[str, Deployment] = {}
    routes: dict[str, Route] = {}
    prompts: dict[str, dict[str, PromptVersion]] = {}
    releases: dict[str, dict[str, LiveRelease]] = {}


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
