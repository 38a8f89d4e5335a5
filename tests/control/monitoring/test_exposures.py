"""What experiments read of the call log, on both stores: exposures with their scores, history, retention of scores."""

from typing import Any

from sqlalchemy import insert

from tests.control.monitoring.conftest import Store
from tests.control.monitoring.test_service import DAY_MS, now_of, record
from tidegate.control.monitoring.exposures import Exposed, Past, Scored
from tidegate.control.monitoring.service import Calls
from tidegate.control.monitoring.store import FEEDBACK
from tidegate.control.policies.model import Retention
from tidegate.live.calls import CallRecord


def exposed(seq: int, at_ms: int, **fields: Any) -> CallRecord:
    seen = {"experiment_id": "exp_1", "variant": "control", "experiment_unit": "ann", "propensity": 0.5}
    return record(seq, at_ms, **({"environment": "production"} | seen | fields))


async def say(
    store: Store, call_id: str, name: str, value: float, at_ms: int, *, environment: str = "production"
) -> None:
    row = {
        "feedback_id": f"fb_{call_id}_{at_ms}",
        "call_id": call_id,
        "name": name,
        "value": value,
        "at_ms": at_ms,
        "environment": environment,
        "key_id": "key_1",
    }
    async with store.db.write() as tx:
        await tx.execute(insert(FEEDBACK).values(row))


async def test_an_experiments_calls_come_in_the_order_of_their_start_with_what_was_said_of_them(store: Store) -> None:
    now = await now_of(store)
    late = exposed(1, now - 10, cost_nano_usd=7, latency_ms=30.0, ttft_ms=2.5, input_tokens=3, output_tokens=4)
    early = exposed(2, now - 20, variant="treatment", experiment_unit="bob", propensity=0.25, ending="failed")
    others = [
        exposed(3, now - 15, experiment_id="exp_2"),
        exposed(4, now - 15, origin="shadow"),
        record(5, now - 15, environment="production"),
    ]
    await store.records.append([late, early, *others])
    await say(store, late.call_id, "helpful", 1.0, now - 1)
    await say(store, late.call_id, "helpful", 0.0, now - 5)
    await say(store, early.call_id, "helpful", 0.5, now - 3, environment="staging")  # another environment's key
    await say(store, others[0].call_id, "helpful", 1.0, now - 2)
    await say(store, "call_unknown", "helpful", 1.0, now - 2)
    found = await Calls(store.db, store.batches).exposures("exp_1")
    assert found.calls == [
        Exposed(early.call_id, "bob", "treatment", 0.25, now - 20, "failed", None, 12.5, None, None, None, None),
        Exposed(late.call_id, "ann", "control", 0.5, now - 10, "complete", 7, 30.0, 2.5, None, 3, 4),
    ]
    assert found.scores == [
        Scored(late.call_id, "helpful", 0.0, now - 5),
        Scored(late.call_id, "helpful", 1.0, now - 1),
    ]


async def test_history_is_of_the_subject_the_environment_and_the_stretch(store: Store) -> None:
    now = await now_of(store)
    here: dict[str, Any] = {"environment": "production", "unit": "ann"}
    paid = {"tags": {"tier": "paid"}, "key_id": "key_1"}
    await store.records.append(
        [
            record(1, now - 50, prompt="qa", release_id="rel_1", tags={"tier": "free"}, **here),
            record(2, now - 40, prompt="qa", release_id="rel_1", **here, **paid),
            record(3, now - 30, route="fast", **here),
            record(4, now - 20, prompt="qa", release_id="rel_1", environment="staging", unit="ann"),
            record(5, now - 10, prompt="qa", release_id="rel_1", environment="production"),
            record(6, now - 10, prompt="qa", **here),  # by number
            record(7, now - 10, prompt="qa", release_id="rel_1", endpoint="messages.count_tokens", **here),
        ]
    )
    await say(store, "call_gw_a_00000001", "helpful", 1.0, now)
    calls = Calls(store.db, store.batches)

    async def seqs(subject: str, **fields: Any) -> list[int]:
        wanted: dict[str, Any] = {"environment": "production", "since_ms": now - 50, "before_ms": now} | fields
        found = await calls.history(Past(subject=subject, **wanted))
        return [int(one.call_id[-8:], 16) for one in found.calls]

    assert await seqs("prompt:qa") == [1, 2]  # the last one names nobody
    assert await seqs("prompt:qa", unit="request") == [1, 2, 5]
    assert await seqs("prompt:qa", unit="tag:tier") == [1, 2]
    assert await seqs("prompt:qa", since_ms=now - 49) == [2]
    assert await seqs("prompt:qa", before_ms=now - 40) == [1]
    assert await seqs("prompt:qa", tags={"tier": "free"}) == [1]
    assert await seqs("prompt:qa", key_ids=("key_1",)) == [2]
    assert await seqs("prompt:qa", unit="request", limit=2) == [2, 5]
    assert await seqs("fast") == [3]
    assert await seqs("prompt:qa", environment="staging") == [4]
    wanted = Past("prompt:qa", "production", now - 50, now, tags={"tier": "paid"})
    assert (await calls.history(wanted)).scores == []
    found = await calls.history(Past("prompt:qa", "production", now - 50, now, unit="tag:tier"))
    assert [one.unit for one in found.calls] == ["free", "paid"]
    assert found.scores == [Scored("call_gw_a_00000001", "helpful", 1.0, now)]


async def test_scores_go_when_their_calls_may_go(store: Store) -> None:
    now = await now_of(store)
    await store.records.append([exposed(1, now)])
    call_id = "call_gw_a_00000001"
    await say(store, call_id, "helpful", 1.0, now - 31 * DAY_MS)
    await say(store, call_id, "helpful", 0.0, now)
    calls = Calls(store.db, store.batches)
    assert len((await calls.exposures("exp_1")).scores) == 2
    await calls.prune(now, Retention(calls_days=30))
    assert [score.value for score in (await calls.exposures("exp_1")).scores] == [0.0]
    assert await calls.newest_ms() == now
