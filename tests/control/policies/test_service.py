"""Apply: whole or not at all, once, with its audit row, its news and its Snapshot in the same transaction."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.control.policies.configs import MINIMAL, with_model
from tests.support.databases import fresh_sqlite
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.control.identity.model import SYSTEM, Actor
from tidegate.control.identity.store import audit_rows
from tidegate.control.policies import store
from tidegate.control.policies.model import Config
from tidegate.control.policies.service import Policies
from tidegate.jobs.outbox import OUTBOX
from tidegate.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from tidegate.kernel.money import Price

ADA = Actor("user_1", "ada", ("admin",))
BO = Actor("user_2", "bo", ("deployer",))
LISTED = Price(input_pico_usd_per_token=150_000, output_pico_usd_per_token=600_000, source="a catalogue")


class Catalogue:
    """Knows one price, which may change."""

    def __init__(self) -> None:
        self.listed: Price | None = LISTED

    def price(self, provider_or_base_url: str, model: str) -> Price | None:
        return self.listed


class Printer:
    """A Publish that counts generations, and can fail."""

    def __init__(self) -> None:
        self.generation = 0
        self.seen: Config | None = None
        self.broken = False

    async def publish(self, tx: AsyncConnection) -> int:
        if self.broken:
            raise RuntimeError("out of paper")
        self.seen = await store.current(tx)
        self.generation += 1
        return self.generation


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = await fresh_sqlite(tmp_path)
    yield database
    await database.close()


@pytest.fixture
def printer() -> Printer:
    return Printer()


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue()


@pytest.fixture
def policies(db: SqliteDatabase, printer: Printer, catalogue: Catalogue) -> Policies:
    return Policies(db, printer.publish, catalogue)


async def count(db: SqliteDatabase) -> tuple[int, int]:
    """How many audit rows and errands there are."""
    async with db.read() as tx:
        errands = (await tx.execute(select(func.count()).select_from(OUTBOX))).scalar_one()
        return len(await audit_rows(tx, limit=100)), errands


async def test_the_first_apply_holds_and_is_told_everywhere(
    policies: Policies, printer: Printer, db: SqliteDatabase
) -> None:
    applied = await policies.apply(ADA, MINIMAL)
    assert (applied.revision, applied.generation) == (1, 1)
    assert "+ routes.chat.model: small" in applied.changes
    assert (await policies.current()).routes["chat"].deployment == "small"
    assert await policies.shown() == MINIMAL
    assert printer.seen == await policies.current()
    async with db.read() as tx:
        (row,) = await audit_rows(tx, limit=10)
    assert (row.actor, row.action, row.subject) == ("ada", "config.apply", "config/1")
    assert "+ routes.chat.model: small" in str(row.diff)
    assert await count(db) == (1, 1)


async def test_the_same_file_again_changes_nothing(policies: Policies, printer: Printer, db: SqliteDatabase) -> None:
    await policies.apply(ADA, MINIMAL)
    again = await policies.apply(ADA, MINIMAL)
    assert (again.revision, again.generation, again.changes) == (1, 1, ())
    assert printer.generation == 1
    assert await count(db) == (1, 1)


async def test_a_hard_budget_that_cannot_be_bounded_is_warned_of_each_time(
    policies: Policies, catalogue: Catalogue
) -> None:
    text = with_model("price: auto") + "budgets: [{name: month, usd: 10, per: month}]\n"
    assert (await policies.apply(ADA, text)).warnings == ()
    catalogue.listed = None
    (line,) = (await policies.apply(ADA, text)).warnings
    assert "budgets.month" in line
    assert (await policies.apply(ADA, text)).warnings == (line,)


async def test_a_changed_file_is_a_new_revision_that_names_the_change(policies: Policies) -> None:
    await policies.apply(ADA, MINIMAL)
    applied = await policies.apply(BO_AS_ADMIN, MINIMAL.replace("tiny-1", "tiny-2"))
    assert applied.revision == 2
    assert applied.changes == ("~ models.small.model: tiny-1 -> tiny-2",)
    newest = await policies.revision()
    assert (newest.actor, newest.generation) == ("bo", 2)


BO_AS_ADMIN = Actor("user_2", "bo", ("admin",))


async def test_a_changed_comment_is_kept_too(policies: Policies) -> None:
    await policies.apply(ADA, MINIMAL)
    applied = await policies.apply(ADA, f"# for the demo\n{MINIMAL}")
    assert applied.revision == 2
    assert applied.changes == ("~ comments, order or layout only",)
    assert (await policies.shown()).startswith("# for the demo")


async def test_a_faulty_file_changes_nothing(policies: Policies, printer: Printer, db: SqliteDatabase) -> None:
    await policies.apply(ADA, MINIMAL)
    with pytest.raises(Invalid, match=r"tidegate\.yaml has 1 fault"):
        await policies.apply(ADA, MINIMAL.replace("openai", "opnai"))
    assert await policies.shown() == MINIMAL
    assert printer.generation == 1
    assert await count(db) == (1, 1)


async def test_only_an_admin_applies(policies: Policies, db: SqliteDatabase) -> None:
    with pytest.raises(Forbidden, match=r"config\.apply"):
        await policies.apply(BO, MINIMAL)
    assert await count(db) == (0, 0)


async def test_when_the_snapshot_cannot_be_written_nothing_holds(
    policies: Policies, printer: Printer, db: SqliteDatabase
) -> None:
    printer.broken = True
    with pytest.raises(RuntimeError, match="out of paper"):
        await policies.apply(SYSTEM, MINIMAL)
    with pytest.raises(NotFound, match=r"tidegate\.yaml"):
        await policies.current()
    assert await count(db) == (0, 0)


async def test_before_the_first_apply_the_mend_says_what_to_do(policies: Policies) -> None:
    with pytest.raises(NotFound) as caught:
        await policies.shown()
    assert caught.value.code == "config_not_found"
    assert "tidegate apply" in caught.value.mend


async def test_a_catalogue_price_stays_as_it_was_applied_until_the_next_apply(
    policies: Policies, catalogue: Catalogue
) -> None:
    text = with_model("price: auto")
    await policies.apply(ADA, text)
    catalogue.listed = None
    assert (await policies.current()).deployments["small"].price == LISTED
    applied = await policies.apply(ADA, text)
    assert applied.revision == 2
    assert applied.changes == ("~ models.small.price: $0.15 in, $0.6 out for 1M tokens (a catalogue) -> unknown",)


async def test_a_guard_can_refuse_what_would_break_something_live(
    db: SqliteDatabase, printer: Printer, catalogue: Catalogue
) -> None:
    async def keep_chat(tx: AsyncConnection, config: Config) -> None:
        if "chat" not in config.routes:
            raise Conflict("greeting 1.0.0 is live and needs the route 'chat'.")

    policies = Policies(db, printer.publish, catalogue, guards=(keep_chat,))
    await policies.apply(ADA, MINIMAL)
    with pytest.raises(Conflict, match="needs the route"):
        await policies.apply(ADA, MINIMAL.replace("chat:", "talk:"))
    assert await policies.shown() == MINIMAL
