"""Providers, routes, limits and budgets in tidegate.yaml: what they mean, and every way in which they can be wrong."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.control.policies.configs import MINIMAL, with_model, with_route
from tidegate.control.policies.model import Config, check_config, parse_config, warnings
from tidegate.kernel.errors import InvalidDocument

URL = "    base_url: http://127.0.0.1:8082/v1\n"

FAULTS = [
    ("missing_field", MINIMAL.replace("provider: openai", "provider: azure").replace(URL, ""), "base_url", "https://"),
    ("missing_option", MINIMAL.replace("provider: openai", "provider: vertex").replace(URL, ""), "project", "location"),
    ("missing_option", MINIMAL.replace("provider: openai", "provider: bedrock"), "`region`", "region: ..."),
    ("two_keys", with_model("api_key_env: A_KEY\nsecret: a-key"), "models.small", "one of them"),
    ("invalid_name", with_model("adapters: {'a:b': x}"), "a:b", "':'"),
    ("wrong_type", with_model("adapters: {a: 7}"), "adapters", "LoRA"),
    (
        "two_prices",
        with_model("price: {input_usd_per_1m_tokens: 1, gpu: {usd_per_hour: 2, tokens_per_second: 9}}"),
        "`gpu`",
        "GPU-hour",
    ),
    ("missing_field", with_model("price: {gpu: {usd_per_hour: 2}}"), "tokens_per_second", "when busy"),
    ("wrong_type", with_model("price: {gpu: {usd_per_hour: 0, tokens_per_second: 9}}"), "usd_per_hour", "one GPU"),
    (
        "bad_tiers",
        with_model(
            "price: {input_usd_per_1m_tokens: 1, output_usd_per_1m_tokens: 1, tiers: [\n"
            "  {above_input_tokens: 9, input_usd_per_1m_tokens: 1, output_usd_per_1m_tokens: 1},\n"
            "  {above_input_tokens: 9, input_usd_per_1m_tokens: 1, output_usd_per_1m_tokens: 1}]}"
        ),
        "tiers",
        "each once",
    ),
    ("missing_field", with_route("fast: {}"), "`model`", "`models`"),
    ("two_models", with_route("fast: {model: small, models: [small]}"), "routes.fast", "one of them"),
    ("dangling_model", with_route("fast: {models: [smal]}"), "routes.fast.models[0]", "`small`"),
    ("dangling_model", with_route("fast: {models: [{model: smal}]}"), "routes.fast.models[0].model", "`small`"),
    ("duplicate", with_route("fast: {models: [small, {model: small}]}"), "'small' twice", "weight"),
    ("wrong_type", with_route("fast: {models: [{model: small, weight: 0}]}"), "models[0].weight", "share"),
    ("unknown_field", with_route("fast: {models: [{model: small, wieght: 2}]}"), "wieght", "`weight`"),
    ("unknown_strategy", with_route("fast: {models: [small], strategy: least_bussy}"), "least_bussy", "`least_busy`"),
    ("dangling_model", with_route("fast: {model: small, fallbacks: [chatt]}"), "fallbacks[0]", "`chat`"),
    ("fallback_loop", with_route("fast: {model: small, fallbacks: [fast]}"), "the route itself", "a model"),
    (
        "fallback_loop",
        MINIMAL.replace("{model: small}", "{model: small, fallbacks: [fast]}")
        + "  fast: {model: small, fallbacks: [chat]}\n",
        "chat -> fast -> chat",
        "a model",
    ),
    ("bad_retry", with_route("fast: {model: small, retry: {base_ms: 900, max_ms: 100}}"), "900 ms", "max_ms"),
    ("wrong_type", with_route("fast: {model: small, breaker: {failures: 0}}"), "failures", "in a row"),
    ("bad_shadow", with_route("fast: {model: small, shadow: {percent: 5}}"), "no candidate", "`version`"),
    ("wrong_type", with_route("fast: {model: small, shadow: {percent: 101, model: small}}"), "percent", "100 calls"),
    (
        "dangling_model",
        with_route("fast: {model: small, shadow: {percent: 1, model: smal}}"),
        "shadow.model",
        "`small`",
    ),
    ("no_region", with_route("fast: {model: small, regions: [eu]}"), "none of the route's models", "region"),
    ("bad_limit", MINIMAL + "limits: [{name: a, per: day}]\n", "limits nothing", "parallel"),
    ("bad_limit", MINIMAL + "limits: [{name: a, requests: 1, tokens: 2, per: day}]\n", "`tokens`", "one of"),
    ("bad_limit", MINIMAL + "limits: [{name: a, parallel: 1, per: day}]\n", "no window", "`per`"),
    ("missing_field", MINIMAL + "limits: [{name: a, requests: 1}]\n", "`per`", "minute"),
    ("invalid_name", MINIMAL + "limits: [{name: A B, parallel: 1}]\n", "limits[0].name", "a-z"),
    ("dangling_model", MINIMAL + "limits: [{name: a, parallel: 1, match: {model: chatt}}]\n", "'chatt'", "`chat`"),
    ("unknown_environment", MINIMAL + "limits: [{name: a, parallel: 1, match: {environment: pro}}]\n", "match", ""),
    ("duplicate", MINIMAL + "limits: [{name: a, parallel: 1, each: [key, key]}]\n", "'key' twice", "once"),
    (
        "duplicate",
        MINIMAL + "limits: [{name: a, parallel: 1}]\nbudgets: [{name: a, usd: 1, per: day}]\n",
        "'a'",
        "other",
    ),
    ("wrong_type", MINIMAL + "budgets: [{name: a, usd: 9000001, per: day}]\n", "usd", "9,000,000"),
    ("wrong_type", MINIMAL + "budgets: [{name: a, usd: 1, per: minute}]\n", "per", "month"),
    ("wrong_type", MINIMAL + "budgets: [{name: a, usd: 1, per: day, soft_at: 80}]\n", "soft_at", "warns"),
    (
        "unknown_time_zone",
        MINIMAL + "budgets: [{name: a, usd: 1, per: day, time_zone: Europe/Berln}]\n",
        "Berln",
        "`Europe/Berlin`",
    ),
    ("bad_origin", MINIMAL + "policies: {cors_origins: ['https://app.example/x']}\n", "app.example/x", "No path"),
    ("bad_host", MINIMAL + "policies: {allowed_hosts: [127.0.0.1, 'https://h']}\n", "https://h", "alone"),
    ("host_not_allowed", MINIMAL + "policies: {allowed_hosts: [api.openai.com]}\n", "127.0.0.1", "api.openai.com"),
]


def only_fault(text: str) -> InvalidDocument:
    config, found = check_config(text, "tidegate.yaml")
    assert config is None
    assert len(found) == 1, [str(one) for one in found]
    return found[0]


def parsed(text: str) -> Config:
    return parse_config(text, "tidegate.yaml")


@pytest.mark.parametrize(("code", "text", "named", "mended"), FAULTS)
def test_a_fault_is_named_at_its_line_with_its_mend(code: str, text: str, named: str, mended: str) -> None:
    fault = only_fault(text)
    assert fault.code == code
    assert named in fault.message
    assert mended in fault.mend
    assert fault.line is not None


class TestAtFullStrength:
    def test_providers_know_their_own_addresses(self) -> None:
        def address(provider: str, options: str = "{}") -> str:
            text = MINIMAL.replace("provider: openai", f"provider: {provider}").replace(
                URL, f"    options: {options}\n"
            )
            return parsed(text).deployments["small"].base_url

        assert address("openai") == "https://api.openai.com/v1"
        assert address("bedrock", "{region: eu-west-1}") == "https://bedrock-runtime.eu-west-1.amazonaws.com"
        assert address("vertex", "{project: p, location: global}") == "https://aiplatform.googleapis.com/v1"
        assert address("vertex", "{project: p, location: europe-west4}").startswith("https://europe-west4-")

    def test_a_word_of_an_address_cannot_lead_elsewhere(self) -> None:
        text = MINIMAL.replace("provider: openai", "provider: bedrock").replace(
            URL, "    options: {region: 'x.evil.example/'}\n"
        )
        assert only_fault(text).code == "missing_field"

    def test_everything_of_a_model_arrives(self) -> None:
        one = parsed(
            with_model(
                "region: eu\nsecret: openai-eu\noptions: {api_version: v1}\nadapters: {legal: lora-1}\n"
                "max_output_tokens: 512\nimage_tokens: 900\nmax_parallel: 7\nstream_usage: false\n"
                "native_responses: false\nprobe_s: 15"
            )
        ).deployments["small"]
        assert (one.region, one.secret, one.options, one.adapters) == (
            "eu", "openai-eu", {"api_version": "v1"}, {"legal": "lora-1"}
        )  # fmt: skip
        assert (one.max_output_tokens, one.image_tokens, one.max_parallel, one.probe_s) == (512, 900, 7, 15)
        assert (one.stream_usage, one.native_responses) == (False, False)

    def test_a_gpu_hour_becomes_a_price_by_token_that_says_so(self) -> None:
        text = with_model("price: {gpu: {usd_per_hour: 3.6, gpus: 2, tokens_per_second: 1000}}")
        price = parsed(text).deployments["small"].price
        assert price is not None
        assert price.input_pico_usd_per_token == price.output_pico_usd_per_token == 2_000_000  # $2 for 1M tokens
        assert "per GPU-hour" in price.source

    def test_everything_of_a_route_arrives(self) -> None:
        text = with_route(
            "fast: {models: [small, {model: other, weight: 3, priority: 1}], strategy: cost, fallbacks: [chat], "
            "retry: {attempts: 3, base_ms: 5, max_ms: 50, budget: 0.1}, breaker: {failures: 2, open_s: 4}, "
            "shadow: {percent: 2.5, version: 1.2.0, max_usd_per_day: 0.5}, content: {percent: 10}}"
        ).replace("routes:", "  other: {provider: openai, model: b}\nroutes:")
        route = parsed(text).routes["fast"]
        assert route.deployment == "small"
        assert [(one.deployment, one.weight, one.priority) for one in route.choices] == [
            ("small", 1, 0), ("other", 3, 1),
        ]  # fmt: skip
        assert (route.strategy, route.fallbacks, route.content_bp) == ("cost", ("chat",), 1000)
        assert (route.retry.attempts, route.retry.budget, route.breaker.failures) == (3, 0.1, 2)
        assert route.shadow is not None
        assert (route.shadow.share_bp, route.shadow.version) == (250, "1.2.0")
        assert route.shadow.cap_nano_usd_per_day == 500_000_000

    def test_limits_and_budgets_become_one_kind_of_rule(self) -> None:
        text = MINIMAL + (
            "limits: [{name: calls, match: {team: '*'}, each: [key], requests: 60, per: minute}, "
            "{name: busy, parallel: 8, hard: false}]\n"
            "budgets: [{name: month, match: {model: chat}, usd: 12.34, per: month,\n"
            "  time_zone: Europe/Berlin, soft_at: 0.9}]\n"
        )
        calls, busy, month = parsed(text).limits
        assert (calls.unit, calls.cap, calls.per, calls.each, calls.match) == (
            "requests", 60, "minute", ("key",), {"team": "*"}
        )  # fmt: skip
        assert (busy.unit, busy.cap, busy.per, busy.hard) == ("parallel", 8, "", False)
        assert (month.unit, month.cap, month.time_zone, month.soft_bp) == (
            "nano_usd", 12_340_000_000, "Europe/Berlin", 9000
        )  # fmt: skip

    def test_a_hard_budget_over_a_model_without_a_price_warns(self) -> None:
        text = MINIMAL + "budgets: [{name: month, usd: 10, per: month}]\n"
        (line,) = warnings(parsed(text))
        assert "budgets.month" in line
        assert "small" in line
        assert warnings(parsed(text.replace("per: month", "per: month, hard: false"))) == ()
        assert warnings(parsed(text.replace("usd: 10", "usd: 10, match: {environment: dev, model: chat}"))) != ()
        own = "price: {input_usd_per_1m_tokens: 1, output_usd_per_1m_tokens: 1}"
        assert warnings(parsed(with_model(own) + "budgets: [{name: month, usd: 10, per: month}]\n")) == ()

    @given(st.decimals(min_value=0, max_value=9_000_000, places=9, allow_nan=False))
    def test_no_budget_loses_a_nano_dollar_of_what_can_be_written(self, usd: Decimal) -> None:
        written = float(usd)
        rule = parsed(MINIMAL + f"budgets: [{{name: a, usd: {written:f}, per: day}}]\n").limits[0]
        assert abs(rule.cap - Decimal(f"{written:f}") * 10**9) < 1
        assert rule.cap < 2**53
