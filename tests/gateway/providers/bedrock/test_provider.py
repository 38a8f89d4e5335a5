"""Where Bedrock is, and with which credentials it is asked."""

from typing import Any

import pytest

from tests.support.calls import a_call, an_ask
from tidegate.gateway.providers.bedrock.provider import BedrockProvider
from tidegate.kernel.errors import Invalid
from tidegate.live.snapshot import Deployment

KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}


def deployment(**given: Any) -> Deployment:
    base = {"name": "b", "provider": "bedrock", "base_url": "", "upstream_model": "m"}
    return Deployment(**(base | given))


def head_of(environ: dict[str, str], **given: Any) -> str:
    provider, one = BedrockProvider(), deployment(**given)
    return provider.request(provider.target(one, environ), an_ask(a_call(), one)).decode()


def test_the_public_address() -> None:
    target = BedrockProvider().target(deployment(options={"region": "eu-central-1"}), KEYS)
    assert (target.host, target.port, target.fault) == ("bedrock-runtime.eu-central-1.amazonaws.com", 443, None)


@pytest.mark.parametrize("host", ["bedrock-runtime.us-west-2.amazonaws.com", "bedrock-runtime-fips.us-west-2.api.aws"])
def test_base_url_tells_the_region(host: str) -> None:
    assert "/us-west-2/bedrock/aws4_request" in head_of(KEYS, base_url=f"https://{host}")


def test_the_option_is_stronger_than_the_address() -> None:
    told = head_of(KEYS, base_url="https://bedrock-runtime.us-west-2.amazonaws.com", options={"region": "eu-west-1"})
    assert "/eu-west-1/bedrock/aws4_request" in told


def test_a_region_is_needed() -> None:
    with pytest.raises(Invalid, match=r"options\.region"):
        BedrockProvider().target(deployment(base_url="https://proxy.example"), KEYS)


def test_variables_of_other_names() -> None:
    options = {"region": "r", "access_key_env": "A", "secret_key_env": "B", "session_token_env": "C"}
    told = head_of({"A": "AKOTHER", "B": "x", "C": "session"}, options=options)
    assert "Credential=AKOTHER/" in told
    assert "x-amz-security-token: session\r\n" in told


def test_a_session_token_only_when_there_is_one() -> None:
    assert "x-amz-security-token" not in head_of(KEYS, options={"region": "r"})


@pytest.mark.parametrize("missing", sorted(KEYS))
def test_a_missing_variable_is_named(missing: str) -> None:
    environ = {name: value for name, value in KEYS.items() if name != missing}
    fault = BedrockProvider().target(deployment(options={"region": "r"}), environ).fault
    assert missing in str(fault)


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"])
def test_credentials_cannot_smuggle_headers(name: str) -> None:
    with pytest.raises(Invalid, match="cannot carry"):
        BedrockProvider().target(deployment(options={"region": "r"}), {**KEYS, name: "a\r\nX-Evil: 1"})


def test_a_model_id_cannot_leave_its_path() -> None:
    told = head_of(KEYS, options={"region": "r"}, upstream_model="../x HTTP/1.1\r\nX-Evil: 1")
    assert told.startswith("POST /model/..%2Fx%20HTTP%2F1.1%0D%0AX-Evil%3A%201/converse HTTP/1.1\r\n")
