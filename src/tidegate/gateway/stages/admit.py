"""What a call may cost and use: bounded, and held in every limit and budget that counts it, all or nothing."""

import msgspec

from tidegate.gateway.bounds import bound_of
from tidegate.gateway.call import Call, Handler, Reply
from tidegate.gateway.ports import Ledger
from tidegate.kernel.errors import Refused

__all__ = ["Admit"]


class Admit:
    """Costs nothing to a call that nothing counts. The hold is settled by `record`, when the call is over."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        counted = self._ledger.counts(call)
        if counted.rules:
            await self._hold(call, bounded=counted.bounded, clamped=counted.clamped)
        return await inner(call)

    async def _hold(self, call: Call, *, bounded: bool, clamped: bool) -> None:
        nano_usd, tokens = None, 0
        if bounded and call.plan is not None and call.endpoint.kind == "inference":
            bound = bound_of(call, call.plan, call.world.snapshot.policy.default_max_output_tokens)
            if clamped and bound.set_output is not None:
                field, limit = bound.set_output
                call.payload[field] = msgspec.Raw(b"%d" % limit)
            nano_usd, tokens = bound.nano_usd, bound.tokens
            call.bound_nano_usd, call.bound_tokens = nano_usd, tokens
        try:
            call.hold = await self._ledger.hold(call, nano_usd, tokens)
        except Refused as refused:
            if refused.code == "price_unknown" and call.endpoint.kind == "passthrough":
                raise _unbounded(call) from refused
            raise


def _unbounded(call: Call) -> Refused:
    return Refused(
        f"A hard budget counts this call, and what {call.endpoint.path} may cost cannot be bounded.",
        mend="The operator lets a key call it that no hard budget counts, or makes the budget soft (hard: false).",
        code="price_unknown",
    )
