"""The way of an exposure through a real gateway process: OpenAI's client is assigned, its call recorded, its feedback
on the disk before it is answered, also when the process is killed right after.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.live.test_experiments import experiment
from tests.support.gateway_process import gateway_process
from tests.support.processes import eventually
from tests.support.scene import changed, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tidegate.adapters.sqlite.batches import unpack_batches
from tidegate.client import Client
from tidegate.live.experiments import LiveVariant
from tidegate.settings import Settings

GREETING = "prompt:greeting"
VARIANTS = (
    LiveVariant(name="control", weight_bp=5_000, version="2.0.0"),
    LiveVariant(name="treatment", weight_bp=5_000, version="1.0.0"),
)
USERS = [f"user-{number}" for number in range(8)]
Row = dict[str, Any]


@contextmanager
def opened(workspace: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(Settings(workspace=workspace).calls_db_file, isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        yield db


def calls(workspace: Path) -> list[Row]:
    with opened(workspace) as db:
        while unpack_batches(db):
            pass
        return [dict(row) for row in db.execute("SELECT * FROM calls ORDER BY seq")]


def feedback(workspace: Path) -> list[Row]:
    with opened(workspace) as db:
        return [dict(row) for row in db.execute("SELECT * FROM feedback ORDER BY at_ms, name")]


@pytest.mark.parametrize("transport", ["raw", "asgi"])
def test_an_exposure_is_recorded_and_feedback_survives_a_kill(tmp_path: Path, transport: str) -> None:
    with ScriptedUpstream() as upstream:
        one = experiment(subject=GREETING, variants=VARIANTS)
        world = changed(snapshot_of(upstream.url), experiments={"production": {GREETING: (one,)}})
        with gateway_process(tmp_path, transport, world) as (running, port):
            url = f"http://127.0.0.1:{port}/v1"
            told: dict[str, tuple[str, str]] = {}
            with (
                openai.OpenAI(base_url=url, api_key="sk-test", max_retries=0) as client,
                Client(url, "sk-test") as ours,
            ):
                for user in (*USERS, *USERS):
                    reply = client.chat.completions.with_raw_response.create(
                        model=GREETING, messages=[], user=user, extra_body={"variables": {"name": "Ada"}}
                    )
                    answer = reply.parse()
                    name, _, variant = reply.headers["x-tidegate-experiment"].partition("/")
                    assert (name, answer.choices[0].message.content) == ("tone", "Hello there.")
                    assert answer._request_id is not None
                    told[answer._request_id] = (user, variant)
                first, second, *_ = told
                scores: Any = client.post(
                    "/feedback", body={"call_id": first, "scores": {"resolved": True, "tone": 0.7}}, cast_to=object
                )
                assert scores["stored"] is True
                eventually(lambda: len(calls(tmp_path)) == len(told))
                feedback_id = ours.feedback(second, "resolved", False)
                running.process.kill()
            running.ends()
    by_id = {row["call_id"]: row for row in calls(tmp_path)}
    for call_id, (user, variant) in told.items():
        row = by_id[call_id]
        assert (row["experiment_id"], row["variant"], row["experiment_unit"]) == ("exp_1", variant, user)
        assert (row["propensity"], row["release_id"], row["prompt"]) == (0.5, None, "greeting")
    arms = Counter(told.values())
    assert set(arms.values()) == {2}, "a user keeps the variant"
    assert {variant for _, variant in arms} == {"control", "treatment"}
    rows = feedback(tmp_path)
    assert [(row["call_id"], row["name"], row["value"]) for row in rows] == [
        (first, "resolved", 1.0),
        (first, "tone", 0.7),
        (second, "resolved", 0.0),
    ]
    assert {(row["environment"], row["key_id"]) for row in rows} == {("production", "key_test")}
    assert rows[-1]["feedback_id"] == feedback_id
