"""The content log: in batches, bounded, fail closed, complete at the end; what is dropped is counted."""

import logging
from collections.abc import Sequence

import pytest

from tidegate.gateway import contents as module
from tidegate.gateway.contents import ContentLog
from tidegate.kernel.errors import Invalid, Unavailable
from tidegate.live.ports import Content


class Store:
    """A content store with moods."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.tries = 0
        self.fault: Exception | None = None
        self.closed = False

    async def put(self, batch: Sequence[Content]) -> None:
        self.tries += 1
        if self.fault is not None:
            raise self.fault
        self.kept += [content.call_id for content in batch]

    async def close(self) -> None:
        self.closed = True


def content(number: int, size: int = 10) -> Content:
    return Content(
        call_id=f"call_{number}", at_ms=1, expires_at_ms=2, route="gpt", endpoint="chat.completions",
        request=b"{}", answer=b"x" * size,
    )  # fmt: skip


async def test_all_is_stored_by_close() -> None:
    store = Store()
    log = ContentLog(store, flush_s=60)
    log.start()
    for number in range(250):
        log.put(content(number))
    await log.close()
    assert store.kept == [f"call_{number}" for number in range(250)]
    assert store.tries == 3
    assert store.closed
    assert log.dropped == 0


async def test_what_waits_is_bounded_in_number_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 3)
    monkeypatch.setattr(module, "MAX_PENDING_BYTES", 1000)
    for size, fits in ((10, 3), (400, 2)):
        store = Store()
        log = ContentLog(store)
        for number in range(5):
            log.put(content(number, size))
        await log.close()
        assert (len(store.kept), log.dropped) == (fits, 5 - fits)


async def test_a_store_that_is_away_is_waited_for_and_at_the_end_it_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store()
    store.fault = Unavailable("The disk is away.")
    log = ContentLog(store, flush_s=0.001, patience_s=0.05)
    log.put(content(1))
    await log._flush()
    assert (log.fault, log.dropped) == ("The disk is away.", 0)
    store.fault = None
    await log._flush()
    assert (log.fault, store.kept) == (None, ["call_1"])
    store.fault = Unavailable("The disk is away.")
    log.put(content(2))
    with caplog.at_level(logging.WARNING):
        await log.close()
    assert log.dropped == 1
    assert "1 calls could not be kept" in caplog.text


@pytest.mark.parametrize("fault", [Invalid("There is no master key."), ValueError("odd")])
async def test_what_cannot_be_sealed_is_dropped_and_told_once(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store()
    store.fault = fault
    log = ContentLog(store)
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            log.put(content(number))
            await log._flush()
    assert log.dropped == 3
    assert caplog.text.count("is not kept") == 1
    await log.close()


async def test_without_a_store_all_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    log = ContentLog(None)
    log.start()
    log.put(content(1))
    await log.close()
    assert log.dropped == 1
    assert "no content store" in caplog.text
