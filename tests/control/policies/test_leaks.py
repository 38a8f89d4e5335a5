"""A literal secret in the file: found by its form wherever it stands, and never repeated."""

import pytest

from tests.control.policies.configs import MINIMAL, with_model
from tests.control.policies.test_model import faults, only_fault

SECRETS = [
    "sk-abcdefghijklmnopqrst",
    "sk-ant-REDACTED",
    "tg-" + "0af3" * 10,
    "ghp_" + "aB3d" * 9,
    "AKIA" + "ABCD" * 4,
    "hf_" + "abcdEFGH" * 4,
    "Bearer abcdef0123456789",
    "https://user:hunter22@llm.example/v1",
    "postgresql://tidegate:hunter22@db/tidegate",
    "-----BEGIN RSA PRIVATE KEY-----",
    "https://hooks.slack.com/services/T0/B0/x",
]


class TestALiteralSecret:
    @pytest.mark.parametrize("secret", SECRETS)
    @pytest.mark.parametrize("place", ["# {}", "server: {{database_url: '{}'}}", "notifiers: [{{name: '{}'}}]"])
    def test_is_refused_wherever_it_stands_and_never_repeated(self, secret: str, place: str) -> None:
        text = MINIMAL + place.format(secret) + "\n"
        found = [one for one in faults(text) if one.code == "literal_secret"]
        assert found
        assert found[0].line == 9
        assert "environment variable" in found[0].mend
        assert secret not in str(found[0])
        assert secret[8:] not in " ".join(map(str, faults(text)))

    def test_in_place_of_a_variable_is_said_once(self) -> None:
        assert only_fault(with_model("api_key_env: sk-abcdefghijklmnopqrst")).code == "literal_secret"

    @pytest.mark.parametrize(
        "text", ["task-force-alpha-romeo", "https://llm.example:8443/v1", "tg-short", "risk-abcdefghijklmnopq"]
    )
    def test_is_not_seen_in_plain_words(self, text: str) -> None:
        assert not faults(f"{MINIMAL}# {text}\n")
