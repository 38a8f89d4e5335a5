"""Whole answers in OpenAI's dialect: note what was used, pass the bytes on as they came, and tell an answer from what
is none.
"""

from collections.abc import Mapping
from typing import Annotated, TypeAlias, TypeVar

import msgspec

from tidegate.gateway.call import JSON_HEADER, Call, Reply, Usage
from tidegate.gateway.providers.base import Ask
from tidegate.kernel.errors import ProviderFailed

__all__ = [
    "SILENT",
    "UNREADABLE",
    "TokenDetails",
    "Tokens",
    "UsageFields",
    "message_of",
    "note_usage",
    "read_answer",
    "read_loosely",
]

PASSED_HEADERS = (b"retry-after", b"retry-after-ms", b"x-should-retry")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
SILENT = (b"", b"null", b'""', b"[]", b"{}")
OURS = (401, 403, 405)
MAX_WORD = 64
MAX_MESSAGE = 2000

T = TypeVar("T", bound=msgspec.Struct)
Tokens: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A count that can be true: anything else is an unknown one."""


class TokenDetails(msgspec.Struct):
    """`prompt_tokens_details`: what of the input was read from a cache, and what was written to it."""

    cached_tokens: Tokens | None = None
    cache_write_tokens: Tokens | None = None


class UsageFields(msgspec.Struct):
    """`usage` of chat, completions and embeddings."""

    prompt_tokens: Tokens | None = None
    completion_tokens: Tokens | None = None
    prompt_tokens_details: TokenDetails | None = None


class Choice(msgspec.Struct):
    """The one field of a choice that we note."""

    finish_reason: str | None = None


class Answer(msgspec.Struct):
    """The fields of an answer that we note; all others pass unseen."""

    usage: UsageFields | None = None
    choices: list[Choice] = []
    error: msgspec.Raw = msgspec.Raw()


_ANSWER = msgspec.json.Decoder(Answer)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_answer(ask: Ask, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
    """Note usage and finish reason on the call and return the reply with the upstream's own bytes; raises
    ProviderFailed.
    """
    call = ask.call
    call.upstream_request_id = _word(headers.get(b"x-request-id"))
    if status != 200:
        return _refusal(call, status, headers, body)
    try:
        answer = _answer(body)
    except UNREADABLE as error:
        raise ProviderFailed(
            f"The upstream answered 200 with something that is no answer: {_taste(headers, body)} ({error}).",
            mend="Check that base_url points at an OpenAI-compatible API and ends where /chat/completions begins.",
            code="provider_bad_answer",
        ) from error
    if not answer.choices and bytes(answer.error) not in SILENT:
        raise ProviderFailed(
            f"The upstream answered 200 with an error: {message_of(answer.error)}", mend="Try again later."
        )
    note_usage(ask, answer.usage)
    if answer.choices and answer.choices[0].finish_reason:
        call.finish_reason = answer.choices[0].finish_reason[:MAX_WORD]
    return Reply(200, [(b"content-type", headers.get(b"content-type", b"application/json"))], body)


def note_usage(ask: Ask, usage: UsageFields | None) -> None:
    """Note what the upstream says it used. An embedding has no output: its count is a known 0."""
    if usage is None:
        return
    output = usage.completion_tokens
    if output is None and ask.endpoint == "embeddings":
        output = 0
    details = usage.prompt_tokens_details or TokenDetails()
    ask.call.usage = Usage(usage.prompt_tokens, output, details.cached_tokens, details.cache_write_tokens)


def read_loosely(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Read a JSON object's fields one by one, and leave those out that have another shape than we know: a dialect that
    says more, or says it otherwise, is still an answer. Raises DecodeError for what is no JSON object.
    """
    there = _FIELDS.decode(data)
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        if field.name not in there:
            continue
        raw = there[field.name]
        try:
            found[field.name] = msgspec.json.decode(raw, type=field.type)
        except UNREADABLE:
            if field.type == UsageFields | None:
                found[field.name] = _usage(raw)
    return kind(**found)


def message_of(error: msgspec.Raw) -> str:
    """The words of an error, in whatever shape it is."""
    try:
        decoded = msgspec.json.decode(error)
    except UNREADABLE:
        decoded = bytes(error).decode(errors="replace")
    said = str(decoded.get("message", decoded)) if isinstance(decoded, dict) else str(decoded)
    return said[:MAX_MESSAGE]


def _answer(body: bytes) -> Answer:
    try:
        return _ANSWER.decode(body)
    except msgspec.ValidationError:
        return read_loosely(body, Answer)


def _usage(raw: msgspec.Raw) -> UsageFields | None:
    try:
        return read_loosely(raw, UsageFields)
    except UNREADABLE:
        return None


def _refusal(call: Call, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
    """An upstream's error goes on with its own status and words, except where the client would take it for an error of
    its own.

    401 and 403 are about the key that we hold, 405 and a 404 without words about the address that we were configured
    with, 3xx would lead our key elsewhere: to the client each is a 502.
    """
    call.ending = "failed"
    error = _error(body)
    message = str(error.get("message") or _taste(headers, body))[:MAX_MESSAGE]
    if status < 400 or status in OURS or (status == 404 and not error):
        raise ProviderFailed(
            f"The upstream answered {status}: {message}", status=status, mend=_mend(status), code=_code(status)
        )
    call.error_code = str(error.get("code") or error.get("type") or _code(status))[:MAX_WORD]
    if not error.get("own"):
        words = {"message": f"The upstream answered {status}: {message}", "type": "upstream_error", "param": None}
        body = msgspec.json.encode({"error": {**words, "code": call.error_code}})
    passed = [(name, headers[name]) for name in PASSED_HEADERS if name in headers]
    limits = [(name, value) for name, value in headers.items() if name.startswith(b"x-ratelimit-")]
    return Reply(status, [JSON_HEADER, *passed, *limits], body)


def _error(body: bytes) -> dict[str, object]:
    """The error that a body tells: `own` marks OpenAI's shape, whose bytes can go on as they are; a bare string, or
    `message` or `detail` at the top (vLLM, FastAPI) are words too. Empty when there is none.
    """
    try:
        said = msgspec.json.decode(body, type=dict[str, object])
    except UNREADABLE:
        return {}
    error = said.get("error")
    if isinstance(error, dict) and error:
        return {**error, "own": True}
    words = error or said.get("message") or said.get("detail")
    return {"message": words, "code": said.get("code"), "type": said.get("type")} if words else {}


def _code(status: int) -> str:
    if status in (401, 403):
        return "provider_auth"
    return "provider_rate_limited" if status == 429 else "provider_error"


def _mend(status: int) -> str:
    if status in (401, 403):
        return "The operator must check the key in the model's api_key_env."
    if status in (404, 405) or status < 400:
        return "The operator must check the model's base_url."
    return "Try again later."


def _taste(headers: Mapping[bytes, bytes], body: bytes) -> str:
    kind = _word(headers.get(b"content-type")) or "no content type"
    encoding = _word(headers.get(b"content-encoding"))
    kind = f"{kind} in {encoding}" if encoding else kind
    start = body[:80].decode("utf-8", "replace").strip().replace("\n", " ")
    return f"{kind}, {len(body)} bytes, beginning {start!r}"


def _word(value: bytes | None) -> str | None:
    return value.decode("latin-1")[: 2 * MAX_WORD] if value else None
