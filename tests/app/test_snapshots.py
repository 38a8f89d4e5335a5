"""The writer of Snapshots: what it remembers never outlives a change."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from tests.support.control import make_workspace, newest_snapshot, running_control, settings_for
from tidegate.app.control import Control
from tidegate.app.snapshots import Press
from tidegate.control.identity.model import SYSTEM, KeySpec
from tidegate.control.identity.store import GRANT_MEMORY_MS, KEYS
from tidegate.control.prompts.store import PROMPT_VERSIONS
from tidegate.kernel.errors import Conflict
from tidegate.live.snapshot import secret_hash


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Control]:
    async with running_control(settings_for(make_workspace(tmp_path / "home"))) as running:
        yield running


async def test_every_change_of_a_key_is_in_the_next_snapshot(control: Control) -> None:
    made = await control.identity.create_key(SYSTEM, KeySpec(name="app", tags={"team": "web"}))
    digest = secret_hash(made.secret)
    assert (await newest_snapshot(control)).keys[digest].tags == {"team": "web"}
    await control.identity.expire_key(SYSTEM, "app", made.key.created_at_ms + 10**9)
    assert (await newest_snapshot(control)).keys[digest].expires_at_ms == made.key.created_at_ms + 10**9
    await control.identity.expire_key(SYSTEM, "app", None)
    assert (await newest_snapshot(control)).keys[digest].expires_at_ms is None
    revoked = await control.identity.revoke_key(SYSTEM, "app")
    assert (await newest_snapshot(control)).keys[digest].revoked_at_ms == revoked.revoked_at_ms


async def test_a_transaction_that_is_rolled_back_leaves_nothing_behind_in_memory(control: Control) -> None:
    await control.releases.deploy(SYSTEM, "greeting", "1.0.0", "production")
    made = await control.identity.create_key(SYSTEM, KeySpec(name="app"))
    press = Press(control.db)
    async with control.db.write() as tx:
        await press.publish(tx)
    with suppress(Conflict):
        async with control.db.write() as tx:
            await tx.execute(update(KEYS).values(revoked_at_ms=5))
            assert (await press.compose(tx)).keys == {}
            raise Conflict("No.")
    async with control.db.write() as tx:
        assert (await press.compose(tx)).keys[secret_hash(made.secret)].revoked_at_ms is None


async def test_dead_keys_are_forgotten_in_time_though_no_key_changes(control: Control) -> None:
    made = await control.identity.create_key(SYSTEM, KeySpec(name="app"))

    class Later:
        """The database, its clock set forward."""

        ahead_ms = 0

        async def now_ms(self, tx: object) -> int:
            return made.key.created_at_ms + self.ahead_ms

    clock = Later()
    await control.identity.revoke_key(SYSTEM, "app")
    press = Press(clock)  # type: ignore[arg-type]  # only its clock is asked for
    async with control.db.read() as tx:
        assert len((await press.compose(tx)).keys) == 1
        clock.ahead_ms = GRANT_MEMORY_MS + 3_600_000
        assert (await press.compose(tx)).keys == {}


async def test_a_version_that_is_missing_costs_only_itself(control: Control, caplog: pytest.LogCaptureFixture) -> None:
    for prompt in ("greeting", "farewell"):
        await control.releases.deploy(SYSTEM, prompt, "1.0.0", "production")
    async with control.db.write() as tx:
        await tx.execute(delete(PROMPT_VERSIONS).where(PROMPT_VERSIONS.c.name == "greeting"))
        composed = await Press(control.db).compose(tx)
    assert set(composed.prompts) == {"farewell"}
    assert "greeting@1.0.0 is live, a way back or tried out, but is not in the registry" in caplog.text


async def test_each_snapshot_is_one_more_than_the_last_and_of_its_time(control: Control) -> None:
    before = await newest_snapshot(control)
    await control.identity.create_key(SYSTEM, KeySpec(name="app"))
    after = await newest_snapshot(control)
    assert after.generation == before.generation + 1
    assert after.written_at_ms >= before.written_at_ms > 1_700_000_000_000
