"""Workspaces to evaluate in: a tidegate.yaml whose model is a scripted upstream, a prompt, a dataset."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.support.wire import Step, answer, usage_of

__all__ = ["asked_name", "cases_in", "command", "environ", "said", "workspace", "write_dataset"]

CONFIG = """apiVersion: tidegate/v1
models:
  up:
    provider: openai
    base_url: {url}
    model: up-model
    api_key_env: null
    price: {{input_usd_per_1m_tokens: 1.0, output_usd_per_1m_tokens: 2.0}}
routes:
  chat: {{model: up}}
environments:
  production: {{}}
"""
PROMPT = """
apiVersion: prompts/v1
name: greeting
version: 1.0.0
model: {model_id: chat, temperature: 0.0, max_tokens: 16}
messages:
  - {role: user, content: "{{ name }}"}
params:
  type: object
  required: [name]
  properties:
    name: {type: string}
tests: {golden: {dataset: cases.jsonl}, scorers: [contains]}
"""


def workspace(folder: Path, url: str, *, cases: int = 20, prompt: str = PROMPT) -> Path:
    """A workspace with the prompt `greeting` and a golden dataset in which each case expects its own name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tidegate.yaml").write_text(CONFIG.format(url=url))
    (folder / "prompts" / "greeting").mkdir(parents=True)
    (folder / "prompts" / "greeting" / "v1.0.0.yaml").write_text(prompt)
    write_dataset(folder / "cases.jsonl", cases)
    return folder


def write_dataset(file: Path, cases: int) -> Path:
    """Cases `c0`, `c1`, ...: the variable `name` is the id, which is expected."""
    lines = ({"id": f"c{at}", "variables": {"name": f"c{at}"}, "expected": f"c{at}"} for at in range(cases))
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def said(text: str) -> tuple[Step, ...]:
    """The upstream's answer: 10 tokens in, 5 out, which costs 20,000 nano-dollars."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "up-model", "choices": [choice]}
    return answer({**body, "usage": usage_of(10, 5)})


def asked_name(body: Mapping[str, Any]) -> str:
    """The case that a request is about."""
    return str(body["messages"][-1]["content"])


def cases_in(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's results."""
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def command(*words: str) -> list[str]:
    """The command line of a child that evaluates."""
    return [sys.executable, "-m", "tidegate", "eval", "run", *words]


def environ(more: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """This process's environment, without what would name another workspace."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    return {**kept, **dict(more)}
