"""The engine: every case is asked, scored and written down; what ends a run early leaves it whole and resumable."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.adapters.memory.answers import MemoryAnswers, NoAnswers
from tidegate.control.evals.asking import FunctionAsker
from tidegate.control.evals.engine import run
from tidegate.control.evals.journal import Journal, read_manifest, read_outcomes
from tidegate.control.evals.model import Case, Manifest, Outcome, Sample, Score, ScorerUse
from tidegate.control.evals.pacing import Halt
from tidegate.control.evals.plan import RunPlan
from tidegate.control.evals.ports import AnswerCache, Progress
from tidegate.kernel.complete import Ask, Said
from tidegate.kernel.errors import Conflict, Invalid, ProviderFailed, TidegateError

COST = 1000


class Model:
    """Answers with the case's name after a few turns of the loop; what `faults` holds of a name is raised first."""

    def __init__(self, faults: dict[str, list[Exception]] | None = None) -> None:
        self.asked: list[str] = []
        self.under_way = self.most = 0
        self.faults = faults or {}
        self.answer: Callable[[str, int], str] = lambda name, _: name

    async def complete(self, ask: Ask) -> Said:
        name = str(ask.settings["name"])
        self.asked.append(name)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            if self.faults.get(name):
                raise self.faults[name].pop(0)
        finally:
            self.under_way -= 1
        count = self.asked.count(name)
        return Said(text=self.answer(name, count), cost_nano_usd=COST, latency_ms=1.0, input_tokens=1, output_tokens=1)

    async def close(self) -> None:
        """Nothing."""


class Same:
    """Passes an answer that is the expected one; counts how often it was asked."""

    def __init__(self, *, exact: bool = True, cost: int | None = None) -> None:
        self.use = ScorerUse(name="same", version="1.0.0", exact=exact)
        self.cost = cost
        self.scored = 0

    async def score(self, sample: Sample) -> Score:
        self.scored += 1
        good = sample.answer == sample.case.expected
        return Score(value=float(good), passed=good, cost_nano_usd=self.cost)


def cases_of(names: list[str]) -> Callable[[], Iterator[Case]]:
    return lambda: (Case(id=f"{at}", variables={"name": name}, expected=name) for at, name in enumerate(names))


def plan_of(names: list[str], **changes: Any) -> RunPlan:
    most = changes.pop("repeats_max", 1)
    manifest = Manifest(
        run_id="eval_1", target="t", prompt=None, version=None, content_hash="h", model="m", dataset="d",
        dataset_sha256="s", cases=len(names), scorers=(), repeats_max=most,
        repeats_policy=changes.pop("repeats_policy", "unstable-only"), fingerprint="f", started_at_ms=1,
    )  # fmt: skip
    given = {"scorers": [Same()], "concurrency": 4, "backoff_base_s": 0.0001, **changes}
    asker = FunctionAsker("m", content_hash="h", timeout_s=5)
    return RunPlan(manifest=manifest, cases=cases_of(names), asker=asker, **given)


async def done(
    folder: Path, plan: RunPlan, model: Model, cache: AnswerCache | None = None, halt: Halt | None = None
) -> tuple[Manifest, list[Outcome]]:
    journal = Journal(folder)
    try:
        manifest = await run(plan, model, cache or NoAnswers(), journal, halt=halt)
    finally:
        journal.close()
    assert read_manifest(folder) == manifest
    return manifest, list(read_outcomes(folder))


async def test_every_case_is_asked_once_and_no_more_at_a_time_than_allowed(tmp_path: Path) -> None:
    names, model = [f"n{at}" for at in range(50)], Model()
    manifest, outcomes = await done(tmp_path / "r", plan_of(names), model)
    assert (manifest.state, manifest.why) == ("complete", "")
    assert Counter(model.asked) == Counter(names)
    assert model.most == 4
    assert Counter(one.case_id for one in outcomes) == Counter(str(at) for at in range(50))
    assert all(one.passed and one.text == names[int(one.case_id)] and not one.cached for one in outcomes)


async def test_an_error_is_an_outcome_and_no_score(tmp_path: Path) -> None:
    model = Model({"bad": [ProviderFailed("no", code="provider_bad_answer")]})
    progress = Progress(total=3)
    manifest, outcomes = await done(tmp_path / "r", plan_of(["a", "bad", "c"], progress=progress), model)
    bad = next(one for one in outcomes if one.case_id == "1")
    assert manifest.state == "complete"
    assert (bad.error, bad.error_message, bad.text, bad.scores, bad.passed) == (
        "provider_bad_answer",
        "no",
        None,
        {},
        None,
    )
    assert (progress.done, progress.errors, progress.paid) == (3, 1, 2)


async def test_a_case_that_cannot_be_asked_is_an_error_of_its_own(tmp_path: Path) -> None:
    class Picky(FunctionAsker):
        def prepare(self, case: Case, repeat: int) -> Any:
            if case.id == "1":
                raise Invalid("no such variable", code="invalid_variables")
            return super().prepare(case, repeat)

    plan = plan_of(["a", "b"])
    plan = RunPlan(**{**vars(plan), "asker": Picky("m", content_hash="h", timeout_s=5)})
    _, outcomes = await done(tmp_path / "r", plan, Model())
    assert [one.error for one in sorted(outcomes, key=lambda one: one.case_id)] == [None, "invalid_variables"]


