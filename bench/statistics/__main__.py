"""Whether decisions hold: `python -m bench.statistics [--json] [--out FILE] [--quick] [--only SECTION]`.

Each section has its own seed, so that what else is run changes nothing. Exit status: 0, also when a goal is missed (the
report says so); 1 when a section broke; 2 when nothing could be measured.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from bench.statistics.findings import Goal, plain, summary, told
from bench.statistics.sections import SECTIONS, Outcome, measured


def as_json(outcomes: Mapping[str, Outcome], quick: bool, wall_s: float) -> dict[str, Any]:
    """The whole report as plain values."""
    sections = {
        name: {
            "seed": one.seed,
            "wall_s": one.wall_s,
            "failure": one.failure or None,
            "tables": dict(one.found.tables) if one.found else {},
            "notes": list(one.found.notes) if one.found else [],
        }
        for name, one in outcomes.items()
    }
    goals = [
        {
            "section": name,
            "goal": goal.what,
            "figure": goal.figure,
            "standard_error": goal.error,
            "unit": goal.unit,
            "wanted": goal.goal,
            "verdict": goal.verdict,
        }
        for name, one in outcomes.items()
        if one.found
        for goal in one.found.goals
    ]
    versions = {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__}
    whole = {"quick": quick, "wall_s": wall_s, "versions": versions, "goals": goals, "sections": sections}
    return dict(plain(whole))


def as_text(outcomes: Mapping[str, Outcome], quick: bool, wall_s: float) -> str:
    """First what was wanted and reached, then the evidence."""
    goals: list[Goal] = [goal for one in outcomes.values() if one.found for goal in one.found.goals]
    missed = sum(goal.met is False for goal in goals)
    parts = [f"{len(goals)} goals, {missed} missed{' (quick: quote no figure)' if quick else ''}", summary(goals)]
    for name, one in outcomes.items():
        seed = f"seed {one.seed}" if one.seed is not None else "nothing is drawn"
        body = told(one.found) if one.found else one.failure
        parts.append(f"== {name}: {one.wall_s:.0f} s, {seed}\n\n{body}")
    return "\n\n".join([*parts, f"{wall_s:.0f} s in all"])


def status(outcomes: Mapping[str, Outcome]) -> int:
    """0 when all could be measured, 1 when some could not, 2 when none could."""
    broken = sum(one.found is None for one in outcomes.values())
    return 0 if not broken else 2 if broken == len(outcomes) else 1


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.statistics", description=(__doc__ or "").partition(":")[0] + "."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON to a file as well")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the runs: a smoke check")
    parser.add_argument("--only", choices=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS))
    options = parser.parse_args(argv)
    begun = time.perf_counter()
    outcomes = measured([options.only] if options.only else list(SECTIONS), options.quick)
    wall_s = time.perf_counter() - begun
    report = as_json(outcomes, options.quick, wall_s)
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report) if options.json else as_text(outcomes, options.quick, wall_s))
    return status(outcomes)


if __name__ == "__main__":
    sys.exit(main())
