"""A rollout's calls by stretches, on both stores: when a call counts, whose was seen before, copies and their calls."""

from typing import Any

from tests.control.monitoring.conftest import Store
from tests.control.monitoring.conftest import store as store
from tests.control.monitoring.test_exposures import say
from tests.control.monitoring.test_service import now_of, record
from tests.support.postgres import postgres_server as postgres_server
from tidegate.control.monitoring.service import Calls
from tidegate.control.monitoring.stretches.model import Stretch
from tidegate.control.monitoring.stretches.reading import RolloutCalls
from tidegate.live.calls import CallRecord

SETTLE_MS = 60_000


def rolled(seq: int, at_ms: int, unit: str, arm: str = "stable", share: float = 0.25, **fields: Any) -> CallRecord:
    given = {
        "experiment_id": "roll_1",
        "variant": arm,
        "experiment_unit": unit,
        "propensity": share if arm == "candidate" else 1 - share,
        "environment": "production",
    }
    return record(seq, at_ms, **(given | fields))


def reading(store: Store) -> RolloutCalls:
    return RolloutCalls(store.db, Calls(store.db, store.batches))


def stretch(now: int, **fields: Any) -> Stretch:
    return Stretch("roll_1", now - 10_000, now, SETTLE_MS)._replace(**fields)


async def test_a_call_counts_in_one_stretch_however_long_it_takes(store: Store) -> None:
    now = await now_of(store)
    await store.records.append(
        [
            rolled(1, now - 9_000, "ann"),
            rolled(2, now - 8_000, "bob", latency_ms=SETTLE_MS + 7_000.5),  # counts at now - 999
            rolled(3, now - 7_000, "cat", latency_ms=SETTLE_MS + 9_000.0),  # counts at now + 2000
            rolled(4, now - 90_000, "dan", latency_ms=SETTLE_MS + 85_000.0),  # counts at now - 5000
            rolled(5, now - 11_000, "eve"),
            rolled(6, now, "fay"),
        ]
    )
    log = reading(store)
    assert await log.edge_ms(stretch(now), 1) == now - 8_000
    assert await log.edge_ms(stretch(now), 3) is None
    found = await log.users(stretch(now))
    assert [(one.unit, one.started_at_ms - now) for one in found.calls] == [
        ("ann", -9000),
        ("dan", -5000),
        ("bob", -1000),
    ]
    later = await log.users(stretch(now, from_ms=now, until_ms=now + 10_000))
    assert [(one.unit, one.started_at_ms - now) for one in later.calls] == [("fay", 0), ("cat", 2000)]


async def test_a_unit_is_found_once_in_an_arm_of_a_weight_and_known_in_all(store: Store) -> None:
    now = await now_of(store)
    before = now - 50_000
    await store.records.append(
        [
            rolled(1, before, "ann"),
            rolled(2, before, "bob", share=0.05),
            rolled(3, before, "cat", share=0.0),  # before the split: everybody was
            rolled(4, before, "dan", origin="shadow"),
            rolled(5, before, "eve", latency_ms=SETTLE_MS + 45_000.0),  # counts in the stretch
            *(rolled(10 + n, now - 5_000, unit) for n, unit in enumerate(("ann", "bob", "cat", "dan", "eve", ""))),
            rolled(20, now - 4_000, "zoe", experiment_id="roll_2"),
        ]
    )
    found = await reading(store).users(stretch(now))
    assert sorted({one.unit for one in found.calls}) == ["bob", "cat", "dan", "eve"]
    assert found.seen == {"bob"}
    each = await reading(store).users(stretch(now, once=True))
    assert (len(each.calls), each.seen) == (6, frozenset())


async def test_copies_come_with_the_calls_that_they_copy_and_what_was_said_of_both(store: Store) -> None:
    now = await now_of(store)
    user = rolled(1, now - 20_000, "ann", share=0.0, ending="failed")
    copy = rolled(2, now - 9_000, "ann", "candidate", propensity=None, origin="shadow", shadow_of=user.call_id)
    lost = rolled(3, now - 8_000, "bob", "candidate", propensity=None, origin="shadow", shadow_of="call_gone")
    await store.records.append([user, copy, lost])
    await say(store, user.call_id, "faithfulness", 0.9, now - 5)
    await say(store, copy.call_id, "faithfulness", 0.4, now - 6)
    await say(store, copy.call_id, "faithfulness", 0.1, now - 4, environment="staging")
    log = reading(store)
    found = await log.copies(stretch(now))
    assert [one.call_id for one in found.calls] == [copy.call_id, lost.call_id]
    assert {name: (one.call_id, one.ending) for name, one in found.copied.items()} == {
        copy.call_id: (user.call_id, "failed")
    }
    assert [(one.call_id, one.value) for one in found.scores] == [(copy.call_id, 0.4), (user.call_id, 0.9)]