async def test_what_may_pass_is_tried_again_and_counted(tmp_path: Path) -> None:
    faults: list[Exception] = [ProviderFailed("busy", status=503), ProviderFailed("busy", status=429)]
    progress = Progress(total=1)
    _, outcomes = await done(tmp_path / "r", plan_of(["a"], progress=progress), Model({"a": faults}))
    assert (outcomes[0].error, progress.retries) == (None, 2)


async def test_a_scorer_that_fails_is_counted_and_judges_nothing(tmp_path: Path) -> None:
    class Broken(Same):
        async def score(self, sample: Sample) -> Score:
            if sample.answer == "nan":
                return Score(value=float("nan"))
            if sample.answer == "typed":
                raise TidegateError("away", code="judge_away")
            raise ZeroDivisionError("oh")

    _, outcomes = await done(tmp_path / "r", plan_of(["nan", "typed", "x"], scorers=[Broken()]), Model())
    codes = [one.scores["same"].error for one in sorted(outcomes, key=lambda one: one.case_id)]
    assert codes == ["not_a_number", "judge_away", "scorer_failed"]
    assert all(one.passed is None and one.scores["same"].value is None for one in outcomes)


async def test_equal_questions_share_an_answer_and_other_runs_find_it(tmp_path: Path) -> None:
    cache, model = MemoryAnswers(), Model()
    _, outcomes = await done(tmp_path / "1", plan_of(["a"] * 10 + ["b"]), model, cache)
    assert Counter(model.asked) == {"a": 1, "b": 1}
    assert sum(not one.cached for one in outcomes) == 2
    assert {one.cost_nano_usd for one in outcomes} == {COST}
    again = plan_of(["a", "b", "c"])
    again = RunPlan(**{**vars(again), "manifest": msgspec.structs.replace(again.manifest, run_id="eval_2")})
    _, outcomes = await done(tmp_path / "2", again, model, cache)
    assert {one.case_id: one.cached for one in outcomes} == {"0": True, "1": True, "2": False}
    assert len(model.asked) == 3


async def test_without_the_cache_equal_questions_are_asked_anew(tmp_path: Path) -> None:
    model = Model()
    await done(tmp_path / "1", plan_of(["a"] * 5, use_cache=False), model, MemoryAnswers())
    assert len(model.asked) == 5


async def test_one_flight_that_fails_leaves_the_next_one_to_ask(tmp_path: Path) -> None:
    model = Model({"a": [ProviderFailed("no", code="provider_bad_answer")]})
    _, outcomes = await done(tmp_path / "r", plan_of(["a"] * 4), model, MemoryAnswers())
    assert Counter(one.error for one in outcomes) == {"provider_bad_answer": 1, None: 3}
    assert len(model.asked) == 2


async def test_what_a_judge_said_is_kept_and_facts_are_not(tmp_path: Path) -> None:
    cache, judge, fact = MemoryAnswers(), Same(exact=False, cost=7), Same()
    await done(tmp_path / "1", plan_of(["a", "b"], scorers=[judge]), Model(), cache)
    _, outcomes = await done(tmp_path / "2", plan_of(["a", "b"], scorers=[judge]), Model(), cache)
    assert judge.scored == 2
    assert [one.scores["same"].cost_nano_usd for one in outcomes] == [0, 0]
    await done(tmp_path / "3", plan_of(["a", "b"], scorers=[fact]), Model(), cache)
    await done(tmp_path / "4", plan_of(["a", "b"], scorers=[fact]), Model(), cache)
    assert fact.scored == 4


async def test_unstable_cases_alone_are_repeated(tmp_path: Path) -> None:
    model = Model()
    model.answer = lambda name, count: "wrong" if name == "bad" or (name == "odd" and count % 2) else name
    _, outcomes = await done(tmp_path / "r", plan_of(["good", "bad", "odd"], repeats_max=5), model)
    assert Counter(model.asked) == {"good": 1, "bad": 2, "odd": 5}
    assert sorted(one.repeat for one in outcomes if one.case_id == "2") == [0, 1, 2, 3, 4]


async def test_always_repeats_every_case(tmp_path: Path) -> None:
    model = Model()
    await done(tmp_path / "r", plan_of(["a", "b"], repeats_max=3, repeats_policy="always"), model, MemoryAnswers())
    assert Counter(model.asked) == {"a": 3, "b": 3}  # each repeat has a key of its own


