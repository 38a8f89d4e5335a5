"""The prompt file: its shape, its place, its hash, and the PromptVersion that the gateway gets of it."""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from tidegate.kernel.names import NAME_PATTERN, SEMVER_PATTERN
from tidegate.live.snapshot import PromptMessage, PromptVersion

__all__ = [
    "GATE_UNITS",
    "PromptFile",
    "TestsBlock",
    "VersionId",
    "content_hash",
    "path_of",
    "place_in",
    "prompt_schema",
    "prompt_version",
    "sampling_of",
]

VersionId: TypeAlias = tuple[str, str]
"""A prompt's name and its version."""

GATE_UNITS = ("drop", "ratio", "rate", "score", "ms", "usd", "tokens")
"""What a gate's name ends with, so that its numbers have a unit."""

Name = Annotated[str, Meta(pattern=NAME_PATTERN, description="1 to 64 of a-z, 0-9, '.', '_', '-'.")]
Semver = Annotated[str, Meta(pattern=SEMVER_PATTERN, description="MAJOR.MINOR.PATCH.")]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="A SHA-256 in hex.")]
Words = Annotated[str, Meta(min_length=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]

_PATH = re.compile(r"prompts/([^/]+)/v([^/]+)\.yaml")
_ENCODER = msgspec.json.Encoder(order="deterministic")


class _Block(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Every block refuses fields that it does not know; a default that is written out is as one left out."""


class ModelBlock(_Block, frozen=True, kw_only=True):
    """Which model is asked, and how."""

    model_id: Annotated[Words, Meta(description="A route's alias or a model's name in tidegate.yaml.")]
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    stop_sequences: Annotated[tuple[Words, ...], Meta(max_length=16)] = ()
    seed: int | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    extra: Annotated[dict[str, Any], Meta(description="More fields of the request, passed on as they are.")] = {}


class MessageBlock(_Block, frozen=True, kw_only=True):
    """One message of a chat prompt."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[Words, Meta(description="A template.")]


class OutputBlock(_Block, frozen=True, kw_only=True):
    """What the answer must be."""

    format: Literal["text", "json"] = "text"
    schema: Annotated[dict[str, Any] | None, Meta(description="JSON Schema of the answer, for format json.")] = None


class IncludeBlock(_Block, frozen=True, kw_only=True):
    """A fragment that is put in where {% include "NAME" %} stands."""

    name: Name
    version: Semver
    sha256: Annotated[Sha256 | None, Meta(description="The fragment's content hash, which pins it.")] = None


class GoldenBlock(_Block, frozen=True, kw_only=True):
    """The dataset that a version is held against."""

    dataset: Annotated[Words, Meta(description="A file, relative to the folder that holds prompts/.")]
    sha256: Sha256 | None = None
    min_pass_rate: Annotated[float, Meta(ge=0, le=1, description="A share of the cases, 0 to 1.")] | None = None


class RepeatsBlock(_Block, frozen=True, kw_only=True):
    """How often a case is asked."""

    max: Annotated[int, Meta(ge=1, le=100)] = 1
    policy: Literal["unstable-only", "always"] = "unstable-only"


class TestsBlock(_Block, frozen=True, kw_only=True):
    """What `tidegate eval` runs."""

    golden: GoldenBlock | None = None
    scorers: Annotated[tuple[Words, ...], Meta(description="Names with version: faithfulness@1.2.0.")] = ()
    repeats: RepeatsBlock | None = None


class GateBlock(_Block, frozen=True, kw_only=True):
    """A bound that a candidate must keep. The gate's name says the unit: it ends with one of GATE_UNITS."""

    max: float | None = None
    min: float | None = None
    block: Annotated[bool, Meta(description="Whether a breach stops the release, or only warns.")] = True


class PromptFile(_Block, frozen=True, kw_only=True, rename={"api_version": "apiVersion"}):
    """One immutable version of a prompt, or of a fragment that prompts include: prompts/NAME/vVERSION.yaml."""

    api_version: Literal["prompts/v1"] = "prompts/v1"
    kind: Annotated[Literal["prompt", "fragment"], Meta(description="A fragment is included, never released.")] = (
        "prompt"
    )
    name: Name
    version: Semver
    description: str = ""
    model: ModelBlock | None = None
    template_format: Literal["jinja2-sandboxed", "plain"] = "jinja2-sandboxed"
    messages: Annotated[tuple[MessageBlock, ...] | None, Meta(description="A chat prompt.")] = None
    template: Annotated[Words | None, Meta(description="A text prompt, or a fragment.")] = None
    params: Annotated[dict[str, Any], Meta(description="JSON Schema 2020-12 of the variables.")] = {}
    output: OutputBlock = OutputBlock()
    includes: tuple[IncludeBlock, ...] = ()
    tests: TestsBlock | None = None
    gates: dict[str, GateBlock] = {}
    metadata: Annotated[dict[str, Any], Meta(description="Notes of yours.")] = {}
    changelog: str = ""

    @property
    def id(self) -> VersionId:
        return self.name, self.version

    def texts(self) -> tuple[tuple[tuple[str | int, ...], str], ...]:
        """Each template of the file with the path that it stands at."""
        if self.messages is not None:
            return tuple((("messages", at, "content"), one.content) for at, one in enumerate(self.messages))
        return () if self.template is None else ((("template",), self.template),)


def path_of(name: str, version: str) -> str:
    """Where a version's file stands, relative to the folder that holds prompts/."""
    return f"prompts/{name}/v{version}.yaml"


def place_in(path: str) -> VersionId | None:
    """The name and version that a path stands for; None when it is not the path of a prompt's version."""
    match = _PATH.fullmatch(path)
    if match is None or not re.match(NAME_PATTERN, match[1]) or not re.match(SEMVER_PATTERN, match[2]):
        return None
    return match[1], match[2]


def content_hash(file: PromptFile, includes: Mapping[str, str]) -> str:
    """SHA-256 in hex over what the file says, fragments included (`includes`: name to content hash).

    The order of keys, comments, quotes and defaults that are written out do not change it; anything else does.
    """
    said = {name: value for name, value in msgspec.to_builtins(file).items() if value != {}}
    content = {"file": _canonical(said), "includes": dict(includes)}
    return hashlib.sha256(_ENCODER.encode(content)).hexdigest()


def prompt_version(file: PromptFile, texts: tuple[str, ...], digest: str) -> PromptVersion:
    """What the gateway gets: the file with `texts`, its templates with the fragments woven in, in order."""
    messages = tuple(PromptMessage(block.role, text) for block, text in zip(file.messages or (), texts, strict=False))
    return PromptVersion(
        name=file.name,
        version=file.version,
        content_hash=digest,
        model=file.model.model_id if file.model else "",
        template_format=file.template_format,
        messages=messages,
        template=texts[0] if file.messages is None else None,
        params=file.params,
        sampling=sampling_of(file.model) if file.model else {},
        output=msgspec.to_builtins(file.output),
    )


def sampling_of(model: ModelBlock) -> dict[str, object]:
    """The request fields of a model block, in OpenAI's names."""
    fields: dict[str, object] = {
        "temperature": model.temperature,
        "top_p": model.top_p,
        "max_tokens": model.max_tokens,
        "stop": list(model.stop_sequences) or None,
        "seed": model.seed,
        "frequency_penalty": model.frequency_penalty,
        "presence_penalty": model.presence_penalty,
    }
    return {**{name: value for name, value in fields.items() if value is not None}, **model.extra}


def prompt_schema() -> dict[str, object]:
    """The JSON Schema of the prompt file, as published in docs/reference/prompt.schema.json."""
    schema = msgspec.json.schema(PromptFile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A Tidegate prompt version", **schema}


def _canonical(value: object) -> object:
    """The value with 1.0 written as 1, as JSON does not tell them apart."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
