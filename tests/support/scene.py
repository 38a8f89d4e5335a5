"""The world that the gateway's tests play in, and the fixtures that set it up.

Use it by importing the fixtures into a conftest.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.gateway import RunningGateway
from tests.support.upstream import ScriptedUpstream
from tidegate.kernel.money import Price
from tidegate.live.snapshot import (
    Arm,
    Deployment,
    KeyGrant,
    LiveRelease,
    Policy,
    PromptMessage,
    PromptVersion,
    Retry,
    Route,
    Snapshot,
    secret_hash,
)

__all__ = ["CHAT", "Start", "changed", "gateway", "snapshot_of", "start", "transport", "upstream"]

Start = Callable[..., RunningGateway]

CHAT = {"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]}
PAST, FUTURE = 1_600_000_000_000, 4_000_000_000_000

KEYS = {
    "sk-test": KeyGrant(key_id="key_test", name="test", scopes=("inference", "prompts"), tags={"team": "blue"}),
    "sk-narrow": KeyGrant(key_id="key_narrow", name="narrow", models=("gpt",), prompts=("greeting",)),
    "sk-staging": KeyGrant(key_id="key_staging", name="staging", environment="staging"),
    "sk-prompts": KeyGrant(key_id="key_prompts", name="reader", scopes=("prompts",)),
    "sk-revoked": KeyGrant(key_id="key_revoked", name="gone", revoked_at_ms=PAST),
    "sk-expired": KeyGrant(key_id="key_expired", name="old", expires_at_ms=PAST),
    "sk-fresh": KeyGrant(key_id="key_fresh", name="fresh", expires_at_ms=FUTURE),
}

GREETING: dict[str, object] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "times": {"type": "integer"}},
    "required": ["name"],
}

ONCE = Retry(attempts=1)
"""One attempt: what a test scripts is what the client gets."""


def greeting(version: str, words: str, **more: Any) -> PromptVersion:
    """A version of the prompt `greeting`."""
    return PromptVersion(
        name="greeting",
        version=version,
        content_hash=f"hash-{version}",
        model="gpt",
        template_format="plain",
        messages=(PromptMessage("system", "You greet."), PromptMessage("user", words)),
        params=GREETING,
        **more,
    )


LINE = PromptVersion(
    name="line",
    version="1.0.0",
    content_hash="hash-line",
    model="gpt",
    template_format="plain",
    template="Once upon {{ time }}",
    params={"type": "object", "properties": {"time": {"type": "string"}}, "required": ["time"]},
)


def release(prompt: str, *arms: Arm, environment: str = "production", number: int = 1) -> LiveRelease:
    """What is live of a prompt."""
    return LiveRelease(
        release_id=f"rel_{prompt}_{environment}",
        number=number,
        prompt=prompt,
        environment=environment,
        arms=arms,
        salt=f"{prompt}-salt",
    )


def snapshot_of(upstream_url: str, **deployment: Any) -> Snapshot:
    """A world with one upstream, keys of every kind, and two prompts; `deployment` changes the deployment's fields."""
    price = Price(
        input_pico_usd_per_token=1_000_000, output_pico_usd_per_token=2_000_000, cached_input_pico_usd_per_token=500_000
    )
    main: dict[str, Any] = {
        "name": "main",
        "provider": "openai",
        "base_url": upstream_url,
        "upstream_model": "up-model",
        "price": price,
    }
    two = greeting("2.0.0", "Greet {{ name }} warmly", sampling={"temperature": 0.5, "stop": ["\n"]})
    return Snapshot(
        generation=10,
        written_at_ms=1_700_000_000_000,
        policy=Policy(record_flush_ms=1, max_body_bytes=1 << 20, drain_timeout_s=5.0),
        keys={secret_hash(secret): grant for secret, grant in KEYS.items()},
        deployments={
            "main": Deployment(**(main | deployment)),
            "other": Deployment(**(main | {"name": "other", "upstream_model": "other-model", "price": None})),
        },
        routes={
            "gpt": Route(alias="gpt", deployment="main", retry=ONCE, by_environment={"staging": "other"}),
            "embed": Route(alias="embed", deployment="main", retry=ONCE),
        },
        prompts={
            "greeting": {"1.0.0": greeting("1.0.0", "Greet {{ name }}"), "2.0.0": two},
            "line": {"1.0.0": LINE},
        },
        releases={
            "production": {
                "greeting": release("greeting", Arm("2.0.0", 10_000)),
                "line": release("line", Arm("1.0.0", 10_000)),
            },
            "staging": {"greeting": release("greeting", Arm("1.0.0", 10_000), environment="staging")},
        },
    )  # fmt: skip


def changed(snapshot: Snapshot, **fields: Any) -> Snapshot:
    """The snapshot's successor, with some fields changed; `policy_...` names a field of the policy."""
    policy = {name.removeprefix("policy_"): fields.pop(name) for name in list(fields) if name.startswith("policy_")}
    if policy:
        fields["policy"] = msgspec.structs.replace(snapshot.policy, **policy)
    return msgspec.structs.replace(snapshot, **({"generation": snapshot.generation + 1} | fields))


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """A scripted upstream, which answers well until it is told otherwise."""
    with ScriptedUpstream() as running:
        yield running


@pytest.fixture(params=["raw", "asgi"])
def transport(request: pytest.FixtureRequest) -> str:
    """Each door of the gateway in turn."""
    return str(request.param)


@pytest.fixture
def start(upstream: ScriptedUpstream, transport: str, tmp_path: Path) -> Iterator[Start]:
    """Starts gateways: `start(limits=..., snapshot=..., environ=..., deployment fields)`."""
    with ExitStack() as stack:

        def begin(snapshot: Snapshot | None = None, **given: Any) -> RunningGateway:
            about = {name: given.pop(name) for name in ("limits", "environ", "tls") if name in given}
            policy = {name: given.pop(name) for name in list(given) if name.startswith("policy_")}
            world = snapshot or changed(snapshot_of(upstream.url, **given), **policy)
            return stack.enter_context(RunningGateway(world, tmp_path, transport=transport, **about))

        yield begin


@pytest.fixture
def gateway(start: Start) -> RunningGateway:
    """A gateway in front of the scripted upstream, through each door in turn."""
    return start()
