"""The new user's path: the first provider is away, the second answers, the budget runs out, and each is explained."""

import socket
from pathlib import Path

from tests.support.control import make_workspace
from tests.support.platforms import Running, running
from tests.support.processes import eventually
from tests.support.scripted_model import ScriptedModel, scripted_model

ASKED = {"model": "chat", "max_tokens": 100, "messages": [{"role": "user", "content": "What does a repair cost?"}]}


def config(away: int, model: ScriptedModel) -> str:
    """Two models at one alias, the first of which is away; a budget of about eight calls."""
    price = "{input_usd_per_1m_tokens: 100, output_usd_per_1m_tokens: 1000}"
    return f"""\
apiVersion: tidegate/v1
models:
  first: {{provider: openai, base_url: "http://127.0.0.1:{away}/v1", model: a, region: us, price: {price}}}
  second: {{provider: openai, base_url: "{model.url}", model: {model.name}, region: eu, price: {price}}}
routes:
  chat: {{model: first, fallbacks: [second], retry: {{attempts: 1}}}}
budgets:
  - {{name: support, match: {{team: support}}, usd: 0.2, per: month, soft_at: 0.25}}
"""


def budget(platform: Running) -> dict[str, object]:
    (state,) = platform.api.get("/budgets/support").json()
    return dict(state)


def test_a_user_falls_back_and_is_held_to_the_budget_and_can_read_why(tmp_path: Path) -> None:
    with socket.socket() as taken, scripted_model() as model:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        workspace = make_workspace(tmp_path / "shop", config=config(taken.getsockname()[1], model))
        with running(workspace) as platform:
            made = platform.api.post("/keys", json={"name": "shop", "tags": {"team": "support"}}).json()
            with platform.client(made["secret"]) as app:
                eventually(lambda: app.post("/chat/completions", json=ASKED).status_code == 200)
                answers = [app.post("/chat/completions", json=ASKED) for _ in range(40)]
            served = [one for one in answers if one.status_code == 200]
            refused = [one for one in answers if one.status_code == 429]
            assert len(served) + len(refused) == 40
            assert refused[-1].json()["error"]["code"] == "insufficient_quota"
            assert refused[-1].headers["x-should-retry"] == "false"

            told = platform.api.get(f"/calls/{_first(platform)}/explanation").json()["lines"]
            assert any("It fell back: first -> second." in line for line in told), told
            assert any(line.startswith("Reserved at most $0.") for line in told), told

            eventually(lambda: "open" in str(_health(platform, "first")), what="nobody tells of the breaker")
            assert _health(platform, "second") == "breaker closed"

            eventually(lambda: budget(platform)["settled"] == _spent(platform), what="the counters have not settled")
            state = budget(platform)
            assert 0 < int(str(state["settled"])) <= int(str(state["cap"]))
            assert state["state"] in ("soft", "exhausted")

            rebuilt = platform.api.post("/counters/rebuild").json()
            assert rebuilt[0]["settled"] == state["settled"], "the call log and the counters agree"


def _first(platform: Running) -> object:
    eventually(platform.calls)
    return platform.calls()[0]["call_id"]


def _health(platform: Running, deployment: str) -> object:
    plan = platform.api.get("/routes/chat/plan").json()
    candidates = [one for step in plan["steps"] for one in step["candidates"]]
    return next(one["health"] for one in candidates if one["deployment"] == deployment)


def _spent(platform: Running) -> int:
    return sum(int(str(call["cost_nano_usd"])) for call in platform.calls() if call["cost_nano_usd"] is not None)
