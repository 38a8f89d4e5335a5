"""One command under measurement: its wall time from start to end, and the most memory that it had."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.processes import BenchError

PADDING = "lorem ipsum dolor sit amet "
LAUNCH = """
import json, os, sys, time
began = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(child, 0)
wall_s = time.perf_counter() - began
with open(sys.argv[1], "w") as out:
    json.dump({"code": os.waitstatus_to_exitcode(status), "wall_s": wall_s, "peak_kb": used.ru_maxrss,
               "cpu_s": used.ru_utime + used.ru_stime}, out)
"""
ECHO = "def echo(question):\n    return question\n"


class Ran(NamedTuple):
    """What a command took. `output` is its stdout, as text."""

    wall_s: float
    peak_mb: float
    cpu_s: float
    output: str


def ran(argv: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Ran:
    """Run a command to its end; raises BenchError with its last words when it does not end with 0.

    It is started by a small process of its own: Linux counts the memory of whoever starts a program to its peak.
    """
    out, err, used = folder / "stdout.txt", folder / "stderr.txt", folder / "used.json"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        words = [sys.executable, "-I", "-S", "-c", LAUNCH, str(used), *argv]
        subprocess.run(words, cwd=folder, env=dict(environ), stdout=stdout, stderr=stderr, check=True)
    found = json.loads(used.read_text())
    if found["code"]:
        raise BenchError(f"{' '.join(map(str, argv[:4]))} ended with {found['code']}: {err.read_text()[-600:]}")
    return Ran(found["wall_s"], found["peak_kb"] / 1024, found["cpu_s"], out.read_text(errors="replace"))


def dataset(file: Path, cases: int, characters: int = 0) -> Path:
    """Cases whose question holds what is expected; with `characters`, each so long."""
    tail = (PADDING * (characters // len(PADDING) + 1))[:characters]
    with file.open("w") as out:
        for at in range(cases):
            question = f"What is {at}? {tail}"
            out.write(json.dumps({"id": f"c{at}", "variables": {"question": question}, "expected": str(at)}) + "\n")
    return file


def environment() -> dict[str, str]:
    """This process's, without what would name a workspace."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
