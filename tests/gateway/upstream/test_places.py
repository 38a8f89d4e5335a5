"""Where a request goes is the configuration's to say: no client, no name server and no upstream leads it elsewhere."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tidegate
from tests.support.asking import ask, ask_chat
from tests.support.gateway import RunningGateway
from tests.support.gemini_fake import FakeVertex
from tests.support.http1 import Wire, post
from tests.support.scene import CHAT, Start, changed, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import Pause, answer, chat
from tidegate.gateway.upstream.connection import Connection
from tidegate.gateway.upstream.resolver import KEEP_S, Resolver
from tidegate.gateway.upstream.target import Target
from tidegate.live.snapshot import Choice, Retry, Route

PUBLIC, METADATA, LOOPBACK = "93.184.216.34", "169.254.169.254", "127.0.0.1"
NAME = "http://llm.example/v1"


class FakeInternet:
    """Names that lead where a test says, and addresses that lead to servers of the test's, on loopback."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.names: dict[str, Sequence[str]] = {}
        self.servers: dict[str, ScriptedUpstream] = {}
        self.dialled: list[tuple[str, str]] = []
        self.now_s = 0.0
        pool = gateway.gateway._pool
        gateway.do(lambda: setattr(pool, "resolver", Resolver(self._lookup, lambda: self.now_s)))
        gateway.do(lambda: setattr(pool, "_connect", self._connect))

    async def _lookup(self, host: str, port: int) -> Sequence[str]:
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.names[host]

    async def _connect(self, target: Target, address: str) -> Connection:
        self.dialled.append((target.host, address))
        loop = asyncio.get_running_loop()
        server = self.servers[address]
        return (await loop.create_connection(lambda: Connection(loop), LOOPBACK, server.port))[1]


def refused(gateway: RunningGateway, **fields: Any) -> str:
    reply = ask_chat(gateway, **fields)
    assert (reply.status, reply.error["code"]) == (502, "upstream_not_allowed")
    return str(reply.error["message"])


def forget_connections(gateway: RunningGateway) -> None:
    """As after a minute of silence."""

    def forget() -> None:
        for kept in gateway.gateway._pool._idle.values():
            for one in kept:
                one.abort()

    gateway.do(forget)


@pytest.fixture
def elsewhere() -> Iterator[ScriptedUpstream]:
    """A server that no configuration names: nothing may ever reach it."""
    with ScriptedUpstream() as running:
        yield running
        assert running.received == []
        assert running.connections == 0


# Names.


