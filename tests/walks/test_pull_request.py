"""A pull request from its first push to what is live: a bare origin, a clone, a model that is a fake on loopback, and
the commands as people and CI run them.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygit2
import pytest

from tests.support.control import ADMIN_TOKEN, MASTER_KEY
from tests.support.evaluations import CONFIG, said
from tests.support.rolling import led
from tests.support.served import served_control
from tests.support.upstream import Received, ScriptedUpstream
from tests.support.wire import Step
from tidegate.control.identity.model import SYSTEM
from tidegate.doors.cli.main import run

CASES = 400
PROMPT = """\
name: capital
version: {version}
model: {{model_id: chat, temperature: 0.0, max_tokens: 16}}
messages:
  - role: system
    content: {rule}
  - role: user
    content: "{question}"
params:
  type: object
  required: [country]
  properties:
    country: {{type: string, maxLength: 80}}
tests: {{golden: {{dataset: datasets/capital.jsonl, min_pass_rate: 0.9}}, scorers: [contains]}}
changelog: {version}
"""
PLAN = """\
apiVersion: rollouts/v1
rollout:
  gates: {error_rate: {ratio: 1.5}}
  stages: [{kind: offline}, {percent: 5, hold: 15m}, {percent: 100}]
"""
RULE = "Name the capital of the country in one word, and nothing else. Do not explain your answer to the customer."
QUESTION = "Country {{ country }}"


def prompt(version: str, rule: str = RULE, question: str = QUESTION) -> str:
    return PROMPT.format(version=version, rule=rule, question=question)


def fake_model(received: Received) -> tuple[Step, ...]:
    """A fake: it knows every capital, unless the rule asks for speed (a third is wrong) or for guesses (one in 12)."""
    messages = received.json["messages"]
    number = int(re.findall(r"\d+", messages[-1]["content"])[-1])
    rule = messages[0]["content"]
    wrong = ("quickly" in rule and number % 3 == 0) or ("guess" in rule and number % 12 == 0)
    return said("I do not know" if wrong else f"city-{number}")


class Clone:
    """A working copy, and what a person does there."""

    def __init__(self, folder: Path, origin: Path) -> None:
        self.folder = folder
        self.git = pygit2.clone_repository(str(origin), str(folder))
        self._who = pygit2.Signature("Ada", "ada@example.org", 1_790_000_000, 0)

    def branch(self, name: str) -> None:
        main = self.git.references["refs/remotes/origin/main"].peel(pygit2.Commit)
        self.git.branches.local.create(name, main, True)
        self.git.checkout(f"refs/heads/{name}", strategy=pygit2.enums.CheckoutStrategy.FORCE)

    def commit(self, message: str, files: dict[str, str]) -> str:
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)
        self.git.index.read()
        self.git.index.add_all()
        self.git.index.write()
        parents = [] if self.git.head_is_unborn else [self.git.head.target]
        tree = self.git.index.write_tree()
        return str(self.git.create_commit("HEAD", self._who, self._who, message, tree, parents))

    def tag(self, name: str) -> None:
        self.git.create_tag(name, self.git.head.target, pygit2.enums.ObjectType.COMMIT, self._who, "go")

    def push(self, branch: str, to: str = "") -> None:
        self.git.remotes["origin"].push([f"refs/heads/{branch}:refs/heads/{to or branch}"])
        self.git.remotes["origin"].fetch()


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        server.respond = fake_model
        yield server


@pytest.fixture
def clone(tmp_path: Path, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch) -> Clone:
    for name in ("TIDEGATE_WORKSPACE", "TIDEGATE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    origin = tmp_path / "origin.git"
    pygit2.init_repository(str(origin), bare=True, initial_head="main")
    made = Clone(tmp_path / "clone", origin)
    made.git.set_head("refs/heads/main")
    cases = (
        {"id": f"c{at}", "variables": {"country": f"number {at}"}, "expected": f"city-{at}"} for at in range(CASES)
    )
    made.commit(
        "capital 1.0.0",
        {
            "tidegate.yaml": CONFIG.format(url=upstream.url),
            ".gitignore": ".tidegate/\n",
            "prompts/capital/v1.0.0.yaml": prompt("1.0.0"),
            "datasets/capital.jsonl": "".join(json.dumps(one) + "\n" for one in cases),
        },
    )
    made.push("main")
    monkeypatch.chdir(made.folder)
    return made


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = run(["check", "--json", *words])
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, report


def test_a_wrong_number_is_refused_before_a_model_costs_anything_more(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.branch("rename")
    asked = prompt("1.0.1", question="Country {{ name }}").replace("country", "name").replace("of the name", "of it")
    clone.commit("rename a parameter", {"prompts/capital/v1.0.1.yaml": asked})
    code, report = checked(capsys, "--no-eval")
    (one,) = report["versions"]
    assert (code, one["semver"]["state"], one["bump"]["right_version"]) == (1, "block", "2.0.0")
    assert {reason["code"] for reason in one["bump"]["reasons"]} >= {"parameter_removed", "parameter_required"}
    assert one["tests"]["state"] == "block"  # no golden case fits it any more
    assert run(["check", "--no-eval"]) == 1
    assert "v2.0.0.yaml" in capsys.readouterr().out


def test_a_regression_is_blocked_and_told_in_every_report(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.branch("quick")
    worse = prompt("1.0.1", RULE.replace("in one word", "quickly in one word"))
    clone.commit("answer quickly", {"prompts/capital/v1.0.1.yaml": worse})
    reports = clone.folder.parent / "reports"
    words = ("--out", str(reports / "report.md"), "--out", str(reports / "junit.xml"), "--html", str(reports))
    code, report = checked(capsys, *words)
    (one,) = report["versions"]
    assert (code, report["answer"], one["semver"]["state"], one["gate"]["state"]) == (1, "block", "pass", "block")
    assert one["verdict"]["baseline_version"] == "1.0.0"
    assert one["comparison"]["regressed"] == len(range(0, CASES, 3))
    text = (reports / "report.md").read_text()
    assert text.startswith("<!-- tidegate-check -->")
    assert "must not be merged" in text
    assert "pass rate" in text
    assert "<failure" in (reports / "junit.xml").read_text()
    assert "<html" in (reports / "capital@1.0.1.html").read_text()


def test_what_cannot_be_told_yet_says_how_many_cases_it_takes(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.branch("few")
    lines = (clone.folder / "datasets/capital.jsonl").read_text().splitlines(keepends=True)[:30]
    maybe = prompt("1.0.1", RULE.replace("one word", "one word or a guess"))
    clone.commit("guess", {"prompts/capital/v1.0.1.yaml": maybe, "datasets/capital.jsonl": "".join(lines)})
    code, report = checked(capsys)
    (one,) = report["versions"]
    assert (code, report["answer"]) == (3, "inconclusive")
    more = [each["more_cases"] for each in one["verdict"]["findings"] if each["answer"] == "inconclusive"]
    assert any(more)
    assert re.search(r"[0-9]+ more case", one["gate"]["said"])


def test_a_good_change_passes_and_the_second_check_costs_nothing(
    clone: Clone, upstream: ScriptedUpstream, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.branch("tone")
    (clone.folder / "prompts/capital/v1.0.1.yaml").write_text(prompt("1.0.1", RULE.replace("customer", "reader")))
    code, report = checked(capsys)  # a draft that nobody committed
    assert (code, report["answer"]) == (0, "pass"), report["why"]
    paid = len(upstream.received)
    clone.commit("another word", {})
    code, report = checked(capsys)  # and the same, committed
    assert (code, report["answer"], len(upstream.received)) == (0, "pass", paid)
    assert report["versions"][0]["eval"]["said"] == "all from the cache"
    clone.push("tone", "main")
    code, report = checked(capsys)
    assert (code, report["versions"], report["why"]) == (0, [], "No prompt changed since origin/main.")


def test_a_merged_version_goes_live_by_its_tag(
    clone: Clone, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = clone.folder
    first = str(clone.git.references["refs/remotes/origin/main"].target)
    clone.branch("tone")
    clone.commit("another word", {"prompts/capital/v1.0.1.yaml": prompt("1.0.1", RULE.replace("customer", "reader"))})
    clone.push("tone", "main")
    clone.branch("main")
    clone.tag("deploy/capital@1.0.1")
    (folder / ".tidegate").mkdir(mode=0o700, exist_ok=True)
    keys = folder / ".tidegate" / "keys.env"
    keys.write_text(f"master_key={MASTER_KEY}\nadmin_token={ADMIN_TOKEN}\n")
    keys.chmod(0o600)
    with served_control(folder) as served:
        served.run(served.control.policies.apply(SYSTEM, (folder / "tidegate.yaml").read_text(), "tidegate.yaml"))
        assert run(["release", "deploy", "capital@1.0.0", "--env", "production"]) == 0
        assert run(["check", "--base", first, "--record"]) == 0
        said_of_it = capsys.readouterr().out
        assert "Recorded capital 1.0.1: pass" in said_of_it
        tag = next(name for name in clone.git.references if name.startswith("refs/tags/deploy/"))
        target = tag.removeprefix("refs/tags/deploy/")
        plan = tmp_path / "plan.yaml"
        plan.write_text(PLAN)
        start = ["release", "start", target, "--env", "production", "--plan", str(plan), "--reason", f"tag {tag}"]
        assert run(start) == 0, capsys.readouterr().err
        assert "1.0.1 takes over from 1.0.0" in capsys.readouterr().out
        served.run(served.control.rollouts._ticking.round(led))  # the leader looks: the recorded verdict has passed
        assert run(["release", "status", "--env", "production"]) == 0
        assert "5%" in capsys.readouterr().out
        whole = ["release", "promote", "capital", "--env", "production", "--reason", "the walk's end"]
        assert run(whole) == 0, capsys.readouterr().err
        capsys.readouterr()
        assert run(["release", "status", "--env", "production", "--json"]) == 0
        assert '"1.0.1"' in capsys.readouterr().out
