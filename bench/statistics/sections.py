"""The sections, and measuring them: two at a time, each in a process of its own, and `speed` last and alone."""

import os
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from types import MappingProxyType, ModuleType

from bench.statistics import assignment, bandits, clusters, coverage, peeking, rollouts, speed
from bench.statistics.findings import Found, Scale, stderr

SECTIONS: Mapping[str, ModuleType] = MappingProxyType(
    {
        "rollouts": rollouts,
        "bandits": bandits,
        "peeking": peeking,
        "coverage": coverage,
        "assignment": assignment,
        "clusters": clusters,
        "speed": speed,
    }
)
"""The longest first."""

ALONE = "speed"
QUICK = 0.05
WORKERS = 2
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Outcome:
    """What a section found, or why it broke; `seed` is None where nothing is drawn."""

    found: Found | None
    failure: str
    seed: int | None
    wall_s: float


def section(name: str, quick: bool) -> Outcome:
    """Measure one section in this process."""
    module, begun = SECTIONS[name], time.perf_counter()
    seed = getattr(module, "SEED", None)
    try:
        found = module.measure(Scale(QUICK if quick else 1.0), stderr)
    except Exception:
        return Outcome(None, traceback.format_exc(limit=-3), seed, time.perf_counter() - begun)
    return Outcome(found, "", seed, time.perf_counter() - begun)


def measured(names: Sequence[str], quick: bool) -> dict[str, Outcome]:
    """The sections named, in that order."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    many = [name for name in names if name != ALONE]
    found = {}
    if many:
        with ProcessPoolExecutor(min(WORKERS, len(many)), mp_context=get_context("spawn")) as pool:
            waiting = {name: pool.submit(section, name, quick) for name in many}
            found = {name: _ended(future) for name, future in waiting.items()}
    if ALONE in names:
        found[ALONE] = section(ALONE, quick)
    return {name: found[name] for name in names}


def _ended(future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool as error:
        return Outcome(None, f"its process was ended: {error}", None, 0.0)
