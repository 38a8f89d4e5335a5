"""A store that loses what it counted, on each real store: it is noticed, and no second budget is given out."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.calls import a_call
from tests.support.redis import RedisServer
from tidegate.adapters.postgres.counters import PostgresCounters
from tidegate.adapters.redis.counters import RedisCounters
from tidegate.adapters.sqlite.counters import SqliteCounters
from tidegate.gateway.call import Call
from tidegate.gateway.ledger.ledger import Ledger
from tidegate.kernel.errors import TidegateError, Unavailable
from tidegate.live.births import FORGOTTEN, LOST, NEW, REBUILT, Birth, meet, reopened
from tidegate.live.counting import Counted
from tidegate.live.ports import Line
from tidegate.live.snapshot import KeyGrant, LimitRule
from tidegate.live.windows import window_at

FAR_MS = 4_000_000_000_000
CAP = 1_000
TABLES = "counter_windows, counter_slices, counter_gateways, counter_births"


@dataclass
class Store:
    """A store of counters, and how it loses all that it knew."""

    opened: Callable[[], Any]
    lose: Callable[[], Awaitable[None]]


@pytest.fixture(params=["sqlite", "a dropped table", "emptied tables", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: list[Any] = []

    def opening(made: Callable[[], Any]) -> Callable[[], Any]:
        def open_one() -> Any:
            opened.append(made())
            return opened[-1]

        return open_one

    if request.param == "sqlite":

        async def lose() -> None:
            for suffix in ("", "-wal", "-shm"):
                tmp_path.joinpath(f"counters.db{suffix}").unlink(missing_ok=True)

        yield Store(opening(lambda: SqliteCounters(tmp_path / "counters.db")), lose)
    elif request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        url = request.getfixturevalue("redis_url")

        async def lose() -> None:
            await asyncio.to_thread(server.empty)

        first = RedisCounters(url)
        await first.begin()
        await first.close()
        yield Store(opening(lambda: RedisCounters(url)), lose)
    else:
        address = request.getfixturevalue("postgres_url")
        gone = f"DROP TABLE {TABLES}" if request.param == "a dropped table" else f"TRUNCATE {TABLES}"

        async def lose() -> None:
            connection = await asyncpg.connect(address)
            await connection.execute(gone)
            await connection.close()

        yield Store(opening(lambda: PostgresCounters(address)), lose)
    for one in opened:
        await one.close()


def wants(amount: int = CAP, settled: int = 0) -> list[Line]:
    return [
        Line(counter="c", window="w", ends_at_ms=FAR_MS, cap=CAP, generation=1, wanted=amount, least=amount,
             settled=settled)
    ]  # fmt: skip


async def refused(counters: Any, gateway_id: str, seq: int) -> str:
    """How the exchange is refused; a table that went away under an open connection is opened anew first."""
    codes = [await refused_once(counters, gateway_id, seq)]
    if codes == ["budget_store_unavailable"]:
        codes.append(await refused_once(counters, gateway_id, seq))
    return codes[-1]


async def refused_once(counters: Any, gateway_id: str, seq: int) -> str:
    with pytest.raises(Unavailable) as caught:
        await counters.exchange(gateway_id, seq, wants())
    return caught.value.code


async def test_nobody_gets_a_second_budget_from_a_store_that_has_lost_the_first(store: Store) -> None:
    knowing, newcomer, control = store.opened(), store.opened(), store.opened()
    assert (await knowing.exchange("gw_1", 1, wants()))[0].granted == CAP
    await store.lose()
    assert await refused(knowing, "gw_1", 2) == "counters_lost"
    assert await refused(newcomer, "gw_2", 1) == "counters_lost"
    assert await refused(knowing, "gw_1", 2) == "counters_lost"
    await control.rebuild([Counted(counter="c", window="w", cap=CAP, settled=900, held=0, ends_at_ms=FAR_MS)])
    assert (await newcomer.exchange("gw_2", 1, wants()))[0].granted == 0
    assert (await newcomer.exchange("gw_2", 2, wants(100)))[0].granted == 100
    assert (await knowing.exchange("gw_1", 2, wants(0, settled=1)))[0].settled == 901


async def test_a_store_that_was_lost_and_rebuilt_unseen_is_not_taken_for_the_one_that_was_known(store: Store) -> None:
    knowing, control = store.opened(), store.opened()
    await knowing.exchange("gw_1", 1, wants())
    await store.lose()
    try:
        await control.rebuild([])
    except Unavailable:
        await control.rebuild([])  # its connection was opened anew
    assert await refused(knowing, "gw_1", 2) == "counters_lost"
    assert (await knowing.exchange("gw_1", 2, wants()))[0].granted == CAP


async def test_rebuilding_a_store_that_is_well_leaves_its_slices_alone(store: Store) -> None:
    knowing, control = store.opened(), store.opened()
    await knowing.exchange("gw_1", 1, wants(700))
    before = await control.birth()
    await control.rebuild([])
    after = await control.birth()
    assert before.mark == after.mark
    assert (await knowing.exchange("gw_1", 2, wants(400)))[0].granted == 0
    assert (await knowing.exchange("gw_1", 3, wants(300)))[0].granted == 300


async def test_control_closes_a_store_for_all(store: Store) -> None:
    knowing, newcomer, control = store.opened(), store.opened(), store.opened()
    await knowing.exchange("gw_1", 1, wants(1))
    await control.lose()
    assert await refused(knowing, "gw_1", 2) == "counters_lost"
    assert await refused(newcomer, "gw_2", 1) == "counters_lost"
    await control.rebuild([])
    assert (await newcomer.exchange("gw_2", 1, wants(1)))[0].granted == 1


async def test_calls_are_refused_under_a_lost_budget_until_it_is_rebuilt(store: Store) -> None:
    rule = LimitRule(name="c", unit="nano_usd", cap=CAP, per="day")
    call = a_call()
    call.grant = KeyGrant(key_id="id_app", name="app")
    counters, control = store.opened(), store.opened()
    ledger = Ledger(counters, "gw_1", patience_s=5.0)
    ledger.adopt((rule,), 1)
    ledger.start()
    (await ledger.hold(call, 600, 0)).settle(600, 0)
    async with asyncio.timeout(10):
        while (await control.standings())[0].settled < 600:  # noqa: ASYNC110  # reported a moment later
            await asyncio.sleep(0.02)
    await store.lose()
    async with asyncio.timeout(10):
        while await code_of(ledger, call, 300) != "counters_lost":  # a rest of the old slice may be left
            pass
    assert await code_of(ledger, call, 1) == "counters_lost"
    window = window_at("day", "UTC", time.time_ns() // 1_000_000)
    one = Counted(counter="c", window=window.name, cap=CAP, settled=600, held=0, ends_at_ms=window.ends_at_ms)
    await control.rebuild([one])
    async with asyncio.timeout(10):
        while await code_of(ledger, call, 300) is not None:  # noqa: ASYNC110  # the ledger tells nobody
            await asyncio.sleep(0.02)
    await ledger.stop()
    [state] = await control.standings()
    assert 900 <= state.settled <= CAP


async def code_of(ledger: Ledger, call: Call, amount: int) -> str | None:
    """Make a call that costs so much; the code of its refusal, None when it was served."""
    try:
        (await ledger.hold(call, amount, 0)).settle(amount, 0)
    except TidegateError as error:
        return error.code
    return None


def test_what_a_process_makes_of_a_birth() -> None:
    assert meet(None, None, "b") == ("b", Birth("b", NEW), False)
    assert meet("a", None, "b") == (FORGOTTEN, Birth("b", LOST), True)
    assert meet(None, Birth("a", NEW), "b") == ("a", None, False)
    assert meet("a", Birth("a", REBUILT), "b") == ("a", None, False)
    assert meet("a", Birth("c", NEW), "b") == (FORGOTTEN, Birth("c", LOST), True)
    assert meet("a", Birth("c", REBUILT), "b") == ("c", None, True)
    assert meet(None, Birth("a", LOST), "b") == (FORGOTTEN, None, True)
    assert meet(FORGOTTEN, Birth("c", REBUILT), "b") == ("c", None, False)
    assert meet(FORGOTTEN, Birth("c", NEW), "b") == (FORGOTTEN, Birth("c", LOST), True)
    assert meet(FORGOTTEN, None, "b") == (FORGOTTEN, Birth("b", LOST), True)
    assert reopened(None, "b") == reopened(Birth("a", LOST), "b") == Birth("b", REBUILT)
    assert reopened(Birth("a", NEW), "b") == Birth("a", REBUILT)
