"""Answers in Gemini's words: candidates, usage, blocks and errors.

Errors: google.rpc.Status, https://cloud.google.com/apis/design/errors (read 2026-11).
"""

import base64
import re
import struct
from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.gateway.call import Reply, Usage
from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.chatanswers import Refusal, bad_answer, choice_of, embeddings, refused, whole_answer
from tidegate.gateway.providers.gemini.words import (
    UNREADABLE,
    Answer,
    Candidate,
    Counts,
    FunctionCall,
    Likelihood,
    Part,
    Predictions,
    Vectors,
)
from tidegate.kernel.errors import ProviderFailed
from tidegate.kernel.ids import new_id

__all__ = ["Said", "blocked_words", "broken_off", "ended", "logprobs_of", "read_gemini", "said", "usage_of"]

FILTERED = frozenset(
    {
        "BLOCKLIST",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "IMAGE_SAFETY",
        "JAILBREAK",
        "MODEL_ARMOR",
        "PROHIBITED_CONTENT",
        "RECITATION",
        "SAFETY",
        "SPII",
    }
)
KEY_REASONS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "ACCESS_TOKEN_EXPIRED"})
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
Object = dict[str, Any]


class Said:
    """What the parts of a candidate say, in OpenAI's words; `delta` is ready to be told."""

    __slots__ = ("calls", "delta")

    def __init__(self, parts: list[Part], calls_before: int = 0) -> None:
        self.delta: Object = {}
        self.calls: list[Object] = []
        for part in parts:
            self._add(part, calls_before)
        if self.calls:
            self.delta["tool_calls"] = self.calls

    def _add(self, part: Part, calls_before: int) -> None:
        signature = {"google": {"thought_signature": part.thought_signature}} if part.thought_signature else None
        if part.function_call is not None:
            call = _call(part.function_call, calls_before + len(self.calls))
            self.calls.append({**call, **({"extra_content": signature} if signature else {})})
            return
        if part.text:
            field = "reasoning_content" if part.thought else "content"
            self.delta[field] = self.delta.get(field, "") + part.text
        if part.inline_data is not None:
            url = f"data:{part.inline_data.mime_type};base64,{part.inline_data.data}"
            self.delta.setdefault("images", []).append({"type": "image_url", "image_url": {"url": url}})
        if signature:
            self.delta["extra_content"] = signature


def _call(call: FunctionCall, index: int) -> Object:
    arguments = bytes(call.args).decode()
    function = {"name": call.name, "arguments": "{}" if arguments == "null" else arguments}
    return {"index": index, "id": call.id or new_id("call"), "type": "function", "function": function}


_ANSWER = msgspec.json.Decoder(Answer)
_VECTORS = msgspec.json.Decoder(Vectors)
_PREDICTIONS = msgspec.json.Decoder(Predictions)


def said(data: bytes) -> Answer:
    """Read an answer, or one event of a stream; raises ProviderFailed."""
    try:
        return _ANSWER.decode(data)
    except UNREADABLE as error:
        raise bad_answer(f"{len(data)} bytes that are no GenerateContentResponse ({error})") from error


