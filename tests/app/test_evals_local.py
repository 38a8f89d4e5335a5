"""Evaluations without a server: prompts of the working tree on real HTTP, and functions of any application."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.evaluations import asked_name, cases_in, said, workspace, write_dataset
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import Pause, answer, error
from tidegate.app.evals_local import EvalOrder, Evaluated, evaluated
from tidegate.kernel.errors import Conflict, Invalid, NotFound, TidegateError

FUNCTIONS = """
import asyncio, time

def echo(name): return name
async def later(name):
    await asyncio.sleep(0)
    return {"text": name, "input_tokens": 3, "output_tokens": 4, "cost_usd": 0.001, "model": "mine"}
def whole(variables): return variables["name"]
def fails(name): raise KeyError(name)
def wrong(name): return 7
def odd(name): return {"text": name, "tokens": 3}
def hangs(name):
    if name == "c3": time.sleep(3600)
    return name
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TIDEGATE_WORKSPACE", "TIDEGATE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "w").mkdir()
    monkeypatch.chdir(tmp_path / "w")
    return tmp_path / "w"


class TestPrompts:
    async def test_the_prompt_file_says_what_to_do_and_the_call_what_it_cost(self, here: Path) -> None:
        with ScriptedUpstream() as upstream:
            upstream.respond = lambda received: said(asked_name(received.json))
            workspace(here, upstream.url)
            done = await evaluated(EvalOrder(target="greeting"), None)
        manifest = done.manifest
        assert (manifest.target, manifest.model, manifest.upstream) == ("greeting@1.0.0", "chat", "up-model")
        assert (manifest.cases, manifest.state) == (20, "complete")
        assert done.folder == here / ".tidegate" / "evals" / manifest.run_id
        for one in cases_in(done.folder):
            assert (one["passed"], one["input_tokens"], one["output_tokens"], one["cost_nano_usd"]) == (
                True,
                10,
                5,
                20000,
            )
            assert one["latency_ms"] > 0
        sent = upstream.last.json
        assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("up-model", 0.0, 16)
        assert done.progress.cost_nano_usd == 20 * 20000

    async def test_a_second_run_costs_nothing_and_a_changed_prompt_does(self, here: Path) -> None:
        with ScriptedUpstream() as upstream:
            upstream.respond = lambda received: said(asked_name(received.json))
            workspace(here, upstream.url, cases=5)
            await evaluated(EvalOrder(target="greeting"), None)
            again = await evaluated(EvalOrder(target="greeting@1.0.0"), None)
            assert (again.progress.paid, again.progress.cached, again.progress.cost_nano_usd) == (0, 5, 0)
            assert len(upstream.received) == 5
            anew = await evaluated(EvalOrder(target="greeting", use_cache=False), None)
            assert (anew.progress.paid, len(upstream.received)) == (5, 10)
            file = here / "prompts" / "greeting" / "v1.0.0.yaml"
            file.write_text(file.read_text().replace("temperature: 0.0", "temperature: 0.5"))
            changed = await evaluated(EvalOrder(target="greeting"), None)
            assert (changed.progress.paid, len(upstream.received)) == (5, 15)

    async def test_a_check_of_a_case_that_is_none_is_told_with_its_line(self, here: Path) -> None:
        workspace(here, "http://127.0.0.1:9/v1")
        (here / "d.jsonl").write_text('{"id": "a"}\n{"id": "b", "checks": [{"contain": "x"}]}\n')
        with pytest.raises(TidegateError) as caught:
            await evaluated(EvalOrder(target="greeting", dataset=Path("d.jsonl")), None)
        assert str(caught.value).startswith("d.jsonl:2: A check of 'b' is wrong: There is no scorer named 'contain'.")

    async def test_the_checks_of_a_case_score_beside_the_runs_scorers(self, here: Path) -> None:
        with ScriptedUpstream() as upstream:
            upstream.respond = lambda received: said(asked_name(received.json))
            workspace(here, upstream.url)
            plain = {"id": "b", "variables": {"name": "x"}, "expected": "x"}
            checked = {**plain, "id": "a", "checks": [{"exact": "x"}, {"contains": "y"}]}
            (here / "d.jsonl").write_text(f"{json.dumps(checked)}\n{json.dumps(plain)}")
            done = await evaluated(EvalOrder(target="greeting", dataset=Path("d.jsonl")), None)
        outcomes = {one["case_id"]: one for one in cases_in(done.folder)}
        scores = {name: one["passed"] for name, one in outcomes["a"]["scores"].items()}
        assert scores == {"contains": True, "exact": True, "contains#2": False}
        assert (outcomes["a"]["passed"], outcomes["b"]["passed"]) == (False, True)
        assert [one.name for one in done.manifest.scorers] == ["contains", "exact"]

    async def test_rate_limits_and_failures_are_waited_out_and_never_timed(self, here: Path) -> None:
        with ScriptedUpstream() as upstream:
            upstream.respond = lambda received: said(asked_name(received.json))
            upstream.say(error(503, "busy"), error(500, "oops"))
            limited = answer({"error": {"message": "slow"}}, 429, headers=[("retry-after", "1")])
            upstream.say(limited)
            workspace(here, upstream.url, cases=4)
            done = await evaluated(EvalOrder(target="greeting", concurrency=1), None)
        assert (done.progress.errors, done.progress.retries) == (0, 3)
        assert upstream.received[3].at_s - upstream.received[2].at_s >= 1
        assert all(one["latency_ms"] < 900 for one in cases_in(done.folder))

    async def test_what_will_not_pass_is_an_outcome_with_its_code(self, here: Path) -> None:
        with ScriptedUpstream() as upstream:
            upstream.respond = lambda received: (
                error(400, "no such field", code="unknown_parameter")
                if asked_name(received.json) == "c1"
                else answer(b"nonsense")
                if asked_name(received.json) == "c2"
                else said(asked_name(received.json))
            )
            workspace(here, upstream.url, cases=4)
            done = await evaluated(EvalOrder(target="greeting"), None)
        outcomes = {one["case_id"]: one for one in cases_in(done.folder)}
        assert done.manifest.state == "complete"
        assert (outcomes["c1"]["error"], outcomes["c1"]["scores"]) == ("unknown_parameter", {})
        assert "no such field" in outcomes["c1"]["error_message"]
        assert outcomes["c2"]["error"].startswith("provider_")
        assert outcomes["c0"]["passed"]

    async def test_an_answer_that_does_not_come_is_a_timeout(self, here: Path) -> None:
        with ScriptedUpstream() as upstream:
            upstream.respond = lambda received: (Pause(5.0), *said("late"))
            workspace(here, upstream.url, cases=2)
            order = EvalOrder(target="greeting", timeout_s=0.05, retries=0)
            done = await evaluated(order, None)
        assert [one["error"] for one in cases_in(done.folder)] == ["provider_timeout"] * 2

    async def test_the_cap_holds_by_bounds(self, here: Path) -> None:
        with ScriptedUpstream() as upstream:
            upstream.respond = lambda received: said(asked_name(received.json))
            workspace(here, upstream.url, cases=50)
            done = await evaluated(EvalOrder(target="greeting", max_cost_usd=0.0003), None)
        assert (done.manifest.state, done.manifest.why) == ("partial", "max_cost")
        assert 0 < done.progress.cost_nano_usd <= 300_000
        assert len(upstream.received) * 20000 <= 300_000

    async def test_a_cap_without_a_price_is_refused(self, here: Path) -> None:
        workspace(here, "http://127.0.0.1:9/v1")
        file = here / "tidegate.yaml"
        file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if "price" not in line))
        with pytest.raises(Invalid) as caught:
            await evaluated(EvalOrder(target="greeting", max_cost_usd=1.0), None)
        assert caught.value.code == "price_unknown"

    @pytest.mark.parametrize(
        ("order", "code"),
        [
            (EvalOrder(target="greting"), "prompt_not_found"),
            (EvalOrder(target="greeting@9.0.0"), "prompt_version_not_found"),
            (EvalOrder(target="greeting", model="nobody"), "model_not_found"),
            (EvalOrder(target="greeting", dataset=Path("none.jsonl")), "dataset_not_found"),
            (EvalOrder(target="greeting", scorers=("nothing",)), "scorer_not_found"),
            (EvalOrder(target="greeting", resume="last"), "run_not_found"),
            (EvalOrder(target="greeting", resume="eval_0"), "run_not_found"),
        ],
    )
    async def test_what_cannot_be_run_says_so_before_anything_is_asked(
        self, here: Path, order: EvalOrder, code: str
    ) -> None:
        workspace(here, "http://127.0.0.1:9/v1")
        with pytest.raises(TidegateError) as caught:
            await evaluated(order, None)
        assert caught.value.code == code
        assert caught.value.mend

    async def test_the_golden_dataset_must_be_the_one_of_the_prompt(self, here: Path) -> None:
        workspace(here, "http://127.0.0.1:9/v1")
        file = here / "prompts" / "greeting" / "v1.0.0.yaml"
        file.write_text(file.read_text().replace("dataset: cases.jsonl", f"dataset: cases.jsonl, sha256: '{'0' * 64}'"))
        with pytest.raises(Invalid) as caught:
            await evaluated(EvalOrder(target="greeting"), None)
        assert caught.value.code == "dataset_changed"

    async def test_outside_of_a_workspace_a_prompt_is_not_found(self, here: Path) -> None:
        with pytest.raises(NotFound) as caught:
            await evaluated(EvalOrder(target="greeting"), None)
        assert caught.value.code == "workspace_not_found"


