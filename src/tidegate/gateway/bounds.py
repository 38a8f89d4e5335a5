"""Bounds: how many tokens and how much money a call can use at most, before it is made; and what it has used, after.

Input: the request's bytes, since a byte-level BPE token stands for at least one byte, and for what a provider adds of
its own (templates, tools) or fetches (images by URL) an allowance. Output: the request's own limit, which is set or
lowered where it must be, times the answers asked for. Reasoning tokens count among the output.
"""

from collections.abc import Iterable, Mapping

import msgspec

from tidegate.gateway.call import Call
from tidegate.kernel.errors import Invalid
from tidegate.kernel.money import bound_nano_usd, cost_nano_usd
from tidegate.live.plans import Candidate, Plan

__all__ = ["Bound", "bound_of", "used_of"]

TEMPLATE_TOKENS = 16
TOOLS_TOKENS = 1000
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
MEDIA = (b'"image', b'"input_image', b'"file', b'"input_file', b'"input_audio', b'"document')
OPENAI = "//api.openai.com"
OK = 200

_COUNT = msgspec.json.Decoder(int | None)


class Bound(msgspec.Struct, frozen=True):
    """At most. `nano_usd` is None when a candidate's price is unknown. `set_output` is what the request's limit must be
    set to, None when it may stay.
    """

    input_tokens: int
    output_tokens: int
    nano_usd: int | None
    set_output: tuple[str, int] | None = None

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


def bound_of(call: Call, plan: Plan, default_output_tokens: int) -> Bound:
    """Bound a call over every candidate of its plan; raises Invalid for a limit that is no whole number above 0."""
    candidates = tuple(plan.candidates)
    payload = call.payload
    inputs = _input_tokens(call, candidates)
    most = min((one.deployment.max_output_tokens or 2**53 for one in candidates), default=2**53)
    field, outputs, set_output = _output_tokens(call, most, default_output_tokens, candidates)
    total = outputs * _answers(payload) if field is not None else 0
    money: int | None = 0
    for one in candidates:
        price = one.deployment.price
        money = None if price is None or money is None else max(money, bound_nano_usd(price, inputs, total))
    return Bound(inputs, total, money, set_output)


def used_of(call: Call, status: int) -> tuple[int | None, int | None]:
    """What a call that is over has cost (nano-dollars) and used (tokens); None where that is unknown, so that its whole
    bound must be taken for it.

    A call that no upstream answered with 200 has cost nothing. One that broke off, or whose usage the upstream kept to
    itself, is unknown. Every attempt before it that may be billed counts at the call's bound.
    """
    cost, tokens = _last_attempt(call, status)
    if call.unsure and cost is not None:
        cost += call.unsure * (call.bound_nano_usd or 0)
    if call.unsure and tokens is not None:
        tokens += call.unsure * call.bound_tokens
    return cost, tokens


def _last_attempt(call: Call, status: int) -> tuple[int | None, int | None]:
    usage, deployment = call.usage, call.deployment
    if usage is not None and usage.input_tokens is not None and usage.output_tokens is not None:
        known = deployment is not None and call.endpoint.kind == "inference"
        price = deployment.price if deployment is not None and known else None
        cost = cost_nano_usd(
            price, usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.cache_write_tokens
        )
        return cost, usage.input_tokens + usage.output_tokens
    if call.ending == "refused" or call.attempts == 0:
        return 0, 0
    if call.ending == "failed" and status != OK:
        return 0, 0
    return None, None


def _input_tokens(call: Call, candidates: Iterable[Candidate]) -> int:
    payload = call.payload
    # without a prompt the payload is what came in, and its bytes bound it
    said = [call.request.body] if call.prompt is None else [bytes(raw) for raw in payload.values()]
    total, media = TEMPLATE_TOKENS, 0
    for data in said:
        total += len(data)
        if b'"image' in data or b'"file' in data or b'"input_' in data or b'"document' in data:
            media += sum(data.count(word) for word in MEDIA)
    if "tools" in payload or "functions" in payload:
        total += TOOLS_TOKENS
    if media:
        total += media * max((one.deployment.image_tokens for one in candidates), default=0)
    return total


def _answers(payload: Mapping[str, msgspec.Raw]) -> int:
    """How many answers are asked for: `n` or `best_of`, for each of several prompts."""
    prompts = 1
    raw = payload.get("prompt")
    if raw is not None and bytes(raw).startswith(b"["):
        listed = msgspec.json.decode(raw, type=list[msgspec.Raw])
        if listed and bytes(listed[0]).startswith((b'"', b"[")):
            prompts = len(listed)
    return prompts * max(_count(payload, "n") or 1, _count(payload, "best_of") or 1)


def _output_tokens(
    call: Call, most: int, default: int, candidates: Iterable[Candidate]
) -> tuple[str | None, int, tuple[str, int] | None]:
    """The field that bounds the answer, how many tokens it may have, and what the field must be set to. OpenAI's own
    newer models refuse `max_tokens`, and many other servers know nothing else.
    """
    fields = call.endpoint.output_fields
    if not fields:
        return None, 0, None
    given = [(field, asked) for field in fields if (asked := _count(call.payload, field)) is not None]
    if not given:
        outputs = min(default, most)
        theirs = any(one.deployment.provider == "azure" or OPENAI in one.deployment.base_url for one in candidates)
        field = fields[0] if theirs else fields[-1]
        return field, outputs, (field, outputs)
    field, asked = min(given, key=lambda pair: pair[1])
    return field, min(asked, most), (field, most) if asked > most else None


def _count(payload: Mapping[str, msgspec.Raw], field: str) -> int | None:
    raw = payload.get(field)
    if raw is None:
        return None
    try:
        found: int | None = _COUNT.decode(raw)
    except UNREADABLE:
        found = 0
    if found is not None and found < 1:
        raise Invalid(
            f"The field `{field}` must be a whole number above 0.",
            mend=f"It was {bytes(raw)[:60].decode(errors='replace')}.",
            param=field,
            code="invalid_type",
        )
    return found
