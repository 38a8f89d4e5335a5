"""What a prompt costs: `python -m bench.render [--prompts N] [--repeats N] [--json]`.

Rendering is two short messages with their variables checked, as the gateway does it for each call. Loading is the way
of one version from the bytes of its file to a compiled prompt: YAML, shape, lint, hash, templates, schema.
"""

import argparse
import gc
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from tidegate.control.prompts.library import read_library
from tidegate.control.prompts.ports import TreeFile
from tidegate.live.snapshot import PromptMessage, PromptVersion
from tidegate.templates.compile import FORMATS, CompiledPrompt, compile_prompt

GOALS = {"plain_us": 10.0, "jinja2-sandboxed_us": 30.0, "load_one_ms": 10.0}
LOOP_S = 0.05

VARIABLES = {
    "context": "The gate opens at six in the morning and closes at nine in the evening.",
    "question": "When may a boat of twelve metres come in?",
}
PARAMS: dict[str, object] = {
    "type": "object",
    "required": ["context", "question"],
    "additionalProperties": False,
    "properties": {
        "context": {"type": "string", "maxLength": 60000},
        "question": {"type": "string", "minLength": 1},
    },
}
MESSAGES = (
    PromptMessage("system", "You keep a tide gate. Answer from the context: {{ context }}"),
    PromptMessage("user", "Question: {{ question }}\n\nAnswer in one sentence."),
)
FILE = """\
apiVersion: prompts/v1
name: {name}
version: 1.0.0
description: Answers visitors of harbour number {number}.
model: {{model_id: chat, temperature: 0.2, max_tokens: 200, stop_sequences: ["END"]}}
template_format: {template_format}
messages:
  - role: system
    content: |
      You keep tide gate number {number}. Answer from the context: {{{{ context }}}}
  - role: user
    content: "Question: {{{{ question }}}}\\n\\nAnswer in one sentence."
params:
  type: object
  required: [context, question]
  additionalProperties: false
  properties:
    context: {{type: string, maxLength: 60000}}
    question: {{type: string, minLength: 1}}
metadata: {{owner: harbour}}
changelog: First version.
"""


def prompt(template_format: str) -> CompiledPrompt:
    """The two messages, compiled."""
    version = PromptVersion(
        name="harbour",
        version="1.0.0",
        content_hash="0" * 64,
        model="chat",
        template_format=template_format,
        messages=MESSAGES,
        params=PARAMS,
    )
    return compile_prompt(version)


def microseconds(work: Callable[[], object], repeats: int) -> dict[str, float]:
    """The median, the least and the greatest time of one call in µs, over windows of at least 50 ms."""
    number = 1
    while _elapsed(work, number) < LOOP_S:
        number *= 2
    windows = [_elapsed(work, number) / number * 1e6 for _ in range(repeats)]
    return {"p50": statistics.median(windows), "min": min(windows), "max": max(windows), "calls": number * repeats}


def _elapsed(work: Callable[[], object], number: int) -> float:
    began = time.perf_counter()
    for _ in range(number):
        work()
    return time.perf_counter() - began


def loading(prompts: int, template_format: str) -> dict[str, float]:
    """Load prompts one after the other, each different; times in ms, growth of the process in MB."""
    files: list[tuple[str, TreeFile]] = []
    for number in range(prompts):
        name = f"harbour-{number}"
        data = FILE.format(name=name, number=number, template_format=template_format).encode()
        files.append((name, TreeFile(path=f"prompts/{name}/v1.0.0.yaml", data=data, size=len(data))))
    gc.collect()
    before_kb = _resident_kb()
    kept: list[CompiledPrompt] = []
    read_ms: list[float] = []
    compile_ms: list[float] = []
    for name, file in files:
        began = time.perf_counter()
        version = read_library([file]).versions[name]["1.0.0"]
        read = time.perf_counter()
        kept.append(compile_prompt(version))
        compile_ms.append((time.perf_counter() - read) * 1000)
        read_ms.append((read - began) * 1000)
    whole = sorted(one + other for one, other in zip(read_ms, compile_ms, strict=True))
    return {
        "prompts": len(kept),
        "p50_ms": statistics.median(whole),
        "p99_ms": whole[min(len(whole) - 1, int(len(whole) * 0.99))],
        "max_ms": whole[-1],
        "compile_p50_ms": statistics.median(compile_ms),
        "total_s": sum(whole) / 1000,
        "compile_total_s": sum(compile_ms) / 1000,
        "rss_growth_mb": (_resident_kb() - before_kb) / 1024,
    }


def _resident_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(prompts: int, repeats: int) -> dict[str, Any]:
    """Every figure."""
    report: dict[str, Any] = {"python": platform.python_version(), "cpus": os.cpu_count(), "load": os.getloadavg()[0]}
    for template_format in FORMATS:
        loaded = loading(prompts, template_format)
        compiled = prompt(template_format)
        rendered = microseconds(lambda compiled=compiled: compiled.render(VARIABLES), repeats)  # type: ignore[misc]
        report[template_format] = {"render_us": rendered, "load": loaded}
    return report


def table(report: dict[str, Any]) -> str:
    """The figures beside their goals."""
    lines = [f"Python {report['python']}, {report['cpus']} CPUs, load {report['load']:.1f}", ""]
    for template_format in FORMATS:
        figures = report[template_format]
        render, load = figures["render_us"], figures["load"]
        goal, one = GOALS[f"{template_format}_us"], GOALS["load_one_ms"]
        spread = f"{render['min']:.2f} to {render['max']:.2f}"
        rest = f"compile {load['compile_total_s']:.2f} s, {load['rss_growth_mb']:.0f} MB"
        lines += [
            template_format,
            f"  render, two messages   {render['p50']:8.2f} µs   (goal {goal:g}; {spread})",
            f"  load one, median       {load['p50_ms']:8.2f} ms   (goal {one:g}; p99 {load['p99_ms']:.2f})",
            f"  compile one, median    {load['compile_p50_ms']:8.2f} ms",
            f"  load {load['prompts']:<6.0f}            {load['total_s']:8.2f} s    ({rest})",
        ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.render", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=1000, help="how many to load of each format (1000)")
    parser.add_argument("--repeats", type=int, default=9, help="windows of each rendering (9)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    report = measure(max(options.prompts, 1), max(options.repeats, 1))
    print(json.dumps(report, indent=2) if options.json else table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