class TestEnds:
    async def test_the_cap_is_never_exceeded(self, tmp_path: Path) -> None:
        model = Model()
        plan = plan_of([f"n{at}" for at in range(50)], cap_nano_usd=10 * COST + 1, bound=lambda _: 3 * COST)
        manifest, outcomes = await done(tmp_path / "r", plan, model)
        assert (manifest.state, manifest.why) == ("partial", "max_cost")
        assert 8 <= len(outcomes) <= 10
        assert len(outcomes) == len(model.asked)

    async def test_what_was_spent_before_counts_after_a_resume(self, tmp_path: Path) -> None:
        plan = plan_of([f"n{at}" for at in range(50)], cap_nano_usd=10 * COST, bound=lambda _: COST)
        await done(tmp_path / "r", plan, Model())
        model = Model()
        await done(tmp_path / "r", plan, model)
        assert model.asked == []

    async def test_the_deadline_cuts_what_hangs(self, tmp_path: Path) -> None:
        class Hanging(Model):
            async def complete(self, ask: Ask) -> Said:
                if ask.settings["name"] == "hang":
                    await asyncio.sleep(3600)
                return await super().complete(ask)

        manifest, outcomes = await done(tmp_path / "r", plan_of(["a", "hang", "c"], deadline_s=0.2), Hanging())
        assert (manifest.state, manifest.why) == ("partial", "deadline")
        assert {one.case_id for one in outcomes} == {"0", "2"}

    async def test_a_halt_lets_calls_under_way_end(self, tmp_path: Path) -> None:
        halt = Halt()

        class Halting(Model):
            async def complete(self, ask: Ask) -> Said:
                if len(self.asked) == 9:
                    halt.ask("interrupted")
                return await super().complete(ask)

        model = Halting()
        manifest, outcomes = await done(tmp_path / "r", plan_of([f"n{at}" for at in range(50)]), model, halt=halt)
        assert (manifest.state, manifest.why) == ("partial", "interrupted")
        assert sorted(one.text or "" for one in outcomes) == sorted(model.asked)
        assert 10 <= len(outcomes) <= 13

    async def test_what_was_asked_is_not_asked_again(self, tmp_path: Path) -> None:
        names = [f"n{at}" for at in range(40)]
        first, second = Model(), Model()
        halt = Halt()

        def answer(name: str, count: int) -> str:
            if len(first.asked) > 15:
                halt.ask("interrupted")
            return name

        first.answer = answer
        await done(tmp_path / "r", plan_of(names), first, halt=halt)
        progress = Progress(total=40)
        manifest, outcomes = await done(tmp_path / "r", plan_of(names, progress=progress), second)
        assert manifest.state == "complete"
        assert Counter(first.asked + second.asked) == Counter(names)
        assert Counter(one.case_id for one in outcomes) == Counter(str(at) for at in range(40))
        assert (progress.resumed, progress.done, progress.paid) == (len(first.asked), 40, 40)
        assert progress.cost_nano_usd == 40 * COST

    async def test_repeats_go_on_where_they_were(self, tmp_path: Path) -> None:
        model, halt = Model(), Halt()

        def answer(name: str, count: int) -> str:
            if count == 2:
                halt.ask("interrupted")
            return "x" if count % 2 else name

        model.answer = answer
        plan = plan_of(["odd"], repeats_max=5, concurrency=1)
        await done(tmp_path / "r", plan, model, halt=halt)
        assert len(model.asked) == 2
        _, outcomes = await done(tmp_path / "r", plan, model)
        assert [one.repeat for one in outcomes] == [0, 1, 2, 3, 4]
        assert len(model.asked) == 5

    async def test_a_fault_of_the_dataset_ends_the_run_and_is_raised(self, tmp_path: Path) -> None:
        def torn() -> Iterator[Case]:
            yield Case(id="a", variables={"name": "a"}, expected="a")
            raise Invalid("the file changed")

        plan = RunPlan(**{**vars(plan_of(["a", "b"])), "cases": torn})
        with pytest.raises(Invalid, match="changed"):
            await done(tmp_path / "r", plan, Model())
        assert read_manifest(tmp_path / "r").why == "failed"


async def test_a_run_has_one_writer(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "r")
    with pytest.raises(Conflict) as caught:
        Journal(tmp_path / "r")
    assert caught.value.code == "run_under_way"
    journal.close()
    Journal(tmp_path / "r").close()


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_line_is_never_misread(tmp_path: Path, cut: int) -> None:
    outcomes = [Outcome(case_id=f"c{at}", repeat=0, key="k", text="x" * 20) for at in range(3)]
    journal = Journal(tmp_path / "r")
    for one in outcomes:
        journal.add(one)
    journal.close()
    file = tmp_path / "r" / "results.jsonl"
    file.write_bytes(file.read_bytes()[:-cut])
    assert list(read_outcomes(tmp_path / "r")) == outcomes[:2]
    journal = Journal(tmp_path / "r")
    assert list(journal.past()) == outcomes[:2]
    journal.add(outcomes[2])
    journal.close()
    assert list(read_outcomes(tmp_path / "r")) == outcomes


def test_a_damaged_line_before_the_last_is_an_error_with_its_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "r")
    for at in range(3):
        journal.add(Outcome(case_id=f"c{at}", repeat=0, key="k", text="x"))
    journal.close()
    file = tmp_path / "r" / "results.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + b"{nonsense\n" + lines[2])
    with pytest.raises(Invalid, match=r"results.jsonl:2"):
        list(read_outcomes(tmp_path / "r"))
