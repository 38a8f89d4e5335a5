"""Active probes: an ill upstream is found before a call meets it, and one that is well again is used again."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.asking import ask_chat, fetch
from tests.support.gateway import RunningGateway, until
from tests.support.scene import Start, changed, snapshot_of
from tests.support.upstream import Received, ScriptedUpstream, usual
from tests.support.wire import answer, error
from tidegate.gateway.providers.azure.provider import models_path
from tidegate.gateway.routing.board import HealthBoard
from tidegate.gateway.routing.health import CLOSED, HALF_OPEN, OPEN
from tidegate.gateway.routing.probes import Probes
from tidegate.gateway.upstream.target import Target, make_target
from tidegate.gateway.world import World
from tidegate.kernel.errors import ProviderFailed, ProviderUnreachable
from tidegate.live.snapshot import Breaker, Deployment, Route, Snapshot

BREAKER = Breaker(failures=2, open_s=10.0)


class Answered:
    """What an upstream answered to a probe."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.headers: dict[bytes, bytes] = {}
        self.released = 0

    async def whole(self) -> bytes:
        return b""

    async def piece(self) -> bytes:
        raise AssertionError("a probe reads no stream")

    async def pour(self, take: Any) -> None:
        raise AssertionError("a probe reads no stream")

    def go_on(self) -> None:
        raise AssertionError("a probe reads no stream")

    def release(self) -> None:
        self.released += 1