class TestFunctions:
    @pytest.fixture
    def file(self, here: Path) -> Path:
        (here / "app.py").write_text(FUNCTIONS)
        return write_dataset(here / "d.jsonl", 6)

    async def run(self, name: str, file: Path, **more: object) -> Evaluated:
        order = EvalOrder(target=f"python:app.py:{name}", dataset=file, scorers=("contains",), **more)  # type: ignore[arg-type]
        return await evaluated(order, None)

    @pytest.mark.parametrize("name", ["echo", "later", "whole"])
    async def test_functions_of_every_kind_answer(self, file: Path, name: str) -> None:
        done = await self.run(name, file)
        outcomes = cases_in(done.folder)
        assert all(one["passed"] for one in outcomes)
        assert len(outcomes) == 6
        if name == "later":
            assert (outcomes[0]["input_tokens"], outcomes[0]["cost_nano_usd"]) == (3, 1_000_000)

    @pytest.mark.parametrize(
        ("name", "code", "says"),
        [("fails", "target_failed", "KeyError"), ("wrong", "target_answer", "int"), ("odd", "target_answer", "tokens")],
    )
    async def test_what_goes_wrong_in_one_is_an_outcome(self, file: Path, name: str, code: str, says: str) -> None:
        done = await self.run(name, file)
        assert done.manifest.state == "complete"
        for one in cases_in(done.folder):
            assert one["error"] == code
            assert says in one["error_message"]

    async def test_a_function_that_never_returns_holds_nothing_up(self, file: Path) -> None:
        done = await self.run("hangs", file, deadline_s=0.5)
        assert (done.manifest.state, done.manifest.why) == ("partial", "deadline")
        assert {one["case_id"] for one in cases_in(done.folder)} == {"c0", "c1", "c2", "c4", "c5"}

    async def test_a_cap_holds_for_functions_that_tell_their_cost_and_ends_others(self, file: Path) -> None:
        done = await self.run("later", file, max_cost_usd=0.0035)
        assert (done.manifest.why, len(cases_in(done.folder))) == ("max_cost", 3)
        done = await self.run("echo", file, max_cost_usd=0.0035)
        assert (done.manifest.why, len(cases_in(done.folder))) == ("cost_unknown", 1)

    async def test_what_a_function_said_before_is_not_taken_for_true(self, here: Path, file: Path) -> None:
        await self.run("echo", file)
        (here / "app.py").write_text("def echo(name): return 'other'\n")
        done = await self.run("echo", file)
        assert done.progress.cached == 0
        assert not any(one["passed"] for one in cases_in(done.folder))

    @pytest.mark.parametrize(
        ("target", "code"),
        [
            ("python:none.py:echo", "file_not_found"),
            ("python:app.py:eco", "function_not_found"),
            ("python:app.py", "usage"),
            ("python:broken.py:f", "target_failed"),
        ],
    )
    async def test_a_target_that_is_none_says_why(self, here: Path, file: Path, target: str, code: str) -> None:
        (here / "broken.py").write_text("import nothing_of_this_name\n")
        with pytest.raises(TidegateError) as caught:
            await evaluated(EvalOrder(target=target, dataset=file), None)
        assert caught.value.code == code

    async def test_a_folder_of_the_callers_is_written_once(self, here: Path, file: Path) -> None:
        done = await self.run("echo", file, out=here / "out")
        assert done.folder == here / "out"
        assert json.loads((here / "out" / "manifest.json").read_text())["state"] == "complete"
        with pytest.raises(Conflict):
            await self.run("echo", file, out=here / "out")

    async def test_runs_share_the_cache_at_the_same_time(self, here: Path) -> None:
        with ScriptedUpstream() as upstream:
            upstream.respond = lambda received: said(asked_name(received.json))
            workspace(here, upstream.url, cases=30)
            runs = (evaluated(EvalOrder(target="greeting"), None) for _ in range(3))
            done = await asyncio.gather(*runs)
        assert all(one.manifest.state == "complete" for one in done)
        assert all(one.progress.paid + one.progress.cached == 30 for one in done)
