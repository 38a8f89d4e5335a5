"""An experiment from its first line to its decision: `python -m bench.experiment [--bandit] [--users N] [--out DIR]`.

A whole platform (`tidegate up` with the local model) serves two versions of a prompt. Simulated users each ask one
question of the workspace's dataset through the gateway with the real `openai` client, and say over `POST /v1/feedback`
whether the answer held what a good one must hold: what they judge is real, only the users are simulated. Then the
experiment is analysed, decided and reported by the product's own commands; the report is written to the folder.

With `--bandit` the shares of the two versions follow what is learned while the users come, and each call's record is
compared with the Snapshot that it was served by: its propensity is its variant's share there, never below the floor.
"""

import argparse
import concurrent.futures
import contextlib
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import openai

from bench.platform import PROMPT, served
from bench.processes import BenchError, bounded, free_port
from bench.workspace import Workspace
from tidegate.live.snapshot import decode_snapshot

CONTROL, TREATMENT = "1.0.0", "1.1.0"
DATASET = "datasets/support-answer.jsonl"
AT_A_TIME = 4
LIMIT_S = 1800.0
SETTLED_S = 180.0
"""The last users are judged by then: their window and their observation are over, and what is late has come."""

SEED = 20261124
ASK_AGAIN = 200
"""After so many users it is asked whether the experiment is decided."""

UNITS_PER_DAY = 100_000
"""About as many as come by while this runs: a little more than one a second."""

NEWEST_CALLS = "1000"
FLOOR = 0.1


class Plan(NamedTuple):
    """An experiment's name and its file."""

    name: str
    text: str


FIXED = Plan(
    "greeting-and-example",
    f"""\
experiment:
  name: greeting-and-example
  description: Does an example before the question keep a small model to the facts?
  environment: production
  variants:
    control: {{prompt: {PROMPT}@{CONTROL}, traffic: 50}}
    treatment: {{prompt: {PROMPT}@{TREATMENT}, traffic: 50}}
  metrics:
    correct: {{source: feedback, baseline: 0.6, effect: 0.15, better: higher}}
    latency_ms: {{baseline: 900, sd: 400}}
    output_tokens: {{baseline: 20, sd: 10}}
  primary: correct
  guardrails:
    error_rate: {{ratio: 1.5, baseline: 0.01}}
    latency_ms: {{ratio: 2.0}}
  unit: user
  observe: 5s
  window: 10s
  duration: 1h
  min_samples: 100
  units_per_day: {UNITS_PER_DAY}
  decision_rule: primary wins and no guardrail loses
""",
)

BANDIT = Plan(
    "greeting-and-example-bandit",
    f"""\
experiment:
  name: greeting-and-example-bandit
  description: Which version keeps a small model to the facts, while most users already get the one that does?
  environment: production
  variants:
    control: {{prompt: {PROMPT}@{CONTROL}}}
    treatment: {{prompt: {PROMPT}@{TREATMENT}}}
  metrics:
    correct: {{source: feedback, shape: rate, baseline: 0.6, effect: 0.15, better: higher}}
  guardrails:
    error_rate: {{ratio: 1.5, baseline: 0.01}}
  unit: user
  observe: 10s
  window: 30s
  duration: 1h
  min_samples: 50
  units_per_day: {UNITS_PER_DAY}
  decision_rule: primary wins and no guardrail loses
  bandit: {{algorithm: thompson, floor: {FLOOR}, every: 10s}}
""",
)


class Users:
    """People who each ask one question and say whether the answer was right."""

    def __init__(self, base_url: str, key: str, questions: list[dict[str, Any]], seed: int) -> None:
        self._client = openai.OpenAI(base_url=base_url, api_key=key, timeout=120.0, max_retries=0)
        self._http = httpx.Client(base_url=base_url, headers={"authorization": f"Bearer {key}"}, timeout=30.0)
        self._questions = questions
        self._random = random.Random(seed)

    def drawn(self, first: int, count: int) -> list[tuple[str, dict[str, Any]]]:
        """The next users, each with the question that is on their mind."""
        return [(f"user-{number}", self._random.choice(self._questions)) for number in range(first, first + count)]

    def visit(self, user: str, question: Mapping[str, Any]) -> bool:
        """Ask, judge, tell; return whether the answer was right."""
        raw = self._client.chat.completions.with_raw_response.create(
            model=f"prompt:{PROMPT}", messages=[], user=user, extra_body={"variables": question["inputs"]}
        )
        text = raw.parse().choices[0].message.content or ""
        right = holds(text, question["expect"])
        score = {"call_id": raw.headers["x-request-id"], "name": "correct", "value": right}
        answer = self._http.post("/feedback", json=score)
        if answer.status_code != httpx.codes.OK:
            raise BenchError(f"feedback was answered {answer.status_code}: {answer.text[:300]}")
        return right

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._http.close()


def holds(text: str, expect: Mapping[str, Any]) -> bool:
    """Whether the answer has one of each group of words, none of the forbidden ones, and is short enough."""
    said = text.lower()
    has = all(any(word.lower() in said for word in group) for group in expect["includes"])
    return (
        has
        and not any(word.lower() in said for word in expect["excludes"])
        and len(text.split()) <= expect["max_words"]
    )


