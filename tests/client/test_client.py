"""The client gives what is live, follows changes at once, and goes on without the gateway."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tidegate
from tests.support.gateway import RunningGateway, until
from tidegate.client import Client
from tidegate.kernel.errors import InvalidVariables, NotFound, Unauthenticated, Unavailable
from tidegate.live.assignment import assign
from tidegate.live.snapshot import Arm, KeyGrant, LiveRelease, PromptMessage, PromptVersion, Snapshot, secret_hash

KEY = "tg-" + "ab" * 20
NARROW = "tg-" + "cd" * 20
UNSCOPED = "tg-" + "ef" * 20


def version(number: str, greeting: str) -> PromptVersion:
    return PromptVersion(
        name="faq",
        version=number,
        content_hash=f"hash-{number}-{greeting}",
        model="chat",
        template_format="plain",
        messages=(PromptMessage("system", greeting), PromptMessage("user", "{{ question }}")),
        params={"type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"]},
        sampling={"temperature": 0.2, "max_tokens": 50},
    )


def snapshot(generation: int, *arms: Arm) -> Snapshot:
    versions = {number: version(number, f"Greeting {number}") for number in ("1.0.0", "1.1.0")}
    release = LiveRelease(
        release_id=f"rel_{generation}", number=generation, prompt="faq", environment="production", arms=arms, salt="s"
    )
    keys = {
        secret_hash(KEY): KeyGrant(key_id="k1", name="app", scopes=("prompts",)),
        secret_hash(NARROW): KeyGrant(key_id="k2", name="narrow", scopes=("prompts",), prompts=("other",)),
        secret_hash(UNSCOPED): KeyGrant(key_id="k3", name="unscoped"),
    }
    return Snapshot(
        generation=generation, keys=keys, prompts={"faq": versions}, releases={"production": {"faq": release}}
    )


ALL_OLD, ALL_NEW = Arm("1.0.0", 10_000), Arm("1.1.0", 10_000)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(snapshot(1, ALL_OLD), tmp_path) as running:
        yield running


def test_a_prompt_comes_rendered_with_its_version_and_settings(gateway: RunningGateway) -> None:
    with tidegate.Client(gateway.base_url, KEY) as client:
        prompt = client.prompt("faq", {"question": "Where?"})
    assert prompt.messages == [
        {"role": "system", "content": "Greeting 1.0.0"},
        {"role": "user", "content": "Where?"},
    ]
    assert (prompt.version, prompt.model, prompt.release_id) == ("1.0.0", "chat", "rel_1")
    assert prompt.settings == {"temperature": 0.2, "max_tokens": 50}
    assert not prompt.stale


def test_a_deploy_and_a_rollback_are_seen_at_once(gateway: RunningGateway) -> None:
    with Client(gateway.url, KEY) as client:
        assert client.prompt("faq", {"question": "?"}).version == "1.0.0"
        for generation, arm in ((2, ALL_NEW), (3, ALL_OLD)):
            began = time.monotonic()
            gateway.push(snapshot(generation, arm))
            while client.prompt("faq", {"question": "?"}).version != arm.version:
                assert time.monotonic() - began < 5.0
            assert time.monotonic() - began < 1.0


def test_changes_are_followed_though_the_first_was_asked_for_by_hand(gateway: RunningGateway) -> None:
    with Client(gateway.url, KEY) as client:
        assert client.refresh() == 1
        assert client.prompt("faq", {"question": "?"}).version == "1.0.0"
        gateway.push(snapshot(2, ALL_NEW))
        until(lambda: client.prompt("faq", {"question": "?"}).version == "1.1.0")


def test_the_last_good_version_serves_while_the_gateway_is_away_and_says_so(tmp_path: Path) -> None:
    with RunningGateway(snapshot(1, ALL_OLD), tmp_path) as gateway:
        client = Client(gateway.url, KEY, stale_after_s=0.05, timeout_s=0.5)
        assert not client.prompt("faq", {"question": "?"}).stale
    until(lambda: client.prompt("faq", {"question": "?"}).stale)
    assert client.prompt("faq", {"question": "?"}).version == "1.0.0"
    with pytest.raises(Unavailable):
        client.refresh()
    client.close()


def test_an_application_starts_from_its_copy_while_the_gateway_is_away(tmp_path: Path) -> None:
    file = tmp_path / "prompts.json"
    with RunningGateway(snapshot(1, ALL_OLD), tmp_path) as gateway, Client(gateway.url, KEY, copy_file=file) as client:
        client.refresh()
        url = gateway.url
    assert file.stat().st_mode & 0o077 == 0
    with Client(url, KEY, copy_file=file, timeout_s=0.5) as client:
        prompt = client.prompt("faq", {"question": "?"})
    assert (prompt.version, prompt.stale) == ("1.0.0", True)


def test_without_copy_and_gateway_there_is_a_clear_error() -> None:
    with (
        Client("http://127.0.0.1:9", KEY, timeout_s=0.5) as client,
        pytest.raises(Unavailable, match="cannot be reached"),
    ):
        client.prompt("faq")


def test_a_damaged_copy_is_not_used(tmp_path: Path) -> None:
    file = tmp_path / "prompts.json"
    file.write_text("{half")
    with Client("http://127.0.0.1:9", KEY, copy_file=file, timeout_s=0.5) as client, pytest.raises(Unavailable):
        client.prompt("faq")


def test_a_unit_keeps_its_version_while_a_release_is_split(gateway: RunningGateway) -> None:
    arms = (Arm("1.0.0", 5000), Arm("1.1.0", 5000))
    gateway.push(snapshot(2, *arms))
    with Client(gateway.url, KEY) as client:
        for number in range(50):
            unit = f"user-{number}"
            assert client.prompt("faq", {"question": "?"}, unit=unit).version == assign(arms, "s", unit)
        versions = {client.prompt("faq", {"question": "?"}).version for _ in range(100)}
    assert versions == {"1.0.0", "1.1.0"}


def test_an_unknown_prompt_offers_the_nearest(gateway: RunningGateway) -> None:
    with Client(gateway.url, KEY) as client, pytest.raises(NotFound, match="Did you mean faq"):
        client.prompt("fax")


def test_wrong_variables_are_named(gateway: RunningGateway) -> None:
    with Client(gateway.url, KEY) as client, pytest.raises(InvalidVariables, match="question"):
        client.prompt("faq", {"questoin": "?"})


def test_a_prompt_that_the_key_may_not_read_is_not_there(gateway: RunningGateway) -> None:
    with Client(gateway.url, NARROW) as client, pytest.raises(NotFound):
        client.prompt("faq", {"question": "?"})


@pytest.mark.parametrize("key", [UNSCOPED, "tg-unknown"])
def test_a_key_without_the_right_is_told(gateway: RunningGateway, key: str) -> None:
    with Client(gateway.url, key) as client, pytest.raises(Unauthenticated):
        client.prompt("faq")


def test_closing_is_quick_though_a_request_is_held_open(gateway: RunningGateway) -> None:
    client = Client(gateway.url, KEY)
    client.prompt("faq", {"question": "?"})
    time.sleep(0.05)
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < 1.0
