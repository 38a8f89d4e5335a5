"""Answers in the words of chat.completions, made from those of another upstream: whole, chunk by chunk, and refusals.

Shapes: https://platform.openai.com/docs/api-reference/chat/object and .../chat/streaming (read 2026-11). Two fields are
added where an upstream says more: a choice's `native_finish_reason` (its own word) and `extra_content` (what it wants
to see again in the next request).
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tidegate.gateway.call import JSON_HEADER, Call, Reply, Usage
from tidegate.gateway.providers.base import Ask
from tidegate.kernel.errors import ProviderFailed

__all__ = ["CUT", "Refusal", "Telling", "bad_answer", "choice_of", "cut", "embeddings", "refused", "whole_answer"]

CUT = "provider_cut"
MAX_WORD = 64
MAX_MESSAGE = 2000
OURS = (401, 403, 405)
Object = dict[str, Any]


class Refusal(msgspec.Struct, frozen=True):
    """What an upstream's error says. `code` is its own word for it; `about_key` when it is about the key that we hold,
    whatever the status.
    """

    message: str
    code: str
    retry_after_s: float | None = None
    about_key: bool = False


class Telling:
    """Tells one streamed answer in chunks, and notes tokens and finish reasons on the call."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.call = ask.call
        self.model = ask.model
        self.answer_id = f"chatcmpl-{ask.call.call_id}"
        self.created = int(time.time())
        self._begun: set[int] = set()

    def chunk(self, index: int, delta: Object, finish: Object | None = None, logprobs: Object | None = None) -> bytes:
        """One chunk of a choice; `finish` holds its finish reasons (see `choice_of`). Its first one says the role."""
        if index not in self._begun:
            self._begun.add(index)
            delta = {"role": "assistant", "content": "", **delta}
            said = bool(delta["content"]) or len(delta) > 2
        else:
            said = bool(delta)
        call = self.call
        if said:
            call.last_token_s = time.perf_counter()
            if call.first_token_s is None:
                call.first_token_s = call.last_token_s
        choice: Object = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}
        if finish is not None:
            choice |= finish
            call.finish_reason = finish["finish_reason"]
        return self._event([choice])

    def end(self, usage: Usage | None, reasoning_tokens: int | None = None) -> bytes:
        """The stream's end: usage, for those who want it, and [DONE]. From here on the answer is whole."""
        call = self.call
        call.usage = usage
        call.whole = True
        last = b""
        if self.ask.usage_wanted and usage is not None:
            last = self._event([], usage=usage_words(usage, reasoning_tokens))
        return last + b"data: [DONE]\n\n"

    def _event(self, choices: Sequence[Object], **more: Any) -> bytes:
        words = {
            "id": self.answer_id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            **more,
        }
        return b"data: " + msgspec.json.encode(words) + b"\n\n"


def choice_of(finish_reason: str, native: str) -> Object:
    """The fields of a choice that has finished."""
    return {"finish_reason": finish_reason, "native_finish_reason": native[:MAX_WORD]}


def whole_answer(
    ask: Ask, choices: Sequence[Object], usage: Usage | None, reasoning_tokens: int | None = None, model: str = ""
) -> Reply:
    """A whole answer; notes usage and finish reason on the call."""
    call = ask.call
    call.usage = usage
    call.finish_reason = choices[0]["finish_reason"] if choices else None
    body: Object = {
        "id": f"chatcmpl-{call.call_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model or ask.model,
        "choices": [{"logprobs": None, **choice} for choice in choices],
    }
    if usage is not None:
        body["usage"] = usage_words(usage, reasoning_tokens)
    return Reply(200, [JSON_HEADER], msgspec.json.encode(body))


def embeddings(ask: Ask, vectors: Iterable[object], input_tokens: int | None) -> Reply:
    """Embeddings; `vectors` are lists of numbers, or Base64 of them. What is not known of usage is not told."""
    body: Object = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": one} for index, one in enumerate(vectors)],
        "model": ask.model,
    }
    if input_tokens is not None:
        ask.call.usage = Usage(input_tokens, 0)
        body["usage"] = {"prompt_tokens": input_tokens, "total_tokens": input_tokens}
    return Reply(200, [JSON_HEADER], msgspec.json.encode(body))


def usage_words(usage: Usage, reasoning_tokens: int | None) -> Object:
    """`usage`, with those counts that are known."""
    told: Object = {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens}
    if usage.input_tokens is not None and usage.output_tokens is not None:
        told["total_tokens"] = usage.input_tokens + usage.output_tokens
    details = {"cached_tokens": usage.cached_input_tokens, "cache_write_tokens": usage.cache_write_tokens}
    told["prompt_tokens_details"] = {name: count for name, count in details.items() if count is not None}
    told["completion_tokens_details"] = {} if reasoning_tokens is None else {"reasoning_tokens": reasoning_tokens}
    return {name: value for name, value in told.items() if value not in (None, {})}


def refused(call: Call, status: int, headers: Mapping[bytes, bytes], refusal: Refusal) -> Reply:
    """An upstream's error goes on with its own status, in OpenAI's shape. Raises ProviderFailed (a 502 to the client)
    for what is about our key or the address that we were configured with.
    """
    call.ending = "failed"
    message = f"The upstream answered {status}: {refusal.message[:MAX_MESSAGE]}"
    if refusal.about_key or status in OURS or status < 400:
        keyed = refusal.about_key or status in (401, 403)
        raise ProviderFailed(
            message,
            status=status,
            mend="The operator must check the model's credentials." if keyed else "The operator must check base_url.",
            code="provider_auth" if keyed else "provider_error",
        )
    call.error_code = refusal.code[:MAX_WORD]
    words = {"message": message, "type": "upstream_error", "param": None, "code": call.error_code}
    told = [JSON_HEADER]
    if refusal.retry_after_s is not None:
        told.append((b"retry-after", b"%d" % max(0, math.ceil(refusal.retry_after_s))))
    elif b"retry-after" in headers:
        told.append((b"retry-after", headers[b"retry-after"]))
    return Reply(status, told, msgspec.json.encode({"error": words}))


def bad_answer(why: str) -> ProviderFailed:
    """What came is no answer."""
    return ProviderFailed(
        f"The upstream sent something that is no answer: {why}.",
        mend="Check the model's provider and base_url.",
        code="provider_bad_answer",
    )


def cut() -> ProviderFailed:
    """The stream ended too early."""
    return ProviderFailed("The upstream's stream ended before its answer was complete.", mend="Try again.", code=CUT)
