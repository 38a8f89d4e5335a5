"""How fast evaluations are, how much memory they take, and whether kill -9 costs money:
`python -m bench.evals [--json] [--quick] [--peers --peers-dir DIR]`.

`cases_per_s`: 2,000 trivial cases by the whole process of `tidegate eval run`, from its start to its end, with an echo
in the same process; the median of several runs. `peak_rss_mb`: the most memory of a run over 5,000 cases of 100 kB.
Exit status: 0; 1 when a promise was broken (memory, or an answer paid for twice that was not under way).
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.evals.killing import killed, upstream, workspace
from bench.evals.peers import HOW_TO_INSTALL, measured
from bench.evals.runs import ECHO, dataset, environment, ran

CASES = 2000
LARGE_CASES = 5000
LARGE_CHARACTERS = 100_000
CONCURRENCY = 32
MEMORY_MB = 150
GOAL_PER_S = 1000
KILL_CASES = 300


def echo_command(data: Path) -> list[str]:
    """Our own command line on a function that echoes."""
    target = ["--target", "python:echo.py:echo", "--dataset", str(data), "--scorer", "contains"]
    return [sys.executable, "-m", "tidegate", "eval", "run", *target, "--concurrency", str(CONCURRENCY), "--json"]


def speed(folder: Path, data: Path, cases: int, times: int) -> dict[str, Any]:
    """The whole process on trivial cases."""
    (folder / "echo.py").write_text(ECHO)
    runs = [ran(echo_command(data), folder, environment()) for _ in range(times)]
    for one in runs:
        _sure(json.loads(one.output), cases)
    return {
        "cases": cases,
        "runs": times,
        "cases_per_s": cases / statistics.median(one.wall_s for one in runs),
        "cases_per_s_each": [cases / one.wall_s for one in runs],
        "cpu_s": statistics.median(one.cpu_s for one in runs),
        "peak_rss_mb": max(one.peak_mb for one in runs),
    }


def memory(folder: Path, data: Path, cases: int) -> dict[str, Any]:
    """Long cases: from a function, and from a prompt over HTTP with the cache, which keeps every answer."""
    (folder / "echo.py").write_text(ECHO)
    one = ran(echo_command(data), folder, environment())
    _sure(json.loads(one.output), cases)
    with upstream(0.0) as (port, _):
        root = workspace(folder / "workspace", port)
        words = [sys.executable, "-m", "tidegate", "eval", "run", "question", "--dataset", str(data)]
        two = ran([*words, "--scorer", "contains", "--concurrency", str(CONCURRENCY), "--json"], root, environment())
    _sure(json.loads(two.output), cases)
    return {
        "cases": cases,
        "characters": LARGE_CHARACTERS,
        "function_peak_rss_mb": one.peak_mb,
        "function_wall_s": one.wall_s,
        "prompt_peak_rss_mb": two.peak_mb,
        "prompt_wall_s": two.wall_s,
    }


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything."""
    quick = arguments.quick
    data = dataset(folder / "cases.jsonl", CASES)
    times = 2 if quick else 5
    for name in ("speed", "memory", "kills"):
        (folder / name).mkdir()
    found: dict[str, Any] = {"cases_per_s": None, "peak_rss_mb": None}
    found["speed"] = speed(folder / "speed", data, CASES, times)
    large_cases = LARGE_CASES // 10 if quick else LARGE_CASES
    large = dataset(folder / "large.jsonl", large_cases, LARGE_CHARACTERS)
    found["memory"] = memory(folder / "memory", large, large_cases)
    large.unlink()
    small = dataset(folder / "few.jsonl", KILL_CASES)
    found["kills"] = [
        killed(folder / "kills" / str(seed), small, cases=KILL_CASES, concurrency=8, kills=3, seed=seed)
        for seed in range(2 if quick else 10)
    ]
    found["cases_per_s"] = found["speed"]["cases_per_s"]
    found["peak_rss_mb"] = max(found["memory"]["function_peak_rss_mb"], found["memory"]["prompt_peak_rss_mb"])
    if arguments.peers:
        (folder / "peers").mkdir()
        found["peers"] = dict(measured(arguments.peers_dir, folder / "peers", data, CASES, 1 if quick else 3))
    return found


def broken(found: dict[str, Any]) -> list[str]:
    """The promises that were broken, in words."""
    words = []
    if found["peak_rss_mb"] > MEMORY_MB:
        words.append(f"a run took {found['peak_rss_mb']:.0f} MB, more than {MEMORY_MB}")
    for one in found["kills"]:
        if one["calls_paid"] > one["most_allowed"] or one["passed"] != one["cases"] or one["state"] != "complete":
            words.append(f"seed {one['seed']}: {one['calls_paid']} calls for {one['cases']} cases: {one}")
    return words


def text(found: dict[str, Any]) -> str:
    """The figures for people."""
    fast, large, kills = found["speed"], found["memory"], found["kills"]
    each = ", ".join(f"{one:.0f}" for one in fast["cases_per_s_each"])
    extra = ", ".join(str(one["calls_paid"] - one["cases"]) for one in kills)
    whole = sum(one["cases_with_one_outcome"] == one["cases"] for one in kills)
    lines = [
        f"{fast['cases']} trivial cases: {fast['cases_per_s']:.0f} a second, whole process, goal {GOAL_PER_S} ({each})",
        f"  {fast['cpu_s']:.2f} s of CPU, {fast['peak_rss_mb']:.0f} MB",
        f"{large['cases']} cases of {large['characters']} characters, goal {MEMORY_MB} MB:",
        f"  from a function: {large['function_peak_rss_mb']:.0f} MB, {large['function_wall_s']:.1f} s",
        f"  from a prompt over HTTP, cached: {large['prompt_peak_rss_mb']:.0f} MB, {large['prompt_wall_s']:.1f} s",
        f"{len(kills)} runs of {KILL_CASES} cases, each killed {kills[0]['kills']} times; one outcome a case: {whole}",
        f"  calls paid for beyond one a case, at most {kills[0]['most_allowed'] - KILL_CASES} under way: {extra}",
    ]
    for name, one in found.get("peers", {}).items():
        if one is None:
            lines.append(f"{name}: not installed")
        elif "failure" in one:
            lines.append(f"{name}: failed: {one['failure']}")
        else:
            rate = f"{one['cases_per_s']:.0f} a second, {one['peak_rss_mb']:.0f} MB"
            lines.append(f"{name}: {rate}, {one['cases_done']} cases passed; it {one['differs']}")
    if "peers" in found:
        lines += ["", "Peers are installed below --peers-dir DIR so:", HOW_TO_INSTALL]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.evals", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs: quote no figure")
    parser.add_argument("--peers", action="store_true", help="the same cases in promptfoo, DeepEval and Inspect")
    parser.add_argument("--peers-dir", type=Path, default=Path("build/peers"), help="where these are installed")
    arguments = parser.parse_args()
    arguments.peers_dir = arguments.peers_dir.resolve()
    with tempfile.TemporaryDirectory(prefix="tidegate-evals-") as name:
        found = measure(Path(name), arguments)
    sys.stdout.write((json.dumps(found, indent=2) if arguments.json else text(found)) + "\n")
    wrong = broken(found)
    for one in wrong:
        sys.stderr.write(f"broken: {one}\n")
    return 1 if wrong else 0


def _sure(said: dict[str, Any], cases: int) -> None:
    progress = said["progress"]
    if said["manifest"]["state"] != "complete" or progress["paid"] != cases or progress["failed"]:
        raise SystemExit(f"the run was not what it was to be: {progress}")


if __name__ == "__main__":
    sys.exit(main())