def read_gemini(ask: Ask, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
    """A whole answer in OpenAI's words; raises ProviderFailed."""
    if status != 200:
        return refused(ask.call, status, headers, _refusal(body))
    if ask.endpoint == "embeddings":
        return _embedded(ask, body)
    answer = said(body)
    if answer.error is not None:
        raise broken_off(answer.error)
    choices = [_choice(candidate) for candidate in answer.candidates]
    if not choices:
        choices = [_blocked(answer)]
    usage, reasoning = usage_of(answer.usage_metadata)
    return whole_answer(ask, choices, usage, reasoning, answer.model_version)


def usage_of(counts: Counts | None) -> tuple[Usage | None, int | None]:
    """What was used, and how much of the output was thought."""
    if counts is None:
        return None, None
    read = counts.prompt_token_count + counts.tool_use_prompt_token_count
    written = counts.candidates_token_count + (counts.thoughts_token_count or 0)
    return Usage(read, written, counts.cached_content_token_count), counts.thoughts_token_count


def ended(native: str, calls: bool) -> Object:
    """The fields of a choice that ended for this reason."""
    if native in FILTERED:
        return choice_of("content_filter", native)
    if native == "MAX_TOKENS":
        return choice_of("length", native)
    return choice_of("tool_calls" if calls else "stop", native)


def logprobs_of(candidate: Candidate) -> Object | None:
    """A candidate's log-probabilities in OpenAI's words."""
    found = candidate.logprobs_result
    if found is None:
        return None
    content = []
    for place, chosen in enumerate(found.chosen_candidates):
        top = found.top_candidates[place].candidates if place < len(found.top_candidates) else []
        content.append({**_likelihood(chosen), "top_logprobs": [_likelihood(one) for one in top]})
    return {"content": content, "refusal": None}


def blocked_words(answer: Answer) -> tuple[str, Object] | None:
    """Why a prompt was blocked, in words, and the fields of the choice that ended so; None when it was not."""
    feedback = answer.prompt_feedback
    if feedback is None or not feedback.block_reason:
        return None
    words = feedback.block_reason_message or f"The prompt was blocked: {feedback.block_reason}."
    return words, choice_of("content_filter", feedback.block_reason)


def broken_off(error: Object) -> ProviderFailed:
    """An error where an answer should be."""
    told = _told(error)
    status = error.get("code")
    return ProviderFailed(
        f"The upstream broke off with an error: {told.message}",
        status=status if isinstance(status, int) else None,
        mend="Try again.",
    )


def _choice(candidate: Candidate) -> Object:
    told = Said(candidate.content.parts if candidate.content else [])
    for call in told.calls:
        del call["index"]
    message = {"role": "assistant", "content": None, "refusal": None, **told.delta}
    if not told.calls and message["content"] is None:
        message["content"] = ""
    finish = ended(candidate.finish_reason or "FINISH_REASON_UNSPECIFIED", bool(told.calls))
    return {"index": candidate.index, "message": message, "logprobs": logprobs_of(candidate), **finish}


def _blocked(answer: Answer) -> Object:
    found = blocked_words(answer)
    if found is None:
        raise bad_answer("a GenerateContentResponse without candidates")
    words, finish = found
    return {"index": 0, "message": {"role": "assistant", "content": None, "refusal": words}, **finish}


def _likelihood(one: Likelihood) -> Object:
    return {"token": one.token, "logprob": one.log_probability, "bytes": list(one.token.encode())}


def _embedded(ask: Ask, body: bytes) -> Reply:
    raw = ask.payload.get("encoding_format")
    packed = raw is not None and bytes(raw) == b'"base64"'
    try:
        if b'"predictions"' in body[:4096]:
            found = _PREDICTIONS.decode(body).predictions
            vectors = [one.embeddings.values for one in found]
            counts = [one.embeddings.statistics.token_count for one in found]
            known = [int(count) for count in counts if count is not None]
            tokens = sum(known) if len(known) == len(counts) else None
        else:
            many = _VECTORS.decode(body)
            vectors = [one.values for one in many.embeddings]
            tokens = many.usage_metadata.prompt_token_count if many.usage_metadata else None
    except UNREADABLE as error:
        raise bad_answer(f"{len(body)} bytes that are no embeddings ({error})") from error
    return embeddings(ask, [_packed(one) for one in vectors] if packed else vectors, tokens)


def _packed(values: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def _refusal(body: bytes) -> Refusal:
    try:
        said: Any = msgspec.json.decode(body)
    except UNREADABLE:
        said = None
    if isinstance(said, list) and said:
        said = said[0]
    error = said.get("error") if isinstance(said, dict) else None
    if not isinstance(error, dict):
        return Refusal(f"{body[:200].decode(errors='replace')!r}", "provider_error")
    return _told(error)


def _told(error: Object) -> Refusal:
    details = error.get("details")
    listed = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    wait, about_key = None, False
    for one in listed:
        kind = str(one.get("@type", ""))
        found = _SECONDS.fullmatch(str(one.get("retryDelay", ""))) if kind.endswith("google.rpc.RetryInfo") else None
        wait = float(found[1]) if found else wait
        about_key = about_key or (kind.endswith("google.rpc.ErrorInfo") and one.get("reason") in KEY_REASONS)
    code = str(error.get("status") or error.get("code") or "provider_error")
    return Refusal(str(error.get("message") or code), code, wait, about_key)
