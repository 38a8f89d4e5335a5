"""What a call may cost is bounded and held before it is made, and nothing is done to a call that nothing counts."""

import json
from typing import Any

import pytest

from tests.support.calls import a_call
from tidegate.adapters.memory.counters import MemoryCounters
from tidegate.gateway.call import Call, Reply
from tidegate.gateway.ledger.ledger import Ledger
from tidegate.gateway.stages.admit import Admit
from tidegate.kernel.errors import Invalid, Refused
from tidegate.kernel.money import Price
from tidegate.live.plans import Candidate, Plan, Step
from tidegate.live.snapshot import Deployment, KeyGrant, LimitRule

PRICE = Price(input_pico_usd_per_token=1_000_000, output_pico_usd_per_token=1_000_000)  # a dollar a million
RICH = LimitRule(name="rich", unit="nano_usd", cap=10**12, per="month")
POOR = LimitRule(name="poor", unit="nano_usd", cap=1000, per="month")
SOFT = LimitRule(name="soft", unit="nano_usd", cap=1000, per="month", hard=False)
RATE = LimitRule(name="rate", unit="requests", cap=10, per="minute")
BODY = {"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]}


class Desk:
    """The stage over a ledger with these rules; `seen` are the calls that came through."""

    def __init__(self, *rules: LimitRule) -> None:
        self.ledger = Ledger(MemoryCounters(), "gw_1", patience_s=0.05)
        self.ledger.adopt(rules, 1)
        self.seen: list[Call] = []

    async def run(self, call: Call) -> Call:
        async def inner(call: Call) -> Reply:
            self.seen.append(call)
            return Reply(200, [])

        self.ledger.start()
        try:
            await Admit(self.ledger)(call, inner)
        finally:
            if call.hold is not None:
                call.hold.settle(0, 0)
            await self.ledger.stop()
        return call


def planned(body: dict[str, Any], price: Price | None = PRICE, **more: Any) -> Call:
    deployment = Deployment(
        name="d", provider="openai", base_url="http://h/v1", upstream_model="m", price=price, **more
    )
    call = a_call(body)
    call.grant = KeyGrant(key_id="key_1", name="app")
    call.tags = call.grant.tags
    call.route = "gpt"
    step = Step(alias="gpt", strategy="weighted", candidates=(Candidate(deployment, "m"),))
    call.plan = Plan(alias="gpt", known=True, steps=(step,))
    return call


async def test_a_call_that_nothing_counts_goes_on_as_it_is() -> None:
    desk = Desk(LimitRule(name="others", unit="nano_usd", cap=1, per="day", match={"key": "other"}))
    call = await desk.run(planned(BODY | {"max_tokens": "many"}))
    assert desk.seen == [call]
    assert (call.hold, call.bound_nano_usd) == (None, None)
    assert call.reply_headers == []


async def test_the_answers_length_gets_a_bound_where_a_budget_blocks() -> None:
    call = await Desk(RICH).run(planned(BODY, max_output_tokens=77))
    assert json.loads(bytes(call.payload["max_tokens"])) == 77
    assert call.bound_nano_usd is not None
    assert call.bound_nano_usd >= 77_000


@pytest.mark.parametrize("rule", [SOFT, RATE])
async def test_what_blocks_no_money_leaves_the_request_as_it_is(rule: LimitRule) -> None:
    call = await Desk(rule).run(planned(BODY))
    assert "max_tokens" not in call.payload
    assert call.hold is not None


async def test_a_rate_limit_needs_no_bound() -> None:
    call = await Desk(RATE).run(planned(BODY | {"max_tokens": "many"}))
    assert call.bound_nano_usd is None


async def test_a_length_that_is_none_is_the_callers_fault() -> None:
    with pytest.raises(Invalid, match="max_tokens"):
        await Desk(RICH).run(planned(BODY | {"max_tokens": -1}))


async def test_what_does_not_fit_reaches_nobody() -> None:
    desk = Desk(POOR)
    call = planned(BODY | {"max_tokens": 50})
    with pytest.raises(Refused) as refused:
        await desk.run(call)
    assert refused.value.code == "insufficient_quota"
    assert desk.seen == []
    assert call.hold is None


async def test_a_price_that_nobody_knows_cannot_be_held() -> None:
    desk = Desk(RICH)
    with pytest.raises(Refused) as refused:
        await desk.run(planned(BODY, price=None))
    assert refused.value.code == "price_unknown"
    assert desk.seen == []


async def test_what_is_passed_on_cannot_be_bounded() -> None:
    call = planned(BODY)
    passed = a_call(BODY, path="/v1/images/generations")
    passed.grant, passed.tags, passed.route, passed.plan = call.grant, call.tags, call.route, call.plan
    with pytest.raises(Refused, match="/v1/images/generations") as refused:
        await Desk(RICH).run(passed)
    assert refused.value.code == "price_unknown"
