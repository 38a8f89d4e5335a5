"""Who gets which arm: even, sticky over processes, monotone in the weight, and independent of other experiments.

`python -m bench.statistics.assignment N` prints a fingerprint of N assignments, for comparing processes.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.statistics.findings import Found, Goal, Rows, Say, Scale, no_more
from bench.statistics.plan import Counts
from tidegate.live.assignment import BUCKETS, assign, bucket, draw
from tidegate.live.snapshot import Arm
from tidegate.stats.splits import srm_test

IDS, STICKY_IDS = 1_000_000, 100_000
SALTS = ("checkout-copy", "checkout-model")
NAMES, WEIGHTS = ("a", "b", "c"), (5000, 3000, 2000)
RAMP = (500, 2500, 5000, 10_000)
PROCESS_S = 120.0
LEAST_P = 0.001
HASH_SEEDS = ("1", "2")


def measure(scale: Scale, say: Say) -> Found:
    """All four promises; nothing here is random."""
    ids = [f"user-{number}" for number in range(scale.runs(IDS, 20_000))]
    say(f"assignment: {len(ids)} ids, two salts")
    buckets = [np.fromiter((bucket(salt, one) for one in ids), np.int64, len(ids)) for salt in SALTS]
    edges = np.cumsum(WEIGHTS)
    assigned = [np.searchsorted(edges, found, side="right") for found in buckets]
    say("assignment: draw")
    drawn = [np.fromiter((draw(NAMES, WEIGHTS, salt, one) for one in ids), np.int64, len(ids)) for salt in SALTS]
    rows: Rows = [
        {"what": "buckets even over 100 parts", "ids": len(ids), "chi_square_p": _even(buckets[0] // 100, [1] * 100)},
        {"what": "assign, arms as weighted", "ids": len(ids), "chi_square_p": _even(assigned[0], WEIGHTS)},
        {"what": "draw, arms as weighted", "ids": len(ids), "chi_square_p": _even(drawn[0], WEIGHTS)},
    ]
    say("assignment: two processes, a growing weight")
    sticky = fingerprints(scale.runs(STICKY_IDS, 5000))
    some = ids[: scale.runs(IDS // 5, 5000)]
    moved: Rows = [
        {"way": way, "ids": len(some), "moved_otherwise": moves(some)}
        for way, moves in (("assign", _assign_moves), ("draw", _draw_moves))
    ]
    together: Rows = [
        {"what": "the bucket under two salts", "correlation": _correlation(*buckets)},
        {"what": "assign: in arm a under two salts", "correlation": _correlation(*(one == 0 for one in assigned))},
        {"what": "draw: in arm a under two salts", "correlation": _correlation(*(one == 0 for one in drawn))},
    ]
    differ = None if sticky is None else float(len(set(sticky)) - 1)
    goals = [
        *(_p_goal(str(row["what"]), row["chi_square_p"]) for row in rows),
        no_more("processes that assign otherwise (PYTHONHASHSEED 1 and 2)", differ, 0, ""),
        *(no_more(f"{row['way']}: units that a growing weight moved elsewhere", float(str(row["moved_otherwise"])), 0,
                  "") for row in moved),
        no_more("correlation of two experiments, largest", max(abs(float(str(row["correlation"]))) for row in together),
                0.005 * max(1.0, (IDS / len(ids)) ** 0.5), ""),
    ]  # fmt: skip
    return Found(goals, {"even": rows, "monotone": moved, "independent": together})


def fingerprint(count: int) -> str:
    """A hash over the assignments of so many ids."""
    found = hashlib.sha256()
    arms = [Arm(version=name, weight_bp=weight) for name, weight in zip(NAMES, WEIGHTS, strict=True)]
    for number in range(count):
        unit = f"user-{number}"
        found.update(f"{assign(arms, SALTS[0], unit)}{draw(NAMES, WEIGHTS, SALTS[0], unit)}".encode())
    return found.hexdigest()


def fingerprints(count: int) -> list[str] | None:
    """The fingerprint in fresh processes with different hash seeds; None when one did not answer."""
    found = []
    for seed in HASH_SEEDS:
        done = subprocess.run(
            [sys.executable, "-m", "bench.statistics.assignment", str(count)],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False, timeout=PROCESS_S,
        )  # fmt: skip
        if done.returncode:
            return None
        found.append(done.stdout.strip())
    return found


def _even(arms: Counts, weights: Sequence[int]) -> float:
    return float(srm_test(np.bincount(arms, minlength=len(weights)), weights).p_value)


def _p_goal(what: str, p_value: object) -> Goal:
    p = float(str(p_value))
    return Goal(f"{what}: chi-square p", p, "", f"> {LEAST_P:g}", p > LEAST_P)


def _correlation(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    return float(np.corrcoef(np.asarray(one), np.asarray(other))[0, 1])


def _assign_moves(ids: Sequence[str]) -> int:
    """How many units did anything but stay or move to the last arm, while it grew."""
    wrong, before = 0, np.zeros(len(ids), dtype=np.int64)
    for weight in RAMP:
        arms = [Arm(version="0", weight_bp=BUCKETS - weight), Arm(version="1", weight_bp=weight)]
        now = np.array([int(assign(arms, SALTS[0], one)) for one in ids])
        wrong += int((now < before).sum())
        before = now
    return wrong


def _draw_moves(ids: Sequence[str]) -> int:
    """How many units did anything but stay or move to arm b, while its weight grew."""
    wrong, before = 0, None
    for weight in RAMP:
        now = np.array([draw(NAMES, (5000, weight, 2000), SALTS[0], one) for one in ids])
        if before is not None:
            wrong += int(((now != before) & (now != 1)).sum())
        before = now
    return wrong


if __name__ == "__main__":
    print(fingerprint(int(sys.argv[1])))