class Lab:
    """Probes on a clock that goes only where a sleep takes it; upstreams answer `status`, or break with `fault`."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []
        self.status = 200
        self.fault: Exception | None = None
        self.hang = False
        self.requests: list[bytes] = []
        self.reached: list[str] = []
        self.answers: list[Answered] = []
        self.at_once = self.most_at_once = 0
        self.board = HealthBoard(clock=lambda: self.now_s)
        self.left = 0
        self.probes = Probes(self, self.board, sleep=self.sleep, draw=lambda: 0.5)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.left <= 0:
            await asyncio.Event().wait()
        self.left -= 1
        self.now_s += seconds
        await asyncio.sleep(0)

    async def send(self, target: Target, request: bytes, *, streaming: bool) -> Answered:
        self.requests.append(request)
        await self._met()
        self.answers.append(Answered(self.status))
        return self.answers[-1]

    async def reach(self, target: Target) -> None:
        self.reached.append(target.name)
        await self._met()

    async def _met(self) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            if self.fault is not None:
                raise self.fault
        finally:
            self.at_once -= 1

    def world(self, provider: str = "openai", probe_s: float = 5.0, **fields: Any) -> World:
        one = Deployment(
            name="main",
            provider=provider,
            base_url="http://up.example/v1",
            upstream_model="m",
            probe_s=probe_s,
            **fields,
        )
        target = make_target("main", one.base_url, {}, {"Authorization": "Bearer sk-up", "X-Own": "1"})
        routes = {"gpt": Route(alias="gpt", deployment="main", breaker=BREAKER)}
        return World(Snapshot(deployments={"main": one}, routes=routes), {"main": target})

    async def run(self, probes: int, world: World | None = None) -> None:
        """Let so many probes happen."""
        self.left = probes
        if world is not None or not self.probes._tasks:
            await self.probes.stop()
            self.probes.adopt(world or self.world())
        for _ in range(20 * probes + 20):
            await asyncio.sleep(0)
        await self.probes.stop()


@pytest.fixture
def lab() -> Lab:
    return Lab()


async def test_openai_is_asked_for_its_models_with_the_deployments_own_headers(lab: Lab) -> None:
    await lab.run(1)
    assert lab.requests == [
        b"GET /v1/models HTTP/1.1\r\nHost: up.example\r\nAuthorization: Bearer sk-up\r\nX-Own: 1\r\n\r\n"
    ]
    assert lab.reached == []
    assert lab.probes.totals == {"main": {"well": 1}}
    assert [one.released for one in lab.answers] == [1]


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "vertex", "bedrock"])
async def test_the_others_are_only_connected_to(lab: Lab, provider: str) -> None:
    await lab.run(2, lab.world(provider))
    assert (lab.requests, lab.reached) == ([], ["main", "main"])


@pytest.mark.parametrize(
    ("base_url", "version", "path"),
    [
        ("https://r.openai.azure.com", "2024-10-21", "/openai/models?api-version=2024-10-21"),
        ("https://r.openai.azure.com", "", "/openai/v1/models"),
        ("https://r.openai.azure.com", "preview", "/openai/v1/models?api-version=preview"),
        ("https://r.openai.azure.com/openai/v1", "", "/models"),
    ],
)
async def test_azure_is_asked_at_its_own_path(lab: Lab, base_url: str, version: str, path: str) -> None:
    options = {"api_version": version} if version else {}
    asked = Deployment(name="a", provider="azure", base_url=base_url, upstream_model="m", options=options)
    assert models_path(asked) == path
    await lab.run(1, lab.world("azure", options=options))
    assert lab.requests[0].startswith(b"GET /v1")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "well"), (401, "well"), (404, "well"), (302, "ill"), (429, "well"), (500, "ill"), (503, "ill")],
)
async def test_a_status_is_judged_as_a_calls_is(lab: Lab, status: int, outcome: str) -> None:
    lab.status = status
    await lab.run(1)
    assert lab.probes.totals == {"main": {outcome: 1}}


async def test_failures_open_the_breaker_and_a_good_probe_closes_it(lab: Lab) -> None:
    lab.fault = ProviderUnreachable("away")
    health = lab.board.of("main")
    await lab.run(1)
    assert health.state(lab.now_s) == CLOSED
    await lab.run(1)
    assert health.state(lab.now_s) == OPEN
    await lab.run(10)
    assert health.state(lab.now_s) == OPEN  # each probe that fails keeps it open
    assert health.open_until_s - lab.now_s <= BREAKER.open_s  # and none makes the wait longer
    lab.fault = None
    await lab.run(1)
    assert (health.state(lab.now_s), health.blocked(lab.now_s, None), health.failures) == (CLOSED, None, 0)
    assert health.in_flight == 0


async def test_a_connection_alone_lets_a_call_try(lab: Lab) -> None:
    health = lab.board.of("main")
    for _ in range(2):
        health.begin()
        health.failed(lab.now_s, Breaker(failures=2, open_s=1000))
    assert health.state(lab.now_s) == OPEN
    await lab.run(1, lab.world("anthropic"))
    assert health.state(lab.now_s) == HALF_OPEN
    assert health.blocked(lab.now_s, None) is None


async def test_probes_leave_the_calls_in_flight_alone(lab: Lab) -> None:
    health = lab.board.of("main")
    health.begin()
    await lab.run(3)
    lab.fault = ProviderUnreachable("away")
    await lab.run(3)
    assert health.in_flight == 1
    assert health.ewma_ms is None  # how fast a list of models comes says nothing of an answer


async def test_one_at_a_time_and_not_in_step_with_others(lab: Lab) -> None:
    world = lab.world()
    lab.left = 6
    for _ in range(3):
        lab.probes.adopt(world)  # a new Snapshot begins no second round
    for _ in range(200):
        await asyncio.sleep(0)
    assert lab.most_at_once == 1
    assert len(lab.requests) == 6
    assert lab.slept[0] == 2.5
    assert set(lab.slept[1:]) == {5.0}
    lab.probes.adopt(lab.world(probe_s=0.0))
    await asyncio.sleep(0)
    assert lab.probes._tasks == {}
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(("draw", "expected"), [(0.0, 4.0), (0.999, 6.0)])
async def test_the_pause_is_drawn(draw: float, expected: float) -> None:
    lab = Lab()
    lab.probes = Probes(lab, lab.board, sleep=lab.sleep, draw=lambda: draw)
    await lab.run(2)
    assert lab.slept[1] == pytest.approx(expected, abs=0.01)


async def test_what_cannot_be_called_is_not_probed(lab: Lab) -> None:
    world = lab.world()
    world.targets["main"].fault = ProviderFailed("no key")
    await lab.run(3, world)
    assert (lab.requests, lab.probes.totals) == ([], {})


@pytest.mark.parametrize("code", ["shutting_down", "upstream_not_allowed"])
async def test_what_is_no_fault_of_its_own_says_nothing_of_an_upstream(lab: Lab, code: str) -> None:
    lab.fault = ProviderFailed("It was not asked.", code=code)
    await lab.run(3)
    assert lab.probes.totals == {}
    assert lab.board.of("main").failures == 0


async def test_a_fault_of_our_own_does_not_end_the_probing(lab: Lab) -> None:
    lab.fault = RuntimeError("a bug")
    await lab.run(1)
    lab.fault = None
    await lab.run(2)
    assert lab.probes.totals == {"main": {"well": 2}}


# A real gateway in front of a real server.


def probed(received: Received) -> Any:
    return answer({"object": "list", "data": []}) if received.method == "GET" else usual(received)


def metric(gateway: RunningGateway, outcome: str) -> Callable[[], bool]:
    line = f'tidegate_probes_total{{deployment="main",outcome="{outcome}"}}'
    return lambda: line in fetch(gateway, "/metrics", key=None).body.decode()


def test_an_upstream_that_comes_back_is_found_by_a_probe(start: Start, upstream: ScriptedUpstream) -> None:
    upstream.respond = lambda received: error(503) if received.method == "GET" else usual(received)
    world = snapshot_of(upstream.url, probe_s=0.03, api_key_env="UP_KEY")
    routes = {"gpt": Route(alias="gpt", deployment="main", breaker=Breaker(failures=2, open_s=300.0))}
    gateway = start(changed(world, routes=routes), environ={"UP_KEY": "sk-up"})
    board = gateway.gateway._send.board
    until(lambda: board.states().get("main") == OPEN)
    until(metric(gateway, "ill"))
    upstream.respond = probed
    until(lambda: board.states().get("main") == CLOSED)
    until(metric(gateway, "well"))
    assert ask_chat(gateway).status == 200
    assert len(gateway.wait_records(1)) == 1  # probes leave none
    asked = next(one for one in upstream.received if one.method == "GET")
    assert (asked.path, asked.headers["authorization"]) == ("/v1/models", "Bearer sk-up")
    gateway.push(changed(changed(changed(world)), generation=20, deployments={}))
    until(lambda: not gateway.gateway.probes._tasks)


def test_a_port_that_takes_no_connection_is_found_too(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        gateway = start(base_url=url, provider="anthropic", probe_s=0.03)
        until(metric(gateway, "ill"))
        until(lambda: gateway.gateway._send.board.states().get("main") == OPEN)
