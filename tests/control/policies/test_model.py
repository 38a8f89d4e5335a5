"""What tidegate.yaml means, and every way in which it can be wrong."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.control.policies.configs import MINIMAL, with_model, with_route
from tidegate.control.policies.model import Config, changes, check_config, parse_config, priced
from tidegate.kernel.errors import Invalid, InvalidDocument
from tidegate.kernel.money import Price


def faults(text: str) -> tuple[InvalidDocument, ...]:
    config, found = check_config(text, "tidegate.yaml")
    assert (config is None) == bool(found)
    return found


def only_fault(text: str) -> InvalidDocument:
    found = faults(text)
    assert len(found) == 1, [str(one) for one in found]
    return found[0]


def parsed(text: str) -> Config:
    return parse_config(text, "tidegate.yaml")


class TestAGoodFile:
    def test_the_least_file_serves_one_alias(self) -> None:
        config = parsed(MINIMAL)
        assert config.routes["chat"].deployment == "small"
        assert config.deployments["small"].upstream_model == "tiny-1"
        assert config.deployments["small"].api_key_env is None

    def test_without_a_word_about_environments_there_are_three_and_production_is_protected(self) -> None:
        places = parsed(MINIMAL).environments
        assert [place.name for place in places] == ["dev", "staging", "production"]
        assert [place.protected for place in places] == [False, False, True]
        assert parsed(MINIMAL).environment("nowhere") is None

    def test_an_absent_price_is_unknown_not_zero(self) -> None:
        assert parsed(MINIMAL).deployments["small"].price is None

    def test_an_own_price_carries_over_exactly(self) -> None:
        text = with_model("price: {input_usd_per_1m_tokens: 0.15, output_usd_per_1m_tokens: 0.6}")
        price = parsed(text).deployments["small"].price
        assert price is not None
        assert (price.input_pico_usd_per_token, price.output_pico_usd_per_token) == (150_000, 600_000)
        assert price.cached_input_pico_usd_per_token is None
        assert price.source == "tidegate.yaml"

    def test_everything_that_can_be_set_arrives(self) -> None:
        text = with_model(
            "api_key_env: UPSTREAM_KEY\nheaders: {x-team: blue}\n"
            "timeouts: {connect_s: 1, first_token_s: 2, idle_s: 3, total_s: 4}"
        ) + (
            "environments: {dev: {}, production: {protected: true}}\n"
            "policies: {max_body_bytes: 2048, drain_timeout_s: 1.5, record_flush_ms: 20,\n"
            "  calls_retention_days: 7, calls_max_mb: 64}\n"
            "prompts: {repository: ../prompts, branch: release, remote: origin, push: false}\n"
            "notifiers: [{name: ops, kind: webhook, url_env: OPS_URL, events: [release.deployed]}]\n"
            "server: {gateway_port: 9000}\n"
        )
        config = parsed(text)
        one = config.deployments["small"]
        assert (one.api_key_env, one.headers) == ("UPSTREAM_KEY", {"x-team": "blue"})
        assert one.connect_timeout_s == 1
        assert one.first_token_timeout_s == 2
        assert one.idle_timeout_s == 3
        assert one.total_timeout_s == 4
        assert (config.policy.max_body_bytes, config.policy.drain_timeout_s) == (2048, 1.5)
        assert config.policy.record_flush_ms == 20
        assert (config.retention.calls_days, config.retention.calls_max_mb) == (7, 64)
        assert (config.prompts.repository, config.prompts.branch) == ("../prompts", "release")
        assert (config.prompts.remote, config.prompts.push) == ("origin", False)
        assert config.notifiers[0].url_env == "OPS_URL"
        assert config.notifiers[0].events == ("release.deployed",)

    @pytest.mark.parametrize(("percent", "holdout_bp"), [("0", 0), ("5", 500), ("0.29", 29), ("50", 5_000)])
    def test_the_holdout_arrives_in_basis_points(self, percent: str, holdout_bp: int) -> None:
        assert parsed(MINIMAL).policy.holdout_bp == 0
        assert parsed(f"{MINIMAL}experiments: {{holdout_percent: {percent}}}\n").policy.holdout_bp == holdout_bp

    def test_a_slash_at_the_end_of_an_address_makes_no_difference(self) -> None:
        assert parsed(MINIMAL.replace("8082/v1", "8082/v1/")) == parsed(MINIMAL)

    def test_an_environment_may_have_its_own_model(self) -> None:
        text = MINIMAL.replace("{model: small}", "{model: small, environments: {staging: small}}")
        assert parsed(text).routes["chat"].by_environment == {"staging": "small"}


FAULTS = [
    ("unknown_field", with_model("modle: x"), "models.small.modle", "`model`"),
    ("unknown_field", MINIMAL + "rutes: {}\n", "rutes", "`routes`"),
    ("unknown_field", MINIMAL + "policies: {max_body_byte: 1}\n", "max_body_byte", "`max_body_bytes`"),
    ("unknown_field", MINIMAL + "policies: {zzz: 1}\n", "zzz", "drain_timeout_s"),
    ("unknown_field", with_model("timeouts: {conect_s: 1}"), "timeouts.conect_s", "`connect_s`"),
    ("missing_field", MINIMAL.replace("    model: tiny-1\n", ""), "`model`", "the upstream"),
    ("missing_field", MINIMAL.replace("apiVersion: tidegate/v1\n", ""), "`apiVersion`", "format"),
    ("missing_field", "apiVersion: tidegate/v1\n", "`models`", "upstreams"),
    ("wrong_type", MINIMAL.replace("tidegate/v1", "tidegate/v9"), "apiVersion", "format"),
    ("wrong_type", "just text", "The file", "Fields here"),
    ("wrong_type", "", "The file", "Fields here"),
    ("wrong_type", MINIMAL.replace("tiny-1", "7"), "models.small.model", "the upstream"),
    ("wrong_type", MINIMAL + "policies: {max_body_bytes: big}\n", "a whole number", "in bytes"),
    ("wrong_type", MINIMAL + "policies: {max_body_bytes: 5}\n", "1024", "in bytes"),
    ("wrong_type", MINIMAL + "policies: {drain_timeout_s: -1}\n", "drain_timeout_s", "Seconds"),
    ("wrong_type", MINIMAL + "experiments: {holdout_percent: 51}\n", "experiments.holdout_percent", "no experiment"),
    ("wrong_type", MINIMAL + "experiments: {holdout_percent: -1}\n", "experiments.holdout_percent", "no experiment"),
    ("unknown_field", MINIMAL + "experiments: {holdout: 5}\n", "experiments.holdout", "`holdout_percent`"),
    ("wrong_type", MINIMAL + "environments: []\n", "environments", "released"),
    ("wrong_type", MINIMAL + "environments: {}\n", "environments", "released"),
    ("wrong_type", MINIMAL + "environments: {dev: 3}\n", "environments.dev", "protected"),
    ("wrong_type", MINIMAL + "notifiers: {}\n", "notifiers", "told"),
    ("wrong_type", MINIMAL + "server: 3\n", "server", "TIDEGATE_"),
    ("unknown_provider", MINIMAL.replace("openai", "opnai"), "opnai", "`openai`"),
    ("bad_url", MINIMAL.replace("http://127.0.0.1:8082/v1", "127.0.0.1:8082"), "base_url", "https://"),
    ("bad_url", MINIMAL.replace("http://127.0.0.1:8082/v1", "http://169.254.169.254/v1"), "link-local", "server"),
    ("bad_url", MINIMAL.replace("8082/v1", "8082/v1/chat/completions"), "endpoint", "/v1"),
    ("bad_variable", with_model("api_key_env: my key"), "api_key_env", "OPENAI_API_KEY"),
    ("price_unit", with_model("price: 0.15"), "no unit", "1,000,000 tokens"),
    ("price_unit", with_model("price: cheap"), "no unit", "1,000,000 tokens"),
    ("price_unit", with_model("price: {input: 1, output: 2}"), "`input`", "input_usd_per_1m_tokens"),
    ("price_unit", with_model("price: {input_cost_per_token: 1}"), "input_cost_per_token", "1,000,000"),
    (
        "price_unit",
        with_model("price: {input_usd_per_1m_tokens: 0.00000015, output_usd_per_1m_tokens: 1}"),
        "one token",
        "1,000,000",
    ),
    (
        "wrong_type",
        with_model("price: {input_usd_per_1m_tokens: -1, output_usd_per_1m_tokens: 1}"),
        "price.input_usd_per_1m_tokens",
        "US dollars",
    ),
    ("missing_field", with_model("price: {input_usd_per_1m_tokens: 1}"), "output_usd_per_1m_tokens", "US dollars"),
    ("literal_secret", with_model("headers: {Authorization: x}"), "Authorization", "api_key_env"),
    ("literal_secret", with_model("headers: {X-Api-Key: x}"), "X-Api-Key", "api_key_env"),
    ("bad_header", with_model("headers: {Host: other}"), "Host", "Leave it out"),
    ("bad_header", with_model('headers: {x-a: "one\\r\\nx-b: two"}'), "x-a", "one line"),
    ("bad_header", with_model('headers: {"x a": one}'), "x a", "ASCII"),
    ("dangling_model", with_route("fast: {model: smal}"), "routes.fast.model", "`small`"),
    ("dangling_model", with_route("fast: {model: small, environments: {dev: big}}"), "'big'", "small"),
    (
        "unknown_environment",
        with_route("fast: {model: small, environments: {prodution: small}}"),
        "prodution",
        "`production`",
    ),
    ("invalid_name", with_route("Fast Lane: {model: small}"), "Fast Lane", "a-z"),
    ("invalid_name", MINIMAL + "environments: {Prod!: {}}\n", "Prod!", "a-z"),
    ("bad_notifier", MINIMAL + "notifiers: [{name: a, kind: webhook}]\n", "no address", "url_env"),
    (
        "unknown_event",
        MINIMAL + "notifiers: [{name: a, kind: webhook, url: 'https://h/', events: [release.deploy]}]\n",
        "release.deploy",
        "`release.deployed`",
    ),
    ("bad_repository", MINIMAL + "prompts: {repository: --upload-pack=x}\n", "repository", "URL"),
    ("yaml_duplicate_key", MINIMAL + "routes: {}\n", "routes", ""),
    ("yaml_syntax", MINIMAL + "policies: {\n", "YAML", ""),
]


class TestAFault:
    @pytest.mark.parametrize(("code", "text", "named", "mended"), FAULTS)
    def test_is_named_at_its_line_with_its_mend(self, code: str, text: str, named: str, mended: str) -> None:
        fault = only_fault(text)
        assert fault.code == code
        assert named in fault.message
        assert mended in fault.mend
        assert fault.file == "tidegate.yaml"
        assert fault.line is not None

    def test_points_to_its_own_line(self) -> None:
        assert only_fault(MINIMAL.replace("openai", "opnai")).line == 4
        assert only_fault(with_route("fast: {model: big}")).line == 9

    def test_does_not_hide_another_one(self) -> None:
        text = (
            MINIMAL.replace("openai", "opnai")
            .replace("127.0.0.1:8082", "metadata")
            .replace("{model: small}", "{model: x}")
            + "polices: {}\npolicies: {max_body_bytes: big}\n"
        )
        found = faults(text)
        assert [one.code for one in found] == [
            "unknown_provider", "bad_url", "dangling_model", "unknown_field", "wrong_type",
        ]  # fmt: skip
        assert [one.line for one in found] == sorted(one.line or 0 for one in found)

    def test_in_a_model_does_not_make_its_routes_dangle(self) -> None:
        assert only_fault(MINIMAL.replace("    provider: openai\n", "")).code == "missing_field"

    def test_that_yaml_and_we_see_are_told_together(self) -> None:
        found = faults(MINIMAL + "policies: {drain: no}\n")
        assert {one.code for one in found} == {"unknown_field", "yaml_two_faced"}

    def test_list_is_one_error_with_a_line_for_each(self) -> None:
        text = MINIMAL.replace("openai", "opnai") + "polices: {}\n"
        with pytest.raises(Invalid, match="2 faults") as caught:
            parse_config(text, "tidegate.yaml")
        assert caught.value.code == "invalid_config"
        assert "tidegate.yaml:4" in caught.value.message
        assert "tidegate.yaml:9" in caught.value.message


@dataclass
class OnePrice:
    """A catalogue with one entry."""

    model: str

    def price(self, provider_or_base_url: str, model: str) -> Price | None:
        assert provider_or_base_url == "http://127.0.0.1:8082/v1"
        return Price(input_pico_usd_per_token=1, output_pico_usd_per_token=2) if model == self.model else None


class TestACataloguePrice:
    def test_comes_from_the_catalogue_by_address_and_model(self) -> None:
        config = priced(parsed(with_model("price: auto")), OnePrice("tiny-1"))
        assert config.deployments["small"].price == Price(input_pico_usd_per_token=1, output_pico_usd_per_token=2)

    def test_that_is_not_listed_stays_unknown(self) -> None:
        assert priced(parsed(with_model("price: auto")), OnePrice("other")).deployments["small"].price is None

    def test_is_only_asked_for_where_the_file_says_auto(self) -> None:
        assert priced(parsed(MINIMAL), OnePrice("tiny-1")).deployments["small"].price is None


class TestChanges:
    def test_are_told_in_the_words_of_the_file(self) -> None:
        old = parsed(MINIMAL)
        new = parsed(
            with_model("price: {input_usd_per_1m_tokens: 0.5, output_usd_per_1m_tokens: 1}").replace("chat:", "talk:")
            + "policies: {calls_retention_days: 7}\n"
        )
        told = changes(old, new)
        assert "~ models.small.price: unknown -> $0.5 in, $1 out for 1M tokens (tidegate.yaml)" in told
        assert "+ routes.talk.model: small" in told
        assert "- routes.chat.model: small" in told
        assert "~ policies.calls_retention_days: 30 -> 7" in told
        assert len(told) == 4

    def test_of_routes_limits_and_budgets_are_told_too(self) -> None:
        old = parsed(MINIMAL + "budgets: [{name: month, usd: 10, per: month}]\n")
        new = parsed(
            MINIMAL.replace("{model: small}", "{model: small, retry: {attempts: 3}, content: {percent: 5}}")
            + "limits: [{name: busy, parallel: 8}]\n"
            + "budgets: [{name: month, usd: 25.5, per: month, match: {team: red}}]\n"
        )
        told = changes(old, new)
        assert "+ routes.chat.retry.attempts: 3" in told
        assert "+ routes.chat.content.percent: 5" in told
        assert "+ limits.busy: 8 parallel calls, soft at 80%, hard" in told
        assert (
            "~ budgets.month: $10 a month (UTC), soft at 80%, hard -> "
            "$25.5 a month (UTC) where team=red, soft at 80%, hard"
        ) in told

    def test_of_the_holdout_are_told_in_percent(self) -> None:
        told = changes(parsed(MINIMAL), parsed(MINIMAL + "experiments: {holdout_percent: 2.5}\n"))
        assert told == ("~ experiments.holdout_percent: 0 -> 2.5",)

    def test_are_none_for_the_same_file(self) -> None:
        assert changes(parsed(MINIMAL), parsed(MINIMAL)) == ()

    def test_of_the_first_file_name_everything(self) -> None:
        told = changes(None, parsed(MINIMAL))
        assert "+ models.small.base_url: http://127.0.0.1:8082/v1" in told
        assert all(line.startswith("+ ") for line in told)


NOISE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
BLOCKS = st.sampled_from(
    [
        "models",
        "routes",
        "limits",
        "budgets",
        "environments",
        "policies",
        "experiments",
        "prompts",
        "notifiers",
        "server",
    ]
)


@given(st.text(max_size=200))
def test_any_text_is_a_config_or_faults_never_a_crash(text: str) -> None:
    check_config(text, "f")


@given(st.dictionaries(BLOCKS, NOISE, max_size=4))
def test_any_values_are_a_config_or_faults_never_a_crash(blocks: dict[str, object]) -> None:
    check_config(json.dumps({"apiVersion": "tidegate/v1", **blocks}), "f")
