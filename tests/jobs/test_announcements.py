"""What a tick finds again and again is announced once."""

from pathlib import Path

from tests.support.databases import fresh_sqlite
from tidegate.jobs.announcements import announce_once
from tidegate.jobs.outbox import Outbox


async def test_the_same_event_is_enqueued_once_even_after_it_was_done(tmp_path: Path) -> None:
    db = await fresh_sqlite(tmp_path)
    seen: list[str] = []

    async def handle(payload: dict[str, object]) -> None:
        seen.append(str(payload["subject"]))

    outbox = Outbox(db, {"notify": handle})
    for subject in ("a", "a", "b", "a"):
        async with db.write() as tx:
            payload = {"event": "prompt.fault", "subject": subject}
            await announce_once(tx, at_ms=await db.now_ms(tx), payload=payload)
        await outbox.deliver()
    assert seen == ["a", "b"]
    await db.close()
