"""Everything is stopped and started again: pointers, keys and the call log are as before."""

from pathlib import Path

from tests.support.platforms import body, make_workspace, running
from tests.support.processes import eventually
from tests.support.scripted_model import scripted_model


def test_a_restart_of_everything_keeps_what_was_decided_and_what_was_seen(tmp_path: Path):
    with scripted_model() as model:
        workspace = make_workspace(tmp_path / "shop", model.url, model.name)
        with running(workspace) as before:
            key = before.new_key("kept")
            before.deploy("1.0.0")
            before.deploy("1.1.0")
            with before.client(key) as app:
                eventually(lambda: app.post("/chat/completions", content=body()).status_code == 200)
            eventually(before.calls)
            seen = (before.calls(), before.api.get("/releases").json(), before.api.get("/keys").json())
            before.up.process.terminate()
            assert before.up.ends() == 0
        with running(workspace) as after:
            assert (after.calls(), after.api.get("/releases").json(), after.api.get("/keys").json()) == seen
            with after.client(key) as app:
                answer = app.post("/chat/completions", content=body())
            assert answer.status_code == 200, "the old key opens"
            assert answer.headers["x-tidegate-version"] == "support-answer@1.1.0"
            eventually(lambda: len(after.calls()) == len(seen[0]) + 1)
            rolled = after.api.post("/releases/production/support-answer/rollback", json={"reason": "way back"})
            assert rolled.json()["arms"][0]["version"] == "1.0.0", "and so does the way back"
