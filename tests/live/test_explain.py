"""The plan in words: what it names is what the gateway may call, and a call's story comes from its record alone."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.house.tree import ROOT
from tidegate.kernel.money import Price
from tidegate.live.calls import CallRecord
from tidegate.live.explain import explain_call, explain_route
from tidegate.live.plans import make_plan
from tidegate.live.snapshot import Choice, Deployment, KeyGrant, LimitRule, Route, Shadow, Snapshot

PRICE = Price(input_pico_usd_per_token=150_000, output_pico_usd_per_token=600_000)


def deployment(name: str, region: str = "", **fields: Any) -> Deployment:
    return Deployment(
        name=name, provider="openai", base_url="http://h/v1", upstream_model=f"{name}-1", region=region, **fields
    )


WORLD = Snapshot(
    generation=7,
    deployments={
        "a": deployment("a", "us", price=PRICE),
        "b": deployment("b", "eu"),
        "c": deployment("c", adapters={"legal": "lora-9"}),
    },
    routes={
        "chat": Route(
            alias="chat",
            deployment="a",
            choices=(Choice("a", 3), Choice("b", 1)),
            fallbacks=("c",),
            shadow=Shadow(share_bp=250, deployment="b"),
        )
    },
    limits=(
        LimitRule(name="red", unit="nano_usd", cap=1, per="day", match={"team": "red"}),
        LimitRule(name="all", unit="requests", cap=1, per="minute"),
        LimitRule(name="dev", unit="requests", cap=1, per="minute", match={"environment": "dev"}),
    ),
)


def key(**fields: Any) -> KeyGrant:
    return KeyGrant(**{"key_id": "key_1", "name": "app", **fields})


def call(**fields: Any) -> CallRecord:
    values: dict[str, Any] = {
        "call_id": "call_1", "gateway_id": "gw", "seq": 1, "started_at_ms": 1, "endpoint": "chat.completions",
        "status": 200, "ending": "complete", "latency_ms": 5.0, "model_requested": "chat", "route": "chat",
    }  # fmt: skip
    return CallRecord(**values | fields)


class TestARoute:
    def test_names_steps_shares_prices_and_what_is_copied(self) -> None:
        told = explain_route(WORLD, "chat", "production")
        assert [step.alias for step in told.steps] == ["chat", "c"]
        first, second = told.steps[0].candidates
        assert (first.share, second.share) == (0.75, 0.25)
        assert first.price == "$0.15 in, $0.6 out for 1M tokens"
        assert second.price == "unknown"
        assert told.shadow == "2.5% of calls are copied to b"
        assert told.refused is None

    def test_tells_what_would_count_it_with_a_key_and_without(self) -> None:
        assert explain_route(WORLD, "chat", "production").limits == ("red", "all")
        assert explain_route(WORLD, "chat", "production", key(tags={"team": "blue"})).limits == ("all",)
        assert explain_route(WORLD, "chat", "dev", key(tags={"team": "red"})).limits == ("red", "all", "dev")

    def test_tells_why_nothing_would_be_called(self) -> None:
        assert "no model is left" in str(explain_route(WORLD, "chat", "production", key(regions=("jp",))).refused)
        assert "may use only other" in str(explain_route(WORLD, "chat", "production", key(models=("other",))).refused)
        assert "has that adapter" in str(explain_route(WORLD, "c:none", "production").refused)
        assert explain_route(WORLD, "c:legal", "production", key(models=("c",))).refused is None
        assert "may use only" in str(explain_route(WORLD, "c", "production", key(models=("c:legal",))).refused)
        assert "revoked" in str(explain_route(WORLD, "chat", "production", key(revoked_at_ms=1)).refused)
        assert "no route and no model" in str(explain_route(WORLD, "nothing", "production").refused)

    def test_knows_adapters_and_what_gateways_say(self) -> None:
        (step,) = explain_route(WORLD, "c:legal", "production", health={"c": "breaker open for 4 s"}).steps
        assert step.candidates[0].upstream_model == "lora-9"
        assert step.candidates[0].health == "breaker open for 4 s"


@given(st.sampled_from(["chat", "a", "b", "c", "c:legal", "x"]), st.sets(st.sampled_from(["us", "eu", "jp"])))
def test_it_names_exactly_what_the_gateway_would_plan(asked: str, regions: set[str]) -> None:
    told = explain_route(WORLD, asked, "production", key(regions=tuple(regions)))
    plan = make_plan(WORLD, asked, "production", tuple(regions))
    named = [one.deployment for step in told.steps for one in step.candidates]
    assert named == [one.deployment.name for one in plan.candidates]
    assert all(one.region in regions for step in told.steps for one in step.candidates) or not regions


class TestACall:
    def test_tells_its_attempts_and_its_fallback(self) -> None:
        record = call(deployment="c", attempts=3, trace="a:503 > b:timeout > c:200", bound_nano_usd=9_000_000)
        text = "\n".join(explain_call(record, explain_route(WORLD, "chat", "production"), "app").lines)
        assert "Attempt 2: b: timeout." in text
        assert "It fell back: a -> b -> c." in text
        assert "fallback 1, c" in text
        assert "Reserved at most $0.009; it cost unknown." in text

    def test_reads_as_the_guide_shows(self) -> None:
        shown = (ROOT / "docs/how-to/fallback-and-budget.md").read_text(encoding="utf-8")
        snapshot = Snapshot(
            deployments={name: deployment(name) for name in ("gpt-mini", "claude-haiku")},
            routes={"chat": Route(alias="chat", deployment="gpt-mini", fallbacks=("claude-haiku",))},
        )
        record = call(
            deployment="claude-haiku", region="us", upstream_model="claude-haiku-4-5", attempts=3, key_id="key_1",
            environment="production", trace="gpt-mini:503 > gpt-mini:timeout > claude-haiku:200", generation=4,
            latency_ms=812.0, bound_nano_usd=20_000_000, cost_nano_usd=812_000,
        )  # fmt: skip
        told = explain_call(record, explain_route(snapshot, "chat", "production"), "shop")
        assert "```text\n" + "\n".join(told.lines) + "\n```" in shown

    def test_tells_whom_it_passed_over(self) -> None:
        record = call(deployment="c", attempts=2, trace="a:breaker_open > b:503 > retry_budget > c:200")
        lines = explain_call(record).lines
        assert "a was passed over: its breaker was open." in lines
        assert "Attempt 1: b: 503." in lines
        assert "No further retry, for the retry budget was spent." in lines
        assert "It fell back: b -> c." in lines

    def test_that_was_refused_says_that_nobody_was_asked(self) -> None:
        record = call(status=429, ending="refused", error_code="insufficient_quota")
        text = "\n".join(explain_call(record).lines)
        assert "No upstream was asked." in text
        assert "(insufficient_quota)" in text

    def test_says_when_todays_plan_would_not_call_its_model(self) -> None:
        now = explain_route(WORLD, "chat", "production", key(regions=("eu",)))
        text = "\n".join(explain_call(call(deployment="a", region="us"), now).lines)
        assert "would not be called: its region is 'us'" in text

    def test_of_a_shadow_is_not_taken_for_the_users(self) -> None:
        assert "shadow of call_0" in "\n".join(explain_call(call(shadow_of="call_0")).lines)


@given(st.text(max_size=60))
def test_any_trace_is_told(trace: str) -> None:
    assert explain_call(call(trace=trace, attempts=1)).lines
