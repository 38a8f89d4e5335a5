"""What a call is told of its limits: the refusal that names which, and the headers that say how much is left."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tidegate.gateway.call import Call
from tidegate.gateway.ledger.slices import MONEY, ONE, Slice
from tidegate.kernel.errors import Refused
from tidegate.kernel.money import usd_text
from tidegate.live.counting import split_words
from tidegate.live.snapshot import LimitRule

__all__ = ["price_unknown", "refused", "told_on"]

PARALLEL_AGAIN_S = 1.0
OF_REQUESTS = (b"x-ratelimit-limit-requests", b"x-ratelimit-remaining-requests", b"x-ratelimit-reset-requests")
OF_TOKENS = (b"x-ratelimit-limit-tokens", b"x-ratelimit-remaining-tokens", b"x-ratelimit-reset-tokens")


def refused(slice_: Slice, need: int, now_ms: int) -> Refused:
    """Why a call is refused. A budget is not mended by trying again soon, a rate is."""
    rule = slice_.rule
    whose = "".join(f", {word} {value!r}" for word, value in split_words(slice_.counter).items())
    if rule.unit == "nano_usd":
        ends = datetime.fromtimestamp(slice_.ends_at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        return Refused(
            f"The budget {rule.name!r}{whose} of {usd_text(rule.cap)} a {rule.per} has {usd_text(slice_.spent)} spent,"
            f" and what is left does not cover the {usd_text(need)} that this call may cost.",
            mend=f"A new {rule.per} begins at {ends}; ask with a smaller max_tokens, or the operator for more.",
            code="insufficient_quota",
        )
    if rule.unit == "parallel":
        return Refused(
            f"The limit {rule.name!r}{whose} of {rule.cap} calls at a time is reached.",
            retry_after_s=PARALLEL_AGAIN_S,
            mend="Wait for one of them to end.",
        )
    if need > rule.cap:
        return Refused(
            f"This call may use {need} {rule.unit}, and the limit {rule.name!r}{whose} is {rule.cap} a {rule.per}.",
            mend="Ask with a smaller max_tokens, or less input.",
        )
    return Refused(
        f"The limit {rule.name!r}{whose} of {rule.cap} {rule.unit} a {rule.per} is reached.",
        retry_after_s=max(1.0, (slice_.ends_at_ms - now_ms) / 1000),
        mend=f"Wait for the next {rule.per}.",
    )


def price_unknown(rule: LimitRule) -> Refused:
    """A hard budget cannot be held against a cost that nobody can bound."""
    return Refused(
        f"The budget {rule.name!r} counts this call, and the price of a model that may serve it is unknown.",
        mend="The operator gives the model a `price` in tidegate.yaml, or takes it out of the route.",
        code="price_unknown",
    )


def told_on(call: Call, needs: Sequence[tuple[Slice, int]], now_ms: int) -> None:
    """Put x-ratelimit-* of the tightest limit of each unit, and each budget at its soft edge, onto the reply."""
    tightest: dict[int, tuple[int, Slice]] = {}
    for slice_, _ in needs:
        place = slice_.counts
        if place == MONEY:
            if slice_.spent >= slice_.soft_at:
                _warn(call, slice_)
        elif place and slice_.holds:
            remaining = slice_.left + max(0, slice_.free)
            if place not in tightest or remaining < tightest[place][0]:
                tightest[place] = (remaining, slice_)
    for place, (remaining, slice_) in tightest.items():
        limit, left, reset = OF_REQUESTS if place == ONE else OF_TOKENS
        resets_s = -((now_ms - slice_.ends_at_ms) // 1000)
        call.reply_headers += (
            (limit, b"%d" % slice_.rule.cap),
            (left, b"%d" % remaining),
            (reset, b"%ds" % (resets_s if resets_s > 0 else 0)),
        )


def _warn(call: Call, slice_: Slice) -> None:
    rule, spent = slice_.rule, slice_.spent
    state = "exhausted" if spent >= rule.cap else "soft"
    text = f"{rule.name}; used={spent / max(rule.cap, 1):.2f}; state={state}"
    call.reply_headers.append((b"x-tidegate-budget", text.encode()))
