"""Call records read back from both stores: listing, following, losses, retention."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.control.monitoring.conftest import Store
from tidegate.adapters.memory.contents import MemoryContents
from tidegate.control.monitoring.model import HOUR_MS, CallFilter, PairFilter
from tidegate.control.monitoring.pairs import Pairs
from tidegate.control.monitoring.service import Calls
from tidegate.control.policies.model import Retention
from tidegate.kernel.errors import Conflict, Invalid, NotFound
from tidegate.kernel.ids import IdSource
from tidegate.live.calls import CallRecord
from tidegate.live.ports import Content

DAY_MS = 24 * HOUR_MS


async def now_of(store: Store) -> int:
    async with store.db.read() as tx:
        return await store.db.now_ms(tx)


def record(seq: int, at_ms: int, **fields: Any) -> CallRecord:
    gateway = fields.pop("gateway_id", "gw_a")
    values: dict[str, Any] = {
        "call_id": f"call_{gateway}_{seq:08x}",
        "gateway_id": gateway,
        "seq": seq,
        "started_at_ms": at_ms,
        "endpoint": "chat.completions",
        "status": 200,
        "ending": "complete",
        "latency_ms": 12.5,
    }
    return CallRecord(**values | fields)


async def test_a_record_comes_back_as_the_gateway_wrote_it(store: Store) -> None:
    now = await now_of(store)
    full = record(
        1, now, tags={"team": "späti", "x": "1"}, stream=True, prompt="greeting", prompt_version="1.1.0",
        cost_nano_usd=123, ttft_ms=3.5, unit="u1", generation=7,
    )  # fmt: skip
    bare = record(2, now)
    await store.records.append([full, bare])
    calls = Calls(store.db, store.batches)
    assert await calls.show(full.call_id) == full
    assert await calls.show(bare.call_id) == bare


async def test_a_call_is_found_by_how_its_id_ends(store: Store) -> None:
    now = await now_of(store)
    await store.records.append([record(1, now, call_id="call_0aaaaaa11"), record(2, now, call_id="call_1aaaaaa11")])
    calls = Calls(store.db, store.batches)
    assert (await calls.show("0aaaaaa11")).seq == 1
    with pytest.raises(Conflict, match="more than one"):
        await calls.show("aaaaaa11")
    for short in ("11", "a11", "%%%%%%%%", "call_x"):
        with pytest.raises(NotFound):
            await calls.show(short)


async def test_the_newest_come_first_and_filters_hold(store: Store) -> None:
    now = await now_of(store)
    await store.records.append(
        [
            record(1, now - 3, prompt="a", prompt_version="1.0.0", key_id="k1", environment="staging"),
            record(2, now - 2, prompt="a", prompt_version="1.1.0", key_id="k1", ending="cut"),
            record(3, now - 1, prompt="b", prompt_version="1.0.0", key_id="k2"),
        ]
    )
    calls = Calls(store.db, store.batches)

    async def found(**fields: Any) -> list[int]:
        return [one.seq for one in await calls.list(CallFilter(**fields))]

    assert await found() == [3, 2, 1]
    assert await found(limit=2) == [3, 2]
    assert await found(prompt="a") == [2, 1]
    assert await found(prompt="a", version="1.0.0") == [1]
    assert await found(key="k2") == [3]
    assert await found(ending="cut") == [2]
    assert await found(environment="staging") == [1]
    assert await found(after=now - 3, before=now - 1) == [2]


async def test_following_shows_each_call_once_though_a_long_one_ends_late(store: Store) -> None:
    now = await now_of(store)
    calls = Calls(store.db, store.batches)
    await store.records.append([record(1, now - 5000), record(2, now - 1000)])
    page = await calls.follow(CallFilter())
    assert [one.seq for one in page.calls] == [1, 2]
    await store.records.append([record(3, now - 600_000)])  # it began before all others, and ended last
    await store.records.append([record(1, now, gateway_id="gw_b")])
    page = await calls.follow(CallFilter(), page.cursor)
    assert [(one.gateway_id, one.seq) for one in page.calls] == [("gw_a", 3), ("gw_b", 1)]
    page = await calls.follow(CallFilter(), page.cursor)
    assert page.calls == ()


async def test_a_burst_is_followed_to_its_end(store: Store) -> None:
    now = await now_of(store)
    calls = Calls(store.db, store.batches)
    page = await calls.follow(CallFilter(limit=3))
    await store.records.append([record(seq, now + seq) for seq in range(1, 11)])
    seen: list[int] = []
    while True:
        page = await calls.follow(CallFilter(limit=3), page.cursor)
        if not page.calls:
            break
        seen += [one.seq for one in page.calls]
    assert seen == list(range(1, 11))


async def test_holes_are_losses_and_counted_once(store: Store) -> None:
    now = await now_of(store)
    calls = Calls(store.db, store.batches)
    kept = [record(seq, now - 1000 + seq) for seq in (1, 2, 5, 6, 10)]
    await store.records.append([*kept, record(1, now, gateway_id="gw_b")])
    assert [(gap.first, gap.last, gap.lost) for gap in await calls.gaps()] == [(7, 9, 3), (3, 4, 2)]
    assert await calls.count_lost() == 5
    await store.records.append([record(12, now)])
    assert await calls.count_lost() == 6
    assert await calls.count_lost() == 6


async def test_a_long_call_is_no_loss_at_the_edge_of_the_window(store: Store) -> None:
    now = await now_of(store)
    since = now - 10_000
    await store.records.append([record(1, since + 1), record(2, since - 60_000), record(3, since + 2)])
    assert await Calls(store.db, store.batches).gaps(since_ms=since) == ()


async def test_old_calls_go_and_that_is_no_loss(store: Store) -> None:
    now = await now_of(store)
    calls = Calls(store.db, store.batches)
    old = [record(seq, now - 40 * DAY_MS + seq) for seq in range(1, 8)]
    young = [record(8, now - DAY_MS), record(9, now - 41 * DAY_MS), record(10, now)]
    await store.records.append([*old, *young])
    await store.records.append([record(1, now - 50 * DAY_MS, gateway_id="gw_dead")])
    gone = await calls.prune(now, Retention(calls_days=30))
    assert (gone.by_age, gone.by_size) == (8, 0)
    assert [one.seq for one in await calls.list(CallFilter())] == [10, 8, 9]
    assert await calls.gaps(since_ms=0) == ()
    assert (await calls.prune(now, Retention(calls_days=30))).by_age == 0


async def test_the_oldest_go_while_all_take_too_much_room(store: Store) -> None:
    now = await now_of(store)
    calls = Calls(store.db, store.batches)
    heavy = {"tags": {"note": "x" * 900}}
    for start in range(0, 2400, 400):
        await store.records.append([record(seq, now + seq, **heavy) for seq in range(start + 1, start + 401)])
    gone = await calls.prune(now, Retention(calls_max_mb=1))
    assert gone.by_size > 1000
    left = await calls.list(CallFilter(limit=1000))
    assert left[0].seq == 2400
    assert {one.seq for one in left} == set(range(2401 - len(left), 2401))
    assert (await calls.prune(now, Retention(calls_max_mb=1))).by_size == 0


async def test_an_empty_store_has_nothing_to_say(store: Store) -> None:
    calls = Calls(store.db, store.batches)
    assert await calls.list(CallFilter()) == []
    assert (await calls.follow(CallFilter())).calls == ()
    assert await calls.gaps() == ()
    assert await calls.count_lost() == 0
    assert (await calls.prune(await now_of(store), Retention())).by_age == 0
    with pytest.raises(Invalid):
        await calls.follow(CallFilter(), "nonsense")


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50 * DAY_MS)), max_size=40), st.integers(1, 40))
async def test_pruning_never_makes_a_hole(store: Store, lines: list[tuple[int, int]], days: int) -> None:
    now = await now_of(store)
    births = [max((age for at, age in lines if at == gateway), default=0) for gateway in range(3)]
    lives = [IdSource("gw").next(now - birth) for birth in births]
    seqs = [0, 0, 0]
    batch = []
    for gateway, age_ms in lines:
        seqs[gateway] += 1
        batch.append(record(seqs[gateway], now - age_ms, gateway_id=lives[gateway]))
    await store.records.append(batch)
    calls = Calls(store.db, store.batches)
    await calls.prune(now, Retention(calls_days=days))
    assert await calls.gaps(since_ms=0) == ()
    await calls.prune(now + 100 * DAY_MS, Retention(calls_days=1))
    assert await calls.list(CallFilter()) == []


async def test_totals_sum_up_what_users_calls_of_a_stretch_of_time_used(store: Store) -> None:
    like = {"key_id": "key_1", "route": "chat", "environment": "dev", "tags": {"team": "red"}, "attempts": 1}
    used = {"input_tokens": 10, "output_tokens": 5}
    await store.records.append(
        [
            record(1, 1000, **like, **used, cost_nano_usd=100, bound_nano_usd=900),
            record(2, 1001, **like, **used, bound_nano_usd=900),  # an unknown cost counts as what was reserved
            record(3, 1002, **{**like, "tags": {"team": "blue"}}, cost_nano_usd=7),
            record(4, 1003, **like, cost_nano_usd=50, origin="shadow"),
            record(5, 1004, status=429, ending="refused", route="chat", bound_nano_usd=900),
            record(6, 2000, **like, cost_nano_usd=100),  # the next window's
        ]
    )
    found = {one.tags["team"]: one for one in await Calls(store.db, store.batches).totals(1000, 2000)}
    assert {team: (one.requests, one.tokens, one.nano_usd) for team, one in found.items()} == {
        "red": (2, 30, 1000),
        "blue": (1, 0, 7),
    }
    assert (found["red"].key, found["red"].model, found["red"].environment) == ("key_1", "chat", "dev")


async def test_calls_are_found_by_whose_they_are(store: Store) -> None:
    await store.records.append([record(1, 1000), record(2, 1001, origin="shadow", shadow_of="call_x")])
    calls = Calls(store.db, store.batches)
    assert [one.seq for one in await calls.list(CallFilter(origin="user"))] == [1]
    assert [one.seq for one in await calls.list(CallFilter(origin="shadow"))] == [2]
    assert len(await calls.list(CallFilter())) == 2


def copied(number: int, at_ms: int, route: str = "gpt", **fields: Any) -> list[CallRecord]:
    """A user's call and its copy."""
    user = record(2 * number, at_ms, call_id=f"call_{2 * number:08x}", route=route, deployment="big", **fields)
    shadow = record(
        2 * number + 1, at_ms, call_id=f"call_{2 * number + 1:08x}", route=route, deployment="small", origin="shadow",
        shadow_of=user.call_id,
    )  # fmt: skip
    return [user, shadow]


