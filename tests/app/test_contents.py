"""Content from a gateway's route to the disk, and with control back from it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.gateway.stages.test_keep import keeping
from tests.support.asking import ask_chat
from tests.support.control import MASTER_KEY, make_workspace, running_control, settings_for
from tests.support.gateway import RunningGateway, until
from tests.support.scene import upstream as upstream
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import answer, chat
from tidegate.app.backup import backup
from tidegate.app.stores import open_contents
from tidegate.control.identity.model import SYSTEM, Actor
from tidegate.kernel.errors import Forbidden, Invalid, NotFound
from tidegate.settings import Settings

ENVIRON = {"TIDEGATE_MASTER_KEY": MASTER_KEY, "TIDEGATE_ADMIN_TOKEN": "tgt-" + "0a1b2c3d4e" * 4}
WORDS = (b"a swordfish question", b"the answer is 42", b"ada@example.org")


def kept_by(workspace: Path, upstream: ScriptedUpstream, environ: dict[str, str], **asked: Any) -> RunningGateway:
    """A gateway that has answered one call of a route that keeps all, and stopped."""
    upstream.say(answer(chat("the answer is 42")))
    running = RunningGateway(keeping(upstream.url), workspace, environ=environ)
    running.contents = open_contents(Settings(workspace=workspace), environ)
    with running:
        messages = [{"role": "user", "content": "a swordfish question"}]
        assert ask_chat(running, user="ada@example.org", messages=messages, **asked).status == 200
        running.stop()
    return running


async def test_from_the_gateway_to_control_and_no_plaintext_on_the_disk(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    workspace = make_workspace(tmp_path / "home")
    running = kept_by(workspace, upstream, ENVIRON)
    call_id = running.wait_record().call_id
    state = workspace / ".tidegate"
    assert (state / "contents.db").stat().st_mode & 0o777 == 0o600
    assert all(word not in one.read_bytes() for one in state.rglob("*") if one.is_file() for word in WORDS)
    async with running_control(settings_for(workspace)) as control:
        found = await control.contents.show(SYSTEM, call_id)
        assert found.request["messages"][0]["content"] == "a swordfish question"
        assert found.answer["choices"][0]["message"]["content"] == "the answer is 42"
        assert found.subject == "ada@example.org"
        receipt = await control.contents.erase(SYSTEM, "ada@example.org")
        assert (receipt.erased, receipt.unchecked) == (1, 0)
        with pytest.raises(NotFound):
            await control.contents.show(SYSTEM, call_id)
        rows = await control.identity.list_audit(SYSTEM)
    assert [row.action for row in rows[:2]] == ["content.erase", "content.read"]
    assert rows[1].subject == f"calls/{call_id}"
    assert rows[0].subject == f"subjects/{receipt.subject_hash}"
    assert "ada" not in str(msgspec.to_builtins(rows))


async def test_another_master_key_refuses(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    workspace = make_workspace(tmp_path / "home")
    other = {**ENVIRON, "TIDEGATE_MASTER_KEY": "another0123456789another0123456789"}
    call_id = kept_by(workspace, upstream, other).wait_record().call_id
    async with running_control(settings_for(workspace)) as control:
        with pytest.raises(Invalid) as caught:
            await control.contents.show(SYSTEM, call_id)
        assert caught.value.code == "sealed_key_unknown"
        receipt = await control.contents.erase(SYSTEM, "ada@example.org")
        assert (receipt.erased, receipt.unchecked) == (0, 1)


async def test_after_a_rotation_the_old_master_key_may_go(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    workspace = make_workspace(tmp_path / "home")
    old = "another0123456789another0123456789"
    call_id = kept_by(workspace, upstream, {**ENVIRON, "TIDEGATE_MASTER_KEY": old}).wait_record().call_id
    async with running_control(settings_for(workspace), {"TIDEGATE_MASTER_KEY_PREVIOUS": old}) as control:
        reviewer = Actor("u1", "rita", ("reviewer",))
        with pytest.raises(Forbidden):
            await control.contents.reseal(reviewer)
        done = await control.contents.reseal(SYSTEM)
        assert (done.resealed, done.unopened, done.next) == (1, 0, None)
        assert (await control.contents.reseal(SYSTEM)).resealed == 0
        told = [row.action for row in await control.identity.list_audit(SYSTEM)]
        assert told.count("content.reseal") == 1
    async with running_control(settings_for(workspace)) as control:
        assert (await control.contents.show(SYSTEM, call_id)).subject == "ada@example.org"
        assert (await control.contents.erase(SYSTEM, "ada@example.org")).erased == 1


def test_without_a_master_key_nothing_is_kept_and_the_call_is_served(
    tmp_path: Path, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    running = kept_by(tmp_path, upstream, {})
    assert running.gateway.contents.dropped == 1
    assert caplog.text.count("the content of calls is not kept") == 1
    assert not (tmp_path / ".tidegate" / "contents.db").exists()


async def test_retention_lets_content_go(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    workspace = make_workspace(tmp_path / "home")
    call_id = kept_by(workspace, upstream, ENVIRON).wait_record().call_id
    with closing(sqlite3.connect(workspace / ".tidegate" / "contents.db")) as db, db:
        (expires_at_ms,) = db.execute("SELECT expires_at_ms FROM call_contents").fetchone()
    async with running_control(settings_for(workspace)) as control:
        assert await control.contents.prune(expires_at_ms - 1) == 0
        assert await control.contents.prune(expires_at_ms) == 1
        with pytest.raises(NotFound):
            await control.contents.show(SYSTEM, call_id)


async def test_a_backup_leaves_content_out(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    workspace = make_workspace(tmp_path / "home")
    kept_by(workspace, upstream, ENVIRON)
    async with running_control(settings_for(workspace)):
        manifest = await backup(settings_for(workspace), tmp_path / "all.tar.gz", calls=True)
    assert "calls" in manifest.tables
    assert not [name for name in manifest.tables if "content" in name]


async def test_control_erases_while_a_gateway_has_the_store_open_and_the_bytes_are_gone(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    workspace = make_workspace(tmp_path / "home")
    state = workspace / ".tidegate"
    upstream.say(answer(chat("the answer is 42")))
    running = RunningGateway(keeping(upstream.url), workspace, environ=ENVIRON)
    running.contents = open_contents(Settings(workspace=workspace), ENVIRON)
    with running:
        assert ask_chat(running, user="ada@example.org").status == 200
        until((state / "contents.db").exists)
        until(lambda: row_of(state) is not None)
        body = row_of(state)
        assert body is not None
        assert held(state, body[-60:])
        async with running_control(settings_for(workspace)) as control:
            assert (await control.contents.erase(SYSTEM, "ada@example.org")).erased == 1
        assert not held(state, body[-60:])


def row_of(state: Path) -> bytes | None:
    """The sealed blob of the first row."""
    with closing(sqlite3.connect(state / "contents.db")) as db:
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'call_contents'").fetchone() is None:
            return None
        found = db.execute("SELECT body FROM call_contents").fetchone()
    return None if found is None else bytes(found[0])


def held(state: Path, part: bytes) -> list[str]:
    """The store's files that hold these bytes."""
    return [file.name for file in state.glob("contents.db*") if part in file.read_bytes()]
