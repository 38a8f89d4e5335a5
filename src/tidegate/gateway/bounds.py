"""Bounds: how many tokens and how much money a call can use at most, before it is made; and what it has used, after.

Input: the request's bytes, since a byte-level BPE token stands for at least one byte, and for what a provider adds of
its own (templates, tools) or fetches (images by URL) an allowance. Output: the request's own limit, which is set or
lowered where it must be, times the answers asked for. Reasoning tokens count among the output.
"""

import re
from collections.abc import Mapping

import msgspec

from tidegate.gateway.call import Call
from tidegate.kernel.errors import Invalid
from tidegate.kernel.money import bound_nano_usd, cost_nano_usd
from tidegate.live.plans import Ceiling, Plan

__all__ = ["Bound", "bound_of", "cost_of", "used_of"]

TEMPLATE_TOKENS = 16
TOOLS_TOKENS = 1000
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
MEDIA = (b'"image', b'"input_image', b'"file', b'"input_file', b'"input_audio', b'"document')
OK = 200

HAS_MEDIA = re.compile(rb'"(?:image|file|input_|document)').search
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
    ceiling = plan.ceiling
    inputs = _input_tokens(call, ceiling)
    field, outputs, set_output = _output_tokens(call, ceiling, default_output_tokens)
    total = outputs * _answers(call.payload) if field is not None else 0
    money: int | None = None
    if ceiling.prices is not None:
        money = 0
        for price in ceiling.prices:
            most = bound_nano_usd(price, inputs, total)
            if most > money:
                money = most
    return Bound(inputs, total, money, set_output)


def cost_of(call: Call) -> int | None:
    """What the last attempt has cost, in nano-dollars, by what its upstream told and its price; None where that is
    unknown: images and audio have prices of their own, which we do not know.
    """
    usage, deployment = call.usage, call.deployment
    if usage is None or deployment is None or call.endpoint.kind != "inference":
        return None
    return cost_nano_usd(
        deployment.price,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
    )


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
    usage = call.usage
    if usage is not None and usage.input_tokens is not None and usage.output_tokens is not None:
        return cost_of(call), usage.input_tokens + usage.output_tokens
    if call.ending == "refused" or call.attempts == 0:
        return 0, 0
    if call.ending == "failed" and status != OK:
        return 0, 0
    return None, None


def _input_tokens(call: Call, ceiling: Ceiling) -> int:
    payload = call.payload
    # without a prompt the payload is what came in, and its bytes bound it
    said = (call.request.body,) if call.prompt is None else [bytes(raw) for raw in payload.values()]
    total, media = TEMPLATE_TOKENS, 0
    for data in said:
        total += len(data)
        if HAS_MEDIA(data):
            media += sum(data.count(word) for word in MEDIA)
    if "tools" in payload or "functions" in payload:
        total += TOOLS_TOKENS
    if media:
        total += media * ceiling.image_tokens
    return total


def _answers(payload: Mapping[str, msgspec.Raw]) -> int:
    """How many answers are asked for: `n` or `best_of`, for each of several prompts."""
    prompts = 1
    raw = payload.get("prompt")
    if raw is not None and bytes(raw).startswith(b"["):
        listed = msgspec.json.decode(raw, type=list[msgspec.Raw])
        if listed and bytes(listed[0]).startswith((b'"', b"[")):
            prompts = len(listed)
    if "n" not in payload and "best_of" not in payload:
        return prompts
    return prompts * max(_count(payload, "n") or 1, _count(payload, "best_of") or 1)


def _output_tokens(call: Call, ceiling: Ceiling, default: int) -> tuple[str | None, int, tuple[str, int] | None]:
    """The field that bounds the answer, how many tokens it may have, and what the field must be set to. OpenAI's own
    newer models refuse `max_tokens`, and many other servers know nothing else.
    """
    fields = call.endpoint.output_fields
    if not fields:
        return None, 0, None
    most, payload = ceiling.output_tokens, call.payload
    field: str | None = None
    least = 0
    for name in fields:
        asked = _count(payload, name)
        if asked is not None and (field is None or asked < least):
            field, least = name, asked
    if field is None:
        outputs = default if most is None else min(default, most)
        field = fields[0] if ceiling.openai else fields[-1]
        return field, outputs, (field, outputs)
    if most is not None and least > most:
        return field, most, (field, most)
    return field, least, None


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
