"""Gemini's words in answers, as much of them as we read.

Fields: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse, .../api/embeddings, and for Vertex's
predictions https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api (read 2026-11).
"""

from typing import Annotated, Any, TypeAlias

import msgspec

__all__ = [
    "UNREADABLE", "Answer", "Candidate", "Counts", "FunctionCall", "Likelihood", "Part", "Predictions", "Vectors",
]  # fmt: skip

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
Tokens: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Object = dict[str, Any]


class _Words(msgspec.Struct, frozen=True, rename="camel"):
    """An object of the answer; fields that we do not know pass unseen."""


class FunctionCall(_Words, frozen=True):
    """A call; Gemini gives it an id or none."""

    name: str
    args: msgspec.Raw = msgspec.Raw(b"{}")
    id: str | None = None


class InlineBlob(_Words, frozen=True):
    """Media in the answer."""

    mime_type: str = ""
    data: str = ""


class Part(_Words, frozen=True):
    """One part of a candidate."""

    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: InlineBlob | None = None


class Content(_Words, frozen=True):
    """What a candidate says."""

    parts: list[Part] = []


class Likelihood(_Words, frozen=True):
    """A token and its log-probability."""

    token: str = ""
    log_probability: float = 0.0


class Top(_Words, frozen=True):
    """The likeliest tokens at one place."""

    candidates: list[Likelihood] = []


class Logprobs(_Words, frozen=True):
    """`logprobsResult`."""

    chosen_candidates: list[Likelihood] = []
    top_candidates: list[Top] = []


class Candidate(_Words, frozen=True):
    """One answer of several."""

    index: int = 0
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    logprobs_result: Logprobs | None = None


class Feedback(_Words, frozen=True):
    """Why a prompt was not answered."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class Counts(_Words, frozen=True):
    """`usageMetadata`: a count of 0 is left out by the upstream."""

    prompt_token_count: Tokens = 0
    candidates_token_count: Tokens = 0
    thoughts_token_count: Tokens | None = None
    cached_content_token_count: Tokens | None = None
    tool_use_prompt_token_count: Tokens = 0


class Answer(_Words, frozen=True):
    """A GenerateContentResponse, or an error in the middle of a stream."""

    candidates: list[Candidate] = []
    prompt_feedback: Feedback | None = None
    usage_metadata: Counts | None = None
    model_version: str = ""
    response_id: str = ""
    error: Object | None = None


class Vector(_Words, frozen=True):
    """One embedding."""

    values: list[float] = []


class Vectors(_Words, frozen=True):
    """A BatchEmbedContentsResponse."""

    embeddings: list[Vector]
    usage_metadata: Counts | None = None


class Statistics(msgspec.Struct, frozen=True):
    """What one text took (Vertex)."""

    token_count: float | None = None


class Embedded(msgspec.Struct, frozen=True):
    """One embedding (Vertex)."""

    values: list[float]
    statistics: Statistics = Statistics()


class Prediction(msgspec.Struct, frozen=True):
    """One prediction (Vertex)."""

    embeddings: Embedded


class Predictions(msgspec.Struct, frozen=True):
    """A PredictResponse of a text embedding model."""

    predictions: list[Prediction]
