"""One gateway process's inside: what it serves from, how it follows, and what it tells of itself."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.asking import ask_chat, fetch
from tests.support.gateway import MemoryBoard, MemoryRecords, RunningGateway, until
from tests.support.scene import LINE, changed, snapshot_of
from tests.support.scene import gateway as gateway
from tests.support.scene import start as start
from tests.support.scene import upstream as upstream
from tests.support.upstream import ScriptedUpstream
from tidegate.adapters.memory.counters import MemoryCounters
from tidegate.app.gateway import Gateway, Request
from tidegate.app.stores import Stores
from tidegate.kernel.errors import Invalid
from tidegate.live.snapshot import Deployment, Snapshot
from tidegate.settings import Settings


def in_memory(snapshot: Snapshot) -> Stores:
    return Stores(MemoryBoard(snapshot), MemoryRecords(), MemoryCounters())


@pytest.fixture
def transport() -> str:
    return "raw"


@pytest.fixture
def snapshot(upstream: ScriptedUpstream) -> Snapshot:
    return snapshot_of(upstream.url)


def generation(gateway: RunningGateway) -> int | None:
    found: int | None = fetch(gateway, "/readyz").json["generation"]
    return found


# Following.


def test_a_newer_snapshot_is_served_and_a_lower_one_never(gateway: RunningGateway, snapshot: Snapshot) -> None:
    assert generation(gateway) == 11
    gateway.push(changed(snapshot, generation=20, routes={}))
    assert ask_chat(gateway).status == 404
    gateway.do(lambda: gateway.gateway.adopt(changed(snapshot, generation=15)))
    gateway.do(lambda: gateway.gateway.adopt(changed(snapshot, generation=20)))
    assert generation(gateway) == 20
    assert ask_chat(gateway).status == 404


def test_nothing_applied_yet_is_503_and_not_ready(tmp_path: Path, snapshot: Snapshot) -> None:
    with RunningGateway(None, tmp_path) as gateway:
        reply = ask_chat(gateway)
        assert (reply.status, reply.error["code"], reply.headers["retry-after"]) == (503, "no_snapshot", "1")
        assert "tidegate apply" in reply.error["message"]
        ready = fetch(gateway, "/readyz")
        assert (ready.status, ready.json["status"], ready.json["generation"]) == (503, "no snapshot", None)
        assert fetch(gateway, "/healthz").status == 200
        gateway.push(snapshot)
        assert ask_chat(gateway).status == 200
        assert fetch(gateway, "/readyz").json["status"] == "ready"


def test_the_last_snapshot_seen_is_served_while_the_database_is_away(tmp_path: Path, snapshot: Snapshot) -> None:
    with RunningGateway(snapshot, tmp_path) as gateway:
        until(Settings(workspace=tmp_path).snapshot_file.exists)
    assert Settings(workspace=tmp_path).snapshot_file.stat().st_mode & 0o777 == 0o600
    with RunningGateway(None, tmp_path, board_fault="The control database is gone.") as gateway:
        assert ask_chat(gateway).status == 200
        ready = fetch(gateway, "/readyz")
        assert (ready.status, ready.json["generation"]) == (200, 10)
        assert ready.json["control_database"] == "The control database is gone."
        gateway.board.fault = None
        assert fetch(gateway, "/readyz").json["control_database"] == "ok"


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\xff\xfe\n{}", b"0" * 64 + b"\n{}"])
def test_a_damaged_memory_is_no_snapshot(tmp_path: Path, damage: bytes) -> None:
    file = Settings(workspace=tmp_path).snapshot_file
    file.parent.mkdir()
    file.write_bytes(damage)
    with RunningGateway(None, tmp_path, board_fault="gone") as gateway:
        assert ask_chat(gateway).error["code"] == "no_snapshot"


def test_what_was_followed_is_remembered(tmp_path: Path, snapshot: Snapshot) -> None:
    with RunningGateway(snapshot, tmp_path) as gateway:
        gateway.push(changed(snapshot, generation=30))
        file = Settings(workspace=tmp_path).snapshot_file
        until(lambda: b'"generation":30' in file.read_bytes())


def test_a_broken_version_or_model_does_not_keep_a_snapshot_from_being_served(
    gateway: RunningGateway, snapshot: Snapshot
) -> None:
    broken = msgspec.structs.replace(LINE, content_hash="x", template_format="martian")
    martian = Deployment(name="bad", provider="martian", base_url="x", upstream_model="x")
    prompts = {**snapshot.prompts, "line": {"1.0.0": broken}}
    deployments = {**snapshot.deployments, "bad": martian}
    gateway.push(changed(snapshot, generation=40, prompts=prompts, deployments=deployments))
    assert ask_chat(gateway).status == 200
    assert (
        ask_chat(gateway, model="prompt:line", messages=None, variables={"time": "x"}).error["code"] == "invalid_prompt"
    )
    assert ask_chat(gateway, model="bad").error["code"] == "unknown_provider"


class Moody(MemoryBoard):
    """A board with a bug: the first time it is followed it fails."""

    failures = 0

    async def changes(self, after: int) -> AsyncIterator[Snapshot]:
        self.failures += 1
        if self.failures == 1:
            raise ZeroDivisionError
        async for snapshot in super().changes(after):
            yield snapshot


async def test_a_bug_in_the_board_does_not_leave_the_gateway_behind(
    tmp_path: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tidegate.app.gateway.FOLLOW_AGAIN_S", 0.01)
    board = Moody(snapshot)
    gateway = Gateway(Settings(workspace=tmp_path), Stores(board, MemoryRecords(), MemoryCounters()), {})
    await gateway.start()
    board.push(changed(snapshot, generation=50))
    async with asyncio.timeout(3):
        while b'"generation":50' not in (await gateway.handle(Request("GET", "/readyz", {}))).body:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await gateway.stop()
    assert "cannot be served; the last good one stays" in caplog.text


async def test_a_store_with_a_corrupt_snapshot_leaves_the_last_one_served(tmp_path: Path, snapshot: Snapshot) -> None:
    class Corrupt(MemoryBoard):
        async def latest(self) -> Snapshot | None:
            raise Invalid("corrupt", code="snapshot_corrupt")

    first = Gateway(Settings(workspace=tmp_path), in_memory(snapshot), {})
    await first.start()
    await asyncio.to_thread(until, Settings(workspace=tmp_path).snapshot_file.exists)
    await first.stop()
    second = Gateway(Settings(workspace=tmp_path), Stores(Corrupt(), MemoryRecords(), MemoryCounters()), {})
    await second.start()
    assert (await second.handle(Request("GET", "/readyz", {}))).status == 200
    await second.stop()


# What it tells.


def test_readiness_tells_of_records_and_calls(gateway: RunningGateway) -> None:
    ready = fetch(gateway, "/readyz").json
    assert ready == {
        "status": "ready",
        "gateway_id": gateway.gateway.gateway_id,
        "generation": 11,
        "control_database": "ok",
        "records": "ok",
        "records_waiting": 0,
        "feedback": "ok",
        "limits": "ok",
        "in_flight": 0,
    }
    gateway.records.away = True
    ask_chat(gateway)
    until(lambda: fetch(gateway, "/readyz").json["records"] != "ok")
    assert fetch(gateway, "/readyz").json["records_waiting"] == 1
    gateway.records.away = False
    until(lambda: fetch(gateway, "/readyz").json["records_waiting"] == 0)


def test_metrics_add_up_the_calls_by_what_they_were(gateway: RunningGateway) -> None:
    for _ in range(3):
        ask_chat(gateway)
    ask_chat(gateway, stream=True, model="prompt:greeting", messages=None, variables={"name": "A"})
    ask_chat(gateway, "sk-wrong")
    gateway.wait_records(5)
    reply = fetch(gateway, "/metrics", key=None)
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = reply.body.decode()
    plain = 'ending="complete",endpoint="chat.completions",model="gpt",prompt="",status="200",version=""'
    assert f"tidegate_calls_total{{{plain}}} 3.0" in sorted_labels(text)
    assert 'prompt="greeting"' in text
    assert 'ending="refused"' in text
    assert "tidegate_gateways 1.0" in text
    assert "tidegate_snapshot_generation 11.0" in text
    assert "sk-" not in text
    assert "key_test" not in text


def sorted_labels(text: str) -> str:
    """The exposition with the labels of each line in order."""
    lines = []
    for line in text.splitlines():
        name, brace, rest = line.partition("{")
        labels, _, value = rest.rpartition("}")
        lines.append(f"{name}{{{','.join(sorted(labels.split(',')))}}}{value}" if brace else line)
    return "\n".join(lines)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_operations_are_only_looked_at(tmp_path: Path, snapshot: Snapshot, path: str) -> None:
    gateway = Gateway(Settings(workspace=tmp_path), in_memory(snapshot), {})
    await gateway.start()
    replies = [await gateway.handle(Request(method, path, {})) for method in ("GET", "HEAD", "POST", "DELETE")]
    await gateway.stop()
    assert [reply.status for reply in replies] == [200, 200, 404, 404]


# The end.


async def test_stop_stores_all_and_closes_all(tmp_path: Path, snapshot: Snapshot) -> None:
    records = MemoryRecords()
    gateway = Gateway(Settings(workspace=tmp_path), Stores(MemoryBoard(snapshot), records, MemoryCounters()), {})
    await gateway.start()
    request = Request("POST", "/v1/chat/completions", {}, b"{}")
    assert (await gateway.handle(request)).status == 401
    await gateway.stop()
    assert (len(records.stored), records.closed) == (1, True)
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_full_disk_does_not_stop_the_serving(
    tmp_path: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tidegate.app.gateway.write_state", full)
    monkeypatch.setattr("tidegate.app.gateway._remember", full)
    gateway = Gateway(Settings(workspace=tmp_path), in_memory(snapshot), {})
    await gateway.start()
    assert (await gateway.handle(Request("GET", "/metrics", {}))).status == 200
    assert (await gateway.handle(Request("GET", "/readyz", {}))).status == 200
    await gateway.stop()


def test_a_gateway_starts_at_once(tmp_path: Path, snapshot: Snapshot) -> None:
    begun = time.monotonic()
    with RunningGateway(snapshot, tmp_path) as gateway:
        assert ask_chat(gateway).status == 200
        assert time.monotonic() - begun < 3
