"""The same cases in other tools, each in an environment of its own; a tool that is not there is said to be missing."""

import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.evals.runs import Ran, environment, ran
from bench.processes import BenchError

CONCURRENCY = 32
HOW_TO_INSTALL = """\
uv venv DIR/deepeval && uv pip install --python DIR/deepeval/bin/python deepeval==4.3.1
uv venv DIR/inspect && uv pip install --python DIR/inspect/bin/python inspect-ai==0.3.285
npm install --ignore-scripts --prefix DIR/promptfoo promptfoo@0.121.20"""

DEEPEVAL = """
import json, sys
from deepeval import evaluate
from deepeval.evaluate import AsyncConfig, CacheConfig, DisplayConfig, ErrorConfig
from deepeval.metrics import BaseMetric
from deepeval.test_case import LLMTestCase

class Contains(BaseMetric):
    threshold, async_mode, name = 0.5, True, "contains"
    def measure(self, case, *a, **k):
        self.score = float(case.expected_output in case.actual_output); self.success = self.score == 1.0
        return self.score
    async def a_measure(self, case, *a, **k): return self.measure(case)
    def is_successful(self): return self.success
    @property
    def __name__(self): return "contains"

rows = [json.loads(line) for line in open(sys.argv[1])]
cases = [LLMTestCase(input=r["variables"]["question"], actual_output=r["variables"]["question"],
                     expected_output=r["expected"]) for r in rows]
done = evaluate(test_cases=cases, metrics=[Contains()], async_config=AsyncConfig(max_concurrent=32),
    display_config=DisplayConfig(show_indicator=False, print_results=False),
    cache_config=CacheConfig(write_cache=False, use_cache=False), error_config=ErrorConfig(ignore_errors=False))
print(json.dumps({"done": len(done.test_results), "passed": sum(bool(r.success) for r in done.test_results)}))
"""
INSPECT = """
import json, sys
from inspect_ai import Task, eval as run
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

rows = [json.loads(line) for line in open(sys.argv[1])]
def echo(messages, tools, choice, config):
    output = ModelOutput.from_content("mockllm/model", messages[-1].text)
    output.usage = ModelUsage(input_tokens=10, output_tokens=5, total_tokens=15)
    return output
data = MemoryDataset([Sample(id=r["id"], input=r["variables"]["question"], target=r["expected"]) for r in rows])
log = run(Task(dataset=data, solver=generate(), scorer=includes()), model=get_model("mockllm/model",
    custom_outputs=echo), log_dir=sys.argv[2], display="none", max_samples=32, max_connections=32)[0]
good = sum(s.scores["includes"].value == "C" for s in log.samples)
print(json.dumps({"done": log.results.completed_samples, "passed": good, "status": log.status}))
"""
ECHO_JS = """
module.exports = class {
  id() { return 'echo'; }
  async callApi(prompt) { return { output: prompt }; }
};
"""


class Peer(NamedTuple):
    """A tool: where it is when it is there, what it is asked to run, and what it does otherwise than we do."""

    name: str
    program: str
    argv: Callable[[Path, Path, Path], list[str]]
    differs: str


def deepeval(program: Path, folder: Path, data: Path) -> list[str]:
    """A metric of its own on answers that are there already."""
    (folder / "run.py").write_text(DEEPEVAL)
    return [str(program), "run.py", str(data)]


def inspect(program: Path, folder: Path, data: Path) -> list[str]:
    """Its mock model, which echoes."""
    (folder / "run.py").write_text(INSPECT)
    return [str(program), "run.py", str(data), str(folder / "logs")]


def promptfoo(program: Path, folder: Path, data: Path) -> list[str]:
    """A provider in JavaScript, which echoes."""
    (folder / "echo.js").write_text(ECHO_JS)
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    tests = [{"vars": row["variables"], "assert": [{"type": "contains", "value": row["expected"]}]} for row in rows]
    config = {"prompts": ["{{question}}"], "providers": ["file://echo.js"], "tests": tests}
    (folder / "config.json").write_text(json.dumps(config))
    return [
        str(program), "eval", "-c", "config.json", "--no-cache", "--max-concurrency", str(CONCURRENCY), "-o",
        "out.json", "--no-progress-bar", "--no-table", "--no-share",
    ]  # fmt: skip


PEERS = (
    Peer(
        "promptfoo", "promptfoo/node_modules/.bin/promptfoo", promptfoo,
        "asks a JavaScript provider in its process; keeps results in a SQLite database and writes a JSON file",
    ),
    Peer(
        "deepeval", "deepeval/bin/python", deepeval,
        "calls no provider: the answers are given with the cases, and only the metric runs; keeps no results",
    ),
    Peer(
        "inspect", "inspect/bin/python", inspect,
        "asks its own mock model, which echoes, and logs whole transcripts",
    ),
)  # fmt: skip


def measured(
    peers: Path, folder: Path, data: Path, cases: int, times: int
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Each peer's figures, None for one that is not installed below `peers`."""
    for peer in PEERS:
        program = peers / peer.program
        if not program.exists():
            yield peer.name, None
            continue
        here = folder / peer.name
        here.mkdir()
        environ = environment() | {
            "PROMPTFOO_DISABLE_TELEMETRY": "1",
            "PROMPTFOO_DISABLE_UPDATE": "1",
            "PROMPTFOO_CONFIG_DIR": str(here / "promptfoo"),
            "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
            "HOME": str(here),
        }
        try:
            runs = [ran(peer.argv(program, here, data), here, environ) for _ in range(times)]
            done = [_counted(peer.name, one, here) for one in runs]
        except (BenchError, ValueError, KeyError) as error:
            yield peer.name, {"failure": str(error)[-400:], "differs": peer.differs}
            continue
        yield (
            peer.name,
            {
                "cases_per_s": cases / statistics.median(one.wall_s for one in runs),
                "cases_per_s_each": [cases / one.wall_s for one in runs],
                "peak_rss_mb": max(one.peak_mb for one in runs),
                "cases_done": done[-1],
                "differs": peer.differs,
            },
        )


def _counted(name: str, one: Ran, folder: Path) -> int:
    """How many cases passed, so that no run is counted that did not do the work."""
    if name == "promptfoo":
        stats = json.loads((folder / "out.json").read_text())["results"]["stats"]
        return int(stats["successes"])
    said = json.loads(one.output.strip().splitlines()[-1])
    return int(said["passed"])
