"""Content read, erased and let go: who may, what is written down, what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.control import make_workspace, running_control, settings_for
from tidegate.adapters.memory.contents import MemoryContents
from tidegate.adapters.sqlite.contents import SqliteContents
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.adapters.vault.contents import ContentSeals
from tidegate.app.control import Control
from tidegate.control.identity.model import SYSTEM, Actor, AuditRow
from tidegate.control.monitoring.contents import BATCH, RESEAL_BATCH, RESEAL_BATCHES, KeptContents
from tidegate.kernel.errors import Forbidden, Invalid, NotFound
from tidegate.live.calls import CallRecord
from tidegate.live.ports import Content

LATER_MS = 4_000_000_000_000
REVIEWER = Actor("u1", "rita", ("reviewer",))


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Control]:
    async with running_control(settings_for(make_workspace(tmp_path / "home"))) as running:
        yield running


@pytest.fixture
def store() -> MemoryContents:
    return MemoryContents()


@pytest.fixture
def contents(control: Control, store: MemoryContents) -> KeptContents:
    return KeptContents(control.db, control.calls, store)


def said(number: int, **fields: Any) -> Content:
    values: dict[str, Any] = {
        "call_id": f"call_{number:032x}", "at_ms": 1, "expires_at_ms": LATER_MS, "route": "gpt",
        "endpoint": "chat.completions", "request": b'{"a":1}', "answer": b"data: 1\n\n", "subject": "ada",
    }  # fmt: skip
    return Content(**values | fields)


async def audited(control: Control) -> list[AuditRow]:
    rows = await control.identity.list_audit(SYSTEM)
    return [row for row in rows if row.action.startswith("content.")]


async def test_a_reader_is_written_down_with_what_was_read(
    control: Control, contents: KeptContents, store: MemoryContents
) -> None:
    await store.put([said(1)])
    found = await contents.show(REVIEWER, said(1).call_id)
    assert (found.request, found.answer, found.subject) == ({"a": 1}, "data: 1\n\n", "ada")
    (row,) = await audited(control)
    assert (row.actor, row.action, row.subject) == ("rita", "content.read", f"calls/{said(1).call_id}")
    assert "ada" not in str(row.diff)


async def test_a_call_is_found_by_how_its_id_ends(
    control: Control, contents: KeptContents, store: MemoryContents
) -> None:
    records = SqliteRecords(control.settings.calls_db_file)
    record = CallRecord(
        call_id=said(0xABCDEF12).call_id, gateway_id="gw_a", seq=1, started_at_ms=1, endpoint="chat.completions",
        status=200, ending="complete", latency_ms=1.0,
    )  # fmt: skip
    await records.append([record])
    await records.close()
    with pytest.raises(NotFound, match="content"):
        await contents.show(SYSTEM, "abcdef12")
    await store.put([said(0xABCDEF12)])
    assert (await contents.show(SYSTEM, "abcdef12")).call_id == record.call_id


async def test_who_may_not_reads_and_erases_nothing(
    control: Control, contents: KeptContents, store: MemoryContents
) -> None:
    await store.put([said(1)])
    for role in ("editor", "deployer"):
        with pytest.raises(Forbidden):
            await contents.show(Actor("u", "eve", (role,)), said(1).call_id)
    for role in ("editor", "deployer", "reviewer"):
        with pytest.raises(Forbidden):
            await contents.erase(Actor("u", "eve", (role,)), "ada")
    assert len(store.stored) == 1
    assert await audited(control) == []


async def test_what_is_over_is_not_shown_though_it_is_still_there(
    control: Control, contents: KeptContents, store: MemoryContents
) -> None:
    await store.put([said(1, expires_at_ms=5)])
    with pytest.raises(NotFound):
        await contents.show(SYSTEM, said(1).call_id)
    assert await audited(control) == []


async def test_an_erasure_gives_a_receipt_and_an_audit_row(
    control: Control, contents: KeptContents, store: MemoryContents
) -> None:
    await store.put([said(1), said(2, subject=None, shadow_of=said(1).call_id), said(3, subject="bob")])
    receipt = await contents.erase(SYSTEM, "ada")
    assert (receipt.erased, receipt.unchecked) == (2, 0)
    assert receipt.erased_at_ms > 1_600_000_000_000
    (row,) = await audited(control)
    assert (row.action, row.at_ms, row.diff) == ("content.erase", receipt.erased_at_ms, {"erased": 2, "unchecked": 0})
    assert [one.subject for one in store.stored.values()] == ["bob"]
    for nobody in ("", "x" * 257):
        with pytest.raises(Invalid):
            await contents.erase(SYSTEM, nobody)


async def test_all_that_is_over_goes(contents: KeptContents, store: MemoryContents) -> None:
    await store.put([said(number, expires_at_ms=number) for number in range(2 * BATCH + 10)])
    assert await contents.prune(2 * BATCH) == 2 * BATCH + 1
    assert len(store.stored) == 9


async def test_sealing_anew_takes_some_at_a_time_and_goes_on(control: Control, tmp_path: Path) -> None:
    old, new = "fedcba9876543210fedcba9876543210", "0123456789abcdef0123456789abcdef"
    file, many = tmp_path / "contents.db", RESEAL_BATCH * RESEAL_BATCHES + 5
    before = SqliteContents(file, lambda: ContentSeals(old))
    await before.put([said(number) for number in range(many)])
    await before.close()
    store = SqliteContents(file, lambda: ContentSeals(new, (old,)))
    contents = KeptContents(control.db, control.calls, store)
    first = await contents.reseal(SYSTEM)
    assert (first.resealed, first.next is None) == (many - 5, False)
    last = await contents.reseal(SYSTEM, first.next or "")
    assert (last.resealed, last.unopened, last.next) == (5, 0, None)
    assert (await contents.reseal(SYSTEM)).resealed == 0
    await store.close()
    assert [row.diff["resealed"] for row in await audited(control)] == [5, many - 5]