def test_a_name_is_served_and_only_its_judged_address_is_called(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(base_url=NAME)
    internet = FakeInternet(gateway)
    internet.names["llm.example"], internet.servers[PUBLIC] = (METADATA, PUBLIC), upstream
    assert ask_chat(gateway).json == chat()
    assert ask_chat(gateway).json == chat()
    assert internet.dialled == [("llm.example", PUBLIC)]
    assert upstream.last.headers["host"] == "llm.example"


@pytest.mark.parametrize("wants_stream", [False, True])
@pytest.mark.parametrize("address", [METADATA, "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200"])
def test_a_metadata_service_sees_nothing(
    start: Start, elsewhere: ScriptedUpstream, address: str, wants_stream: bool
) -> None:
    gateway = start(base_url=NAME)
    internet = FakeInternet(gateway)
    internet.names["llm.example"], internet.servers[address] = (address,), elsewhere
    assert address in refused(gateway, stream=wants_stream)
    assert internet.dialled == []
    record = gateway.wait_record()
    assert (record.ending, record.error_code, record.cost_nano_usd or 0) == ("failed", "upstream_not_allowed", 0)


def test_a_name_that_is_bound_anew_to_this_machine_is_refused(
    start: Start, upstream: ScriptedUpstream, elsewhere: ScriptedUpstream
) -> None:
    gateway = start(base_url=NAME)
    internet = FakeInternet(gateway)
    internet.names["llm.example"] = (PUBLIC,)
    internet.servers |= {PUBLIC: upstream, LOOPBACK: elsewhere}
    assert ask_chat(gateway).status == 200
    internet.names["llm.example"], internet.now_s = (LOOPBACK,), KEEP_S
    forget_connections(gateway)
    assert "was public and now leads to 127.0.0.1" in refused(gateway)
    gateway.push(changed(snapshot_of(upstream.url, base_url=NAME, max_output_tokens=7), generation=12))
    internet.now_s = 2 * KEEP_S
    assert "was public" in refused(gateway)  # the configuration says nothing new of where it is
    assert len(internet.dialled) == 1


def test_a_configuration_that_names_it_anew_begins_anew(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(base_url=NAME)
    internet = FakeInternet(gateway)
    internet.names["llm.example"] = (PUBLIC,)
    internet.servers |= {PUBLIC: upstream, LOOPBACK: upstream}
    assert ask_chat(gateway).status == 200
    internet.names["llm.example"] = (LOOPBACK,)
    gateway.push(changed(snapshot_of(upstream.url, base_url=f"{NAME}/new"), generation=12))
    forget_connections(gateway)
    assert ask_chat(gateway).status == 200
    assert internet.dialled[-1] == ("llm.example", LOOPBACK)


def test_what_may_not_be_called_is_served_elsewhere_and_not_tried_again(
    start: Start, upstream: ScriptedUpstream
) -> None:
    world = snapshot_of(upstream.url)
    bad = msgspec.structs.replace(world.deployments["main"], base_url="http://169.254.169.254/v1")
    choices = (Choice("main", 1, 0), Choice("other", 1, 1))
    route = Route(alias="gpt", deployment="main", strategy="priority", choices=choices, retry=Retry(attempts=4))
    gateway = start(changed(world, deployments={**world.deployments, "main": bad}, routes={"gpt": route}))
    assert ask_chat(gateway).status == 200
    assert gateway.wait_record().trace == "main:upstream_not_allowed > other:200"


# Allowed hosts.


def test_a_host_that_is_not_allowed_is_never_called(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(policy_allowed_hosts=("api.openai.com",))
    assert "policies.allowed_hosts" in refused(gateway)
    assert upstream.connections == 0
    gateway.push(changed(snapshot_of(upstream.url), generation=12))
    assert ask_chat(gateway).status == 200


def test_allowed_hosts_hold_from_the_moment_they_are_applied(start: Start, upstream: ScriptedUpstream) -> None:
    world = snapshot_of(upstream.url)
    gateway = start(world)
    assert ask_chat(gateway).status == 200
    gateway.push(changed(world, generation=11, policy_allowed_hosts=("llm.example",)))
    refused(gateway)
    gateway.push(changed(world, generation=12, policy_allowed_hosts=("llm.example", LOOPBACK)))
    assert ask_chat(gateway).status == 200
    assert upstream.connections == 2  # the kept one was closed


# The token endpoint of Vertex AI.


Vertex = Callable[..., RunningGateway]


@pytest.fixture
def vertex(
    tmp_path: Path, upstream: ScriptedUpstream, elsewhere: ScriptedUpstream
) -> Iterator[tuple[FakeVertex, Vertex]]:
    with FakeVertex() as fake:
        running: list[RunningGateway] = []

        def begin(token_uri: str, **policy: Any) -> RunningGateway:
            key = json.dumps({**fake.account(), "token_uri": token_uri})
            world = changed(fake.snapshot(), **policy)
            gateway = RunningGateway(world, tmp_path, environ={"GOOGLE_APPLICATION_CREDENTIALS": key})
            running.append(gateway.__enter__())
            return gateway

        yield fake, begin
        for gateway in running:
            gateway.__exit__()


def test_the_token_endpoint_is_judged_too(vertex: tuple[FakeVertex, Vertex], elsewhere: ScriptedUpstream) -> None:
    fake, begin = vertex
    gateway = begin("http://token.example/token")
    internet = FakeInternet(gateway)
    internet.names["token.example"], internet.servers[METADATA] = (METADATA,), elsewhere
    assert METADATA in refused(gateway)
    assert (internet.dialled, fake.received) == ([], [])


def test_the_token_endpoint_must_be_allowed_too(vertex: tuple[FakeVertex, Vertex], elsewhere: ScriptedUpstream) -> None:
    fake, begin = vertex
    gateway = begin(f"http://localhost:{elsewhere.port}/token", policy_allowed_hosts=(LOOPBACK,))
    assert "localhost" in refused(gateway)
    assert fake.received == []


def test_the_token_endpoint_leads_nowhere_else(
    vertex: tuple[FakeVertex, Vertex], upstream: ScriptedUpstream, elsewhere: ScriptedUpstream
) -> None:
    fake, begin = vertex
    upstream.respond = lambda _: answer(b"", 307, headers=[("Location", f"{elsewhere.url}/token")])
    reply = ask_chat(begin(f"http://{LOOPBACK}:{upstream.port}/token"))
    assert (reply.status, reply.error["code"]) == (502, "provider_auth")
    assert fake.received == []


# What an upstream says.


@pytest.mark.parametrize("wants_stream", [False, True])
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    start: Start, upstream: ScriptedUpstream, elsewhere: ScriptedUpstream, status: int, wants_stream: bool
) -> None:
    gateway = start(api_key_env="UP_KEY", environ={"UP_KEY": "sk-upstream"})
    where = [
        ("Location", f"{elsewhere.url}/chat/completions"),
        ("Alt-Svc", f'h2=":{elsewhere.port}"'),
        ("Refresh", "0"),
    ]
    upstream.respond = lambda _: answer(b"", status, headers=where)
    reply = ask_chat(gateway, stream=wants_stream)
    assert reply.status == 502
    assert b"sk-upstream" not in reply.body
    assert "location" not in reply.headers
    assert len(upstream.received) == 1


# What a client says.


@pytest.mark.parametrize("wants_stream", [False, True])
def test_no_word_of_a_client_changes_where_its_request_goes(
    start: Start, upstream: ScriptedUpstream, elsewhere: ScriptedUpstream, wants_stream: bool
) -> None:
    gateway = start(api_key_env="UP_KEY", environ={"UP_KEY": "sk-upstream"})
    there, host = elsewhere.url, f"{LOOPBACK}:{elsewhere.port}"
    words = dict.fromkeys(
        ("api_base", "base_url", "api_url", "url", "endpoint", "proxy", "host", "custom_llm_provider"), there
    )
    headers = [f"{name}: {host}" for name in ("X-Forwarded-Host", "X-Host", "X-Original-Host", "X-Forwarded-Server")]
    headers += [f"{name}: {there}" for name in ("X-Original-URL", "X-Rewrite-URL", "X-Api-Base", "X-Base-Url", "Proxy")]
    headers += [f"Forwarded: host={host};proto=http", "Proxy-Authorization: Basic eDp5", f"Via: 1.1 {host}"]
    reply = ask_chat(
        gateway,
        headers=tuple(headers),
        stream=wants_stream,
        metadata=dict(words),
        extra_body=dict(words),
        litellm_params=dict(words),
        **words,
    )
    assert reply.status == 200
    assert upstream.last.headers["host"] == f"{LOOPBACK}:{upstream.port}"
    assert upstream.last.headers["authorization"] == "Bearer sk-upstream"
    sent = {name.lower() for name in upstream.last.headers}
    assert not sent & {"x-forwarded-host", "forwarded", "proxy-authorization", "via", "x-original-url", "proxy"}


@pytest.mark.parametrize("model", ["http://{}", "openai/http://{}/v1", "gpt@{}", "gpt\r\nHost: {}", "../../{}"])
def test_a_models_name_leads_nowhere(gateway: RunningGateway, elsewhere: ScriptedUpstream, model: str) -> None:
    reply = ask_chat(gateway, model=model.format(f"{LOOPBACK}:{elsewhere.port}"))
    assert reply.status in (400, 404)


def test_an_absolute_target_and_a_foreign_host_lead_nowhere(
    gateway: RunningGateway, upstream: ScriptedUpstream, elsewhere: ScriptedUpstream
) -> None:
    body = json.dumps(CHAT).encode()
    lines = [f"POST {elsewhere.url}/chat/completions HTTP/1.1", f"Host: {LOOPBACK}:{elsewhere.port}",
             "Authorization: Bearer sk-test", f"Content-Length: {len(body)}"]  # fmt: skip
    with Wire(gateway.port) as wire:
        reply = wire.ask("\r\n".join([*lines, "", ""]).encode() + body)
    if reply.status == 200:
        assert upstream.last.headers["host"] == f"{LOOPBACK}:{upstream.port}"


def test_a_proxy_in_the_environment_is_not_used(
    monkeypatch: pytest.MonkeyPatch, start: Start, elsewhere: ScriptedUpstream
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{LOOPBACK}:{elsewhere.port}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    assert ask_chat(start(environ={"HTTP_PROXY": elsewhere.url})).status == 200


def test_other_endpoints_go_to_the_same_place(
    gateway: RunningGateway, upstream: ScriptedUpstream, elsewhere: ScriptedUpstream
) -> None:
    body = {"model": "embed", "input": "a", "base_url": elsewhere.url, "api_base": elsewhere.url}
    assert (
        ask(gateway, "/v1/embeddings", body, headers=(f"X-Forwarded-Host: {LOOPBACK}:{elsewhere.port}",)).status == 200
    )
    assert upstream.last.headers["host"] == f"{LOOPBACK}:{upstream.port}"


def test_a_connection_that_was_busy_is_not_kept_for_a_host_that_is_no_longer_allowed(
    start: Start, upstream: ScriptedUpstream
) -> None:
    world = snapshot_of(upstream.url)
    gateway = start(world)
    upstream.respond = lambda _: (Pause(0.2), *answer(chat()))
    with Wire(gateway.port) as wire:
        wire.send(post("/v1/chat/completions", CHAT))
        upstream.wait(1)
        gateway.push(changed(world, policy_allowed_hosts=("llm.example",)))
        assert wire.reply().status == 200  # it was sent before
    assert not any(gateway.do(lambda: gateway.gateway._pool._idle).values())


def test_nothing_else_in_the_gateway_opens_a_connection() -> None:
    words = (
        "create_connection",
        "open_connection",
        "getaddrinfo",
        "urlopen",
        "httpx",
        "socket.socket(",
        "HTTPConnection",
    )
    source = Path(tidegate.__file__).parent / "gateway"
    found = {file.name for file in source.rglob("*.py") if any(word in file.read_text() for word in words)}
    assert found == {"pool.py", "resolver.py"}