def measure(run: Path, plan: Plan, users: int, out: Path | None) -> dict[str, Any]:
    """Play the whole experiment; return what was seen."""
    workspace = _workspace(run)
    with served(workspace):
        workspace.run("release", "deploy", f"{PROMPT}@{CONTROL}", "--env", "production")
        file = workspace.folder / "experiment.yaml"
        file.write_text(plan.text, encoding="utf-8")
        _told(workspace.run("experiment", "lint", file.name))
        _told(workspace.run("experiment", "start", file.name, "--yes"))
        begun = time.monotonic()
        asked = _played(workspace, plan.name, users)
        took_s = time.monotonic() - begun
        found = _settled(workspace, plan.name)
        _told(workspace.run("experiment", "analyze", plan.name))
        if out is not None:
            for form, ending in (("markdown", "md"), ("html", "html")):
                target = (out / f"{plan.name}.{ending}").resolve()
                workspace.run("experiment", "analyze", plan.name, "--format", form, "--out", str(target))
        answer = found["decision"]["answer"]
        if answer == "inconclusive":
            _told(workspace.run("experiment", "stop", plan.name, "--reason", "the users of this run are used up"))
        else:
            _told(workspace.run("experiment", "decide", plan.name, "--reason", "as the rule says", "--deploy"))
        _told(workspace.run("release", "status"))
        seen = {"users": asked, "seconds": round(took_s, 1), "decision": found["decision"], "arms": found["arms"]}
        if found["bandit"] is not None:
            seen |= {"bandit": found["bandit"], "propensities": propensities(workspace, FLOOR)}
    return seen


def _settled(workspace: Workspace, name: str) -> dict[str, Any]:
    """The analysis, once everybody who came is judged."""
    end = time.monotonic() + SETTLED_S
    while True:
        found: dict[str, Any] = json.loads(workspace.run("experiment", "analyze", name, "--json"))
        if all(arm["judged"] == arm["exposed"] for arm in found["arms"]) or time.monotonic() > end:
            return found
        time.sleep(2.0)


def propensities(workspace: Workspace, floor: float) -> dict[str, Any]:
    """How many calls have as propensity what their Snapshot gave their variant; BenchError if not all have."""
    shares = _shares(workspace.folder / ".tidegate" / "control.db")
    newest = workspace.run("calls", "tail", "--json", "--limit", NEWEST_CALLS)
    calls = [call for line in newest.splitlines() if (call := json.loads(line))["experiment_id"] is not None]
    wrong = [
        call["call_id"]
        for call in calls
        if abs(call["propensity"] - shares[call["generation"], call["experiment_id"]][call["variant"]]) > 1e-9
    ]
    lowest = min((call["propensity"] for call in calls), default=None)
    if wrong or lowest is None or lowest < floor - 1e-9:
        raise BenchError(f"{len(wrong)} of {len(calls)} calls have another propensity; the lowest is {lowest}")
    served_by = {call["generation"] for call in calls}
    return {"calls": len(calls), "generations": len(served_by), "wrong": 0, "lowest": lowest}


def _shares(database: Path) -> dict[tuple[int, str], dict[str, float]]:
    """The variants' shares by Snapshot and experiment."""
    found = {}
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        blobs = connection.execute("SELECT blob FROM snapshots").fetchall()
    for (blob,) in blobs:
        snapshot = decode_snapshot(blob)
        for of_subject in snapshot.experiments.values():
            for one in (one for several in of_subject.values() for one in several):
                names, weights = one.arms
                share = {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}
                found[snapshot.generation, one.experiment_id] = share
    return found


def _played(workspace: Workspace, name: str, users: int) -> int:
    """Let users come until the experiment is decided, or so many have come; return how many came."""
    lines = (workspace.folder / DATASET).read_text(encoding="utf-8").splitlines()
    key = workspace.create_key("users")
    base_url = f"http://127.0.0.1:{workspace.env['TIDEGATE_GATEWAY_PORT']}/v1"
    people = Users(base_url, key, [json.loads(line) for line in lines], SEED)
    came = right = 0
    try:
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            while came < users:
                drawn = people.drawn(came, min(ASK_AGAIN, users - came))
                right += sum(pool.map(lambda one: people.visit(*one), drawn))
                came += len(drawn)
                decision = json.loads(workspace.run("experiment", "analyze", name, "--json"))["decision"]
                print(f"{came} users, {right} answered right: {decision['why']}", file=sys.stderr)
                if decision["answer"] != "inconclusive":
                    break
    finally:
        people.close()
    return came


def _workspace(run: Path) -> Workspace:
    folder = run / "shop"
    folder.mkdir()
    ports = {f"TIDEGATE_{name}_PORT": str(free_port()) for name in ("CONTROL", "GATEWAY", "MODEL")}
    workspace = Workspace(folder, ports)
    workspace.run("init", ".")
    config = folder / "tidegate.yaml"
    own = f"127.0.0.1:{ports['TIDEGATE_MODEL_PORT']}/v1"
    config.write_text(config.read_text(encoding="utf-8").replace("127.0.0.1:8082/v1", own), encoding="utf-8")
    return workspace


def _told(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bandit", action="store_true", help="let the shares follow what is learned")
    parser.add_argument("--users", type=int, help="how many come at most (default 1500; of a bandit 400)")
    parser.add_argument("--out", type=Path, help="write the report into this folder, as NAME.md and NAME.html")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    options = parser.parse_args()
    plan = BANDIT if options.bandit else FIXED
    users = options.users or (400 if options.bandit else 1500)
    try:
        with bounded(LIMIT_S), tempfile.TemporaryDirectory(prefix="tidegate-experiment-") as run:
            found = measure(Path(run), plan, users, options.out)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found, indent=2) if options.json else f"{found['decision']['answer']}: {found['decision']['why']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