def content(call_id: str) -> Content:
    return Content(
        call_id=call_id, at_ms=1, expires_at_ms=2, route="gpt", endpoint="chat.completions", request=b"", answer=b""
    )


async def test_pairs_are_listed_side_by_side_page_by_page(store: Store) -> None:
    now = await now_of(store)
    alone = record(99, now, call_id="call_000000ff", route="gpt")
    await store.records.append([one for number in range(1, 6) for one in copied(number, now + number)] + [alone])
    kept = MemoryContents()
    await kept.put([content("call_0000000a"), content("call_0000000b"), content("call_00000008")])
    pairs = Pairs(Calls(store.db, store.batches), kept)
    first = await pairs.list(PairFilter(limit=2))
    assert [(one.user.deployment if one.user else None, one.shadow.deployment) for one in first.pairs] == [
        ("big", "small"), ("big", "small"),
    ]  # fmt: skip
    assert [(one.user_kept, one.shadow_kept) for one in first.pairs] == [(True, True), (True, False)]
    seen, after = list(first.pairs), first.next
    while after is not None:
        page = await pairs.list(PairFilter(limit=2, before=after))
        seen, after = [*seen, *page.pairs], page.next
    assert [one.shadow.shadow_of for one in seen] == [f"call_{2 * number:08x}" for number in (5, 4, 3, 2, 1)]
    assert all(one.user is not None and one.user.call_id == one.shadow.shadow_of for one in seen)


async def test_pairs_of_one_route_and_a_copy_whose_call_is_gone(store: Store) -> None:
    now = await now_of(store)
    await store.records.append([*copied(1, now), *copied(2, now, "other"), copied(3, now)[1]])
    pairs = Pairs(Calls(store.db, store.batches), MemoryContents())
    found = await pairs.list(PairFilter(route="gpt"))
    assert [(one.user is None, one.shadow.shadow_of) for one in found.pairs] == [
        (True, "call_00000006"), (False, "call_00000002"),
    ]  # fmt: skip
    assert found.next is None
    assert (await pairs.list(PairFilter(route="nobody"))).pairs == ()
    with pytest.raises(Invalid):
        PairFilter(limit=0)
