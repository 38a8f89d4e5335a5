"""An experiment from its file to its end: started, assigned by the gateway, judged by feedback, decided, deployed."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.support.platforms import BODY, PROMPT, Running, make_workspace, running
from tests.support.processes import eventually
from tests.support.scripted_model import scripted_model

USERS = 200
TWICE = 25
HOURS = 20
TEXT = f"""\
experiment:
  name: tone
  variants:
    control: {{prompt: {PROMPT}@1.0.0}}
    treatment: {{prompt: {PROMPT}@1.1.0}}
  metrics: [helpful, error_rate]
  guardrails: {{error_rate: {{ratio: 2}}}}
  salt: walk
  observe: 1m
  window: 1h
  duration: 2d
  min_samples: 50
"""


def test_users_are_tried_on_two_versions_and_the_better_one_is_shipped(tmp_path: Path) -> None:
    with scripted_model() as model, running(make_workspace(tmp_path / "shop", model.url, model.name)) as platform:
        started = platform.api.post("/experiments", json={"text": TEXT})
        assert started.status_code == 201, started.text
        versions = _users(platform, platform.new_key())
        assert min(Counter(versions.values()).values()) > 65  # of 200 about 100, standard deviation 7
        eventually(lambda: _logged(platform) >= USERS, what="calls are missing from the log")

        early = platform.api.get("/experiments/tone/analysis").json()
        assert early["decision"]["answer"] == "inconclusive"
        assert platform.api.post("/experiments/tone/decide", json={}).status_code == 409

        _let_hours_pass(platform, started.json()["experiment"]["experiment_id"])
        found = platform.api.get("/experiments/tone/analysis").json()
        assert found["decision"]["answer"] == "ship", found["decision"]
        assert found["decision"]["variant"] == "treatment"
        assert found["split"]["ok"] is True
        assert {arm["variant"]: arm["exposed"] for arm in found["arms"]} == {
            "control": sum(version == "1.0.0" for version in versions.values()),
            "treatment": sum(version == "1.1.0" for version in versions.values()),
        }

        decided = platform.api.post("/experiments/tone/decide", json={"reason": "it helps more"})
        assert decided.status_code == 200, decided.text
        platform.deploy("1.1.0")
        with platform.client(platform.new_key("after")) as app:
            eventually(lambda: "x-tidegate-experiment" not in app.post("/chat/completions", json=BODY).headers)
            for number in range(10):
                answer = _ask(app, f"user-{number}")
                assert answer.headers["x-tidegate-version"] == f"{PROMPT}@1.1.0"


def _users(platform: Running, key: str) -> dict[str, str]:
    """Every user asks and says how it was, some ask again and get the same version; returns who got which."""
    found = {}
    with platform.client(key) as app:
        eventually(lambda: _ask(app, "user-0").status_code == 200, what="the experiment does not arrive")
        for number in range(USERS):
            user = f"user-{number}"
            first = _ask(app, user)
            assert first.status_code == 200, first.text
            version = first.headers["x-tidegate-version"].partition("@")[2]
            if number < TWICE:
                assert _ask(app, user).headers["x-tidegate-version"] == first.headers["x-tidegate-version"]
            assert first.headers["x-tidegate-experiment"].startswith("tone/")
            helpful = number % 10 < (7 if version == "1.1.0" else 3)
            said = {"call_id": first.headers["x-request-id"], "name": "helpful", "value": helpful}
            assert app.post("/feedback", json=said).status_code == 200
            found[user] = version
    return found


def _ask(app: Any, user: str) -> Any:
    return app.post("/chat/completions", json=BODY, headers={"x-tidegate-unit": user})


def _logged(platform: Running) -> int:
    page = platform.api.get("/calls", params={"limit": 1000}).json()
    return len({call["unit"] for call in page["calls"] if call["experiment_id"]})


def _let_hours_pass(platform: Running, experiment_id: str) -> None:
    """As if the experiment had begun hours ago, and its calls had come one by one since."""
    with _opened(platform.settings.calls_db_file) as calls:
        rows = "SELECT gateway_id, seq, started_at_ms FROM calls WHERE experiment_id = ? ORDER BY started_at_ms, seq"
        found = calls.execute(rows, (experiment_id,)).fetchall()
        began = min(row[2] for row in found) - 1000 - HOURS * 3_600_000
        step = (HOURS - 1) * 3_600_000 / len(found)
        moved = [(round(began + 1000 + step * at), gateway, seq) for at, (gateway, seq, _) in enumerate(found)]
        calls.executemany("UPDATE calls SET started_at_ms = ? WHERE gateway_id = ? AND seq = ?", moved)
        calls.execute(
            "UPDATE feedback SET at_ms = 1000 + "
            "(SELECT started_at_ms FROM calls WHERE calls.call_id = feedback.call_id)"
        )
    with _opened(platform.settings.control_db_file) as control:
        control.execute("UPDATE experiments SET started_at_ms = ?", (began,))


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, timeout=10)) as connection, connection:
        yield connection
