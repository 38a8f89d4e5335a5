"""Which key may which endpoint, written down a second time, by hand: an endpoint that is new, or asks for another
scope, fails here until somebody has said who may have it. Nothing of control's is served here.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import RunningGateway
from tests.support.http1 import Wire, get, post
from tests.support.scene import CHAT, changed, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import answer
from tidegate.doors.http.control.routes import ROUTES
from tidegate.gateway.endpoints import ENDPOINTS
from tidegate.live.snapshot import KeyGrant, secret_hash

ADMIN = "tgt-" + "a" * 40
USES = {
    "sk-test": {"inference", "prompts"},
    "sk-staging": {"inference"},
    "sk-prompts": {"prompts"},
    "sk-nothing": set(),
}
STRANGERS = (None, "sk-revoked", "sk-expired", "sk-unknown", ADMIN, "", "' OR '1'='1", "*")

SCOPES = {
    **dict.fromkeys(
        [
            "chat.completions", "completions", "responses", "messages", "messages.count_tokens", "embeddings",
            "images.generations", "images.edits", "images.variations", "audio.speech", "audio.transcriptions",
            "audio.translations", "moderations", "rerank", "score", "files.create", "files.list", "files.get",
            "files.content", "files.delete", "batches.create", "batches.list", "batches.get", "batches.cancel",
            "feedback", "models", "model",
        ],
        "inference",
    ),
    "prompts": "prompts",
}  # fmt: skip
PLACES = {endpoint.name: (endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


@pytest.fixture(scope="module", params=["raw", "asgi"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningGateway, ScriptedUpstream]]:
    workspace: Path = tmp_path_factory.mktemp("matrix")
    with ScriptedUpstream() as upstream:
        upstream.respond = lambda _: answer({})
        world = snapshot_of(upstream.url)
        nothing = {secret_hash("sk-nothing"): KeyGrant(key_id="key_nothing", name="nothing", scopes=())}
        world = changed(world, keys={**world.keys, **nothing})
        environ = {"TIDEGATE_ADMIN_TOKEN": ADMIN}
        with RunningGateway(world, workspace, transport=request.param, environ=environ) as gateway:
            yield gateway, upstream


def asked(method: str, path: str, key: str | None) -> bytes:
    url = path.replace("{id}", "file-1").replace("{name}", "gpt")
    if method == "GET":
        return get(url, key=key)
    return post(url, {**CHAT, "max_tokens": 4, "prompt": "a", "input": "a"}, key=key).replace(
        b"POST", method.encode(), 1
    )


def test_every_endpoint_is_classified() -> None:
    assert {endpoint.name: endpoint.scope for endpoint in ENDPOINTS} == SCOPES
    assert len(PLACES) == len(ENDPOINTS)


@pytest.mark.parametrize("name", SCOPES)
def test_which_key_may(pair: tuple[RunningGateway, ScriptedUpstream], name: str) -> None:
    gateway, upstream = pair
    method, path = PLACES[name]
    reached = len(upstream.received)
    with Wire(gateway.port) as wire:
        for stranger in STRANGERS:
            assert wire.ask(asked(method, path, stranger)).status == 401, stranger
        for key, scopes in USES.items():
            if SCOPES[name] not in scopes:
                assert wire.ask(asked(method, path, key)).status == 403, key
        assert len(upstream.received) == reached
        for key, scopes in USES.items():
            if SCOPES[name] in scopes:
                assert wire.ask(asked(method, path, key)).status not in (401, 403), key


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES if route.right is not None}))
def test_nothing_of_control_is_served(pair: tuple[RunningGateway, ScriptedUpstream], path: str) -> None:
    gateway, upstream = pair
    reached = len(upstream.received)
    with Wire(gateway.port) as wire:
        for key in (None, "sk-test", ADMIN):
            for method in ("GET", "POST", "PUT"):
                assert wire.ask(asked(method, path.replace(":str", ""), key)).status in (401, 404)
    assert len(upstream.received) == reached


@pytest.mark.parametrize("transport", ["raw", "asgi"])
@pytest.mark.parametrize(("has_snapshot", "status"), [(True, 401), (False, 503)])
def test_with_nothing_set_up_nobody_comes_in(tmp_path: Path, transport: str, has_snapshot: bool, status: int) -> None:
    with ScriptedUpstream() as upstream:
        world = changed(snapshot_of(upstream.url), keys={}) if has_snapshot else None
        with RunningGateway(world, tmp_path, transport=transport) as gateway, Wire(gateway.port) as wire:
            for method, path in PLACES.values():
                for key in ("sk-test", "", ADMIN):
                    assert wire.ask(asked(method, path, key)).status == status
        assert upstream.received == []
