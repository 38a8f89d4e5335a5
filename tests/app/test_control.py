"""The whole control plane: it waits for its database, survives its loss, does its duties, and says how it is."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import func, select

from tests.support.control import (
    ADMIN_TOKEN,
    CONFIG,
    commit,
    make_workspace,
    newest_snapshot,
    prompt_text,
    running_control,
    settings_for,
)
from tests.support.postgres import PostgresServer
from tests.support.postgres import postgres_server as postgres_server
from tests.support.waiting import until
from tidegate.app.control import Control
from tidegate.control.identity.model import SYSTEM, KeySpec
from tidegate.jobs.notifications import Event
from tidegate.jobs.snapshots import SNAPSHOTS, newest_generation
from tidegate.kernel.errors import Invalid, Unavailable


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "home")


async def is_ready(control: Control) -> bool:
    return (await control.readiness()).ready


async def test_a_new_workspace_gets_its_admin_its_configuration_and_a_first_snapshot(workspace: Path) -> None:
    async with running_control(settings_for(workspace)) as control:
        assert await is_ready(control)
        assert (await control.identity.authenticate(ADMIN_TOKEN)).name == "admin"
        assert (await control.policies.revision()).text == CONFIG
        async with control.db.read() as tx:
            generation = await newest_generation(tx)
    async with running_control(settings_for(workspace)) as control:
        assert (await control.policies.revision()).revision == 1
        async with control.db.read() as tx:
            assert await newest_generation(tx) == generation


async def test_without_a_configuration_it_is_ready_to_be_given_one(workspace: Path) -> None:
    (workspace / "tidegate.yaml").write_text("models: [")
    async with running_control(settings_for(workspace)) as control:
        assert await is_ready(control)
        await control.apply(SYSTEM, CONFIG, "tidegate.yaml")
        release = await control.releases.deploy(SYSTEM, "greeting", "1.0.0", "production")
        assert release.version == "1.0.0"


async def test_weak_keys_are_refused_at_the_start(workspace: Path) -> None:
    (workspace / ".tidegate" / "keys.env").write_text("master_key=short\nadmin_token=short\n")
    with pytest.raises(Invalid, match="shorter than 32"):
        Control(settings_for(workspace), {})


async def test_a_database_file_that_goes_away_is_told_and_comes_back(workspace: Path) -> None:
    settings = settings_for(workspace)
    async with running_control(settings) as control:
        aside = settings.control_db_file.with_suffix(".aside")
        settings.control_db_file.rename(aside)
        with pytest.raises(Unavailable):
            await control.identity.authenticate(ADMIN_TOKEN)
        away = await control.readiness()
        assert not away.ready
        assert away.parts["database"].state != "ok"
        assert b"tidegate_control_database_up 0.0" in await control.metrics()
        aside.rename(settings.control_db_file)
        assert await is_ready(control)
        assert (await control.identity.authenticate(ADMIN_TOKEN)).name == "admin"
        await until(lambda: control.leader.leads)


async def test_it_starts_without_its_server_and_is_ready_once_that_is_there(
    workspace: Path, postgres_server: PostgresServer
) -> None:
    url = await asyncio.to_thread(postgres_server.create)
    await asyncio.to_thread(postgres_server.stop)
    control = Control(settings_for(workspace, url), {})
    try:
        await control.start()
        assert not await is_ready(control)
        with pytest.raises(Unavailable):
            await control.identity.authenticate(ADMIN_TOKEN)
        await asyncio.to_thread(postgres_server.start)
        await until(lambda: is_ready(control))
        await control.releases.deploy(SYSTEM, "greeting", "1.0.0", "production")
        await asyncio.to_thread(postgres_server.stop)
        await until(lambda: not control.leader.leads)
        assert not await is_ready(control)
        await asyncio.to_thread(postgres_server.start)
        await until(lambda: is_ready(control))
        await until(lambda: control.leader.leads)
        assert (await control.releases.rollback(SYSTEM, "greeting", "production")).version is None
    finally:
        await asyncio.to_thread(postgres_server.start)
        await control.stop()


async def test_two_processes_share_one_database_and_one_leader(
    workspace: Path, postgres_server: PostgresServer
) -> None:
    url = await asyncio.to_thread(postgres_server.create_migrated)
    settings = settings_for(workspace, url)
    async with running_control(settings) as one, running_control(settings) as other:
        await until(lambda: one.leader.leads != other.leader.leads)
        await one.releases.deploy(SYSTEM, "greeting", "1.0.0", "production")
        assert [release.version for release in await other.releases.status()] == ["1.0.0"]
        await asyncio.gather(
            *(side.identity.create_key(SYSTEM, KeySpec(name=f"k{at}-{number}"))
              for number in range(10) for at, side in enumerate((one, other)))
        )  # fmt: skip
        keys = (await newest_snapshot(other)).keys.values()
        assert len([one for one in keys if "internal" not in one.scopes]) == 20
        leader, follower = (one, other) if one.leader.leads else (other, one)
        await leader.leader.stop()
        await until(lambda: follower.leader.leads)
    await asyncio.to_thread(postgres_server.drop, url)


async def test_broken_prompt_files_are_told_while_the_good_ones_serve(
    workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    commit(workspace, {"prompts/broken/v1.0.0.yaml": "name: ["})
    async with running_control(settings_for(workspace)) as control:
        await until(lambda: control.followed.scan is not None)
        readiness = await control.readiness()
        assert readiness.ready
        part = readiness.parts["prompts"]
        assert part.state == "1 of the prompt files are wrong and not served"
        assert msgspec.to_builtins(part.detail)["faults"][0]["file"] == "prompts/broken/v1.0.0.yaml"
        await control.releases.deploy(SYSTEM, "greeting", "1.0.0", "production")
        commit(workspace, {"prompts/broken/v1.0.0.yaml": None})
        await until(lambda: control.followed.scan is not None and not control.followed.scan.faults)
        assert (await control.readiness()).parts["prompts"].state == "ok"
    assert caplog.text.count("a prompt file is not served") == 1


class Receiver:
    """A webhook's receiver on a port of the kernel's choice."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.status = 204

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        body = await reader.readexactly(length)
        if self.status == 204:
            self.events.append(msgspec.json.decode(body, type=Event))
        writer.write(f"HTTP/1.1 {self.status} X\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    one = Receiver()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    async with server:
        yield one, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"


def notifiers(*lines: str) -> str:
    return CONFIG + "notifiers:\n" + "".join(f"  - {line}\n" for line in lines)


async def test_notifiers_are_told_of_what_they_asked_for(workspace: Path, receiver: tuple[Receiver, str]) -> None:
    heard, url = receiver
    (workspace / "tidegate.yaml").write_text(
        notifiers(
            f"{{name: ops, kind: webhook, url: '{url}', events: [release.deployed, release.rolled_back, prompt.fault]}}"
        )
    )
    async with running_control(settings_for(workspace)) as control:
        await control.releases.deploy(SYSTEM, "greeting", "1.0.0", "production", reason="hello")
        await control.releases.withdraw(SYSTEM, "greeting", "production")
        await control.releases.deploy(SYSTEM, "greeting", "1.1.0", "production")
        await control.releases.rollback(SYSTEM, "greeting", "production")
        await until(lambda: len(heard.events) >= 3)
        commit(workspace, {"prompts/broken/v1.0.0.yaml": "name: ["})
        await until(lambda: len(heard.events) >= 4)
        await until(lambda: _settled(control))
    assert [event.event for event in heard.events] == [
        "release.deployed", "release.deployed", "release.rolled_back", "prompt.fault",
    ]  # fmt: skip
    first = heard.events[0]
    assert (first.actor, first.subject) == ("system", "release/production/greeting")
    assert first.detail["after"] == {"version": "1.0.0", "number": 1}
    assert first.detail["reason"] == "hello"
    assert heard.events[3].subject == "prompts/broken/v1.0.0.yaml"


async def _settled(control: Control) -> bool:
    return not await control.outbox.waiting()


async def test_a_receiver_that_is_away_holds_back_only_its_own(workspace: Path, receiver: tuple[Receiver, str]) -> None:
    heard, url = receiver
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        (workspace / "tidegate.yaml").write_text(
            notifiers(f"{{name: dead, kind: webhook, url: '{dead}'}}", f"{{name: ops, kind: webhook, url: '{url}'}}")
        )
        async with running_control(settings_for(workspace)) as control:
            await control.releases.deploy(SYSTEM, "greeting", "1.0.0", "production")
            await until(lambda: any(event.event == "release.deployed" for event in heard.events))
            await until(lambda: _only_dead_waits(control))
            outbox = (await control.readiness()).parts["outbox"]
            assert outbox.state.startswith("notify:dead fails: ProviderUnreachable")
            assert (await control.readiness()).ready


async def _only_dead_waits(control: Control) -> bool:
    waiting = await control.outbox.waiting()
    return {errand.kind for errand in waiting} == {"notify:dead"} and any(errand.last_error for errand in waiting)


async def test_old_snapshots_go(workspace: Path) -> None:
    async with running_control(settings_for(workspace)) as control:
        for number in range(25):
            await control.identity.create_key(SYSTEM, KeySpec(name=f"k{number}"))
        await control.stop()
    async with running_control(settings_for(workspace)) as control:
        await until(lambda: _snapshots(control, 20))


async def _snapshots(control: Control, count: int) -> bool:
    async with control.db.read() as tx:
        return bool((await tx.execute(select(func.count()).select_from(SNAPSHOTS))).scalar_one() == count)


async def test_prompts_are_followed_to_another_repository(workspace: Path, tmp_path: Path) -> None:
    other = make_workspace(tmp_path / "other")
    async with running_control(settings_for(workspace)) as control:
        await control.apply(SYSTEM, CONFIG + f"prompts: {{repository: '{other}', branch: main}}\n", "tidegate.yaml")
        commit(other, {"prompts/greeting/v3.0.0.yaml": prompt_text("greeting", "3.0.0")})
        assert (await control.releases.deploy(SYSTEM, "greeting", "3.0.0", "production")).version == "3.0.0"
