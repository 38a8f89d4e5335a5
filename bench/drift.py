"""What drift distances cost: `python -m bench.drift [--rows N] [--width N] [--reps N] [--json]`.

Two sets of embeddings, the second moved by 0.05 in every column. Each distance runs in a process of its own with one
BLAS thread: seconds of the call, and the greatest memory that the process ever held. Beside it Evidently on the same
numbers, where it is installed under BENCH_HOME. Last, how often MMD's p-value is at most 0.05 where nothing has moved.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from bench.gateway.peers import bench_home
from tidegate.stats.drift.centroids import centroid
from tidegate.stats.drift.columns import ks, wasserstein
from tidegate.stats.drift.distances import Distance
from tidegate.stats.drift.kernels import Kernel, mmd, squared_mmd
from tidegate.stats.drift.shares import psi

GOALS = {"mmd_s": 0.5, "mmd_peak_mb": 300.0}
EVIDENTLY = "0.7.23"  # what the command below installs; it does not import with pandas 3
SEED, SHIFT = 20260101, 0.05
LIMIT_S = 300.0
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
NULL_RUNS, NULL_ROWS, NULL_WIDTH = 400, 400, 64

Rows = npt.NDArray[np.float64]
Call = Callable[[], str]

PEER = """\
import json, resource, sys, time
import numpy as np, pandas as pd
from evidently.legacy.metrics.data_drift.embedding_drift_methods import MMDDriftMethod, ModelDriftMethod
rows, width, reps, seed, shift, which = *map(int, sys.argv[1:5]), float(sys.argv[5]), sys.argv[6]
rng = np.random.default_rng(seed)
names = [f"c{number}" for number in range(width)]
a = pd.DataFrame(rng.standard_normal((rows, width)), columns=names)
b = pd.DataFrame(rng.standard_normal((rows, width)) + shift, columns=names)
method = {"mmd": MMDDriftMethod, "model": ModelDriftMethod}[which]()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
took = []
for _ in range(reps):
    left, right = a.copy(), b.copy()
    begun = time.perf_counter()
    value, found, _ = method(right, left)
    took.append(time.perf_counter() - begun)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
said = f"{value:.6f}, drift: {'yes' if found else 'no'}"
print(json.dumps({"seconds": took, "before_mb": before, "peak_mb": peak, "said": said}))
"""


def embeddings(rows: int, width: int) -> tuple[Rows, Rows]:
    """The same two sets in every process."""
    rng = np.random.default_rng(SEED)
    known = rng.standard_normal((rows, width))
    seen = rng.standard_normal((rows, width))
    seen += SHIFT
    return known, seen


def _said(found: Distance) -> str:
    """The distance, or the greatest over the columns, with the least p-value."""
    chance = "none" if found.p_value is None else f"{np.min(found.p_value):.3g}"
    return f"{np.max(found.value):.6f}, p {chance}"


def _mmd(known: Rows, seen: Rows) -> Call:
    return lambda: _said(mmd(known, seen, np.random.default_rng(SEED)))


def _kept(known: Rows, seen: Rows) -> Call:
    kernel = Kernel.of(known, np.random.default_rng(SEED))
    reference = kernel.sketch(known)
    return lambda: f"{squared_mmd(reference, kernel.sketch(seen)):.6f}, the window alone is read"


def _exchanged(known: Rows, seen: Rows) -> Call:
    one, other = known[:, 0], seen[:, 0]
    return lambda: f"{_said(wasserstein(one, other, rng=np.random.default_rng(SEED)))}, one column"


DISTANCES: Mapping[str, Callable[[Rows, Rows], Call]] = MappingProxyType(
    {
        "mmd": _mmd,
        "mmd, kept reference": _kept,
        "centroid": lambda known, seen: lambda: _said(centroid(known, seen)),
        "ks": lambda known, seen: lambda: _said(ks(known, seen)),
        "wasserstein": lambda known, seen: lambda: _said(wasserstein(known, seen)),
        "wasserstein, 999 exchanges": _exchanged,
        "psi": lambda known, seen: lambda: _said(psi(known, seen)),
    }
)
"""What is measured, by name; each call does all of its work anew, but for what its name says is kept."""


def once(name: str, rows: int, width: int, reps: int) -> dict[str, Any]:
    """Measure one distance in this very process."""
    call = DISTANCES[name](*embeddings(rows, width))
    before, took, said = _peak_mb(), [], ""
    for _ in range(reps):
        begun = time.perf_counter()
        said = call()
        took.append(time.perf_counter() - begun)
    return {"seconds": took, "before_mb": before, "peak_mb": _peak_mb(), "said": said}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(name: str, argv: Sequence[str]) -> dict[str, Any]:
    """What a process printed as JSON, with its name; or why there is nothing."""
    try:
        done = subprocess.run(
            list(argv), env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return {"name": name, "failure": f"took more than {LIMIT_S:.0f} s"}
    if done.returncode:
        return {"name": name, "failure": done.stderr.strip()[-300:] or f"ended with {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    took = found["seconds"]
    return {
        "name": name,
        "s": round(statistics.median(took), 4),
        "spread_s": [round(min(took), 4), round(max(took), 4)],
        "peak_mb": round(found["peak_mb"]),
        "before_mb": round(found["before_mb"]),
        "said": found["said"],
    }


def peers(rows: int, width: int) -> list[dict[str, Any]]:
    """Evidently's two methods for embeddings, called once; or how to install it."""
    home = bench_home() / "evidently"
    python = home / "bin" / "python"
    if not python.exists():
        install = f"python3 -m venv {home} && {home}/bin/pip install evidently=={EVIDENTLY} 'pandas<3'"
        return [{"name": "evidently", "not_installed": install}]
    shared = [str(rows), str(width), "1", str(SEED), str(SHIFT)]
    return [
        child(f"evidently {which}", [str(python), "-W", "ignore", "-c", PEER, *shared, which])
        for which in ("mmd", "model")
    ]


def false_alarms(runs: int = NULL_RUNS) -> dict[str, Any]:
    """How often MMD's p-value is at most 0.05 between two sets of one distribution, with the exact 95% interval."""
    rng = np.random.default_rng(SEED)
    hits = 0
    for _ in range(runs):
        known, seen = rng.standard_normal((2, NULL_ROWS, NULL_WIDTH))
        p_value = mmd(known, seen, rng, permutations=199).p_value
        hits += p_value is not None and bool(p_value <= 0.05)
    low = float(betaincinv(hits, runs - hits + 1, 0.025)) if hits else 0.0
    high = float(betaincinv(hits + 1, runs - hits, 0.975)) if hits < runs else 1.0
    return {"runs": runs, "alarms_at_0.05": round(hits / runs, 4), "interval": [round(low, 4), round(high, 4)]}


def _shown(figure: Mapping[str, Any]) -> str:
    if "s" not in figure:
        return f"{figure['name']:28} {figure.get('failure') or 'install with: ' + figure['not_installed']}"
    memory = f"{figure['peak_mb']:6} MB ({figure['before_mb']} before)"
    return f"{figure['name']:28} {figure['s']:9.4f} s {memory}   {figure['said']}"


def main() -> int:
    """Measure and print; exit status 1 when MMD misses its goal."""
    parser = argparse.ArgumentParser(prog="python -m bench.drift", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000, help="rows of each set")
    parser.add_argument("--width", type=int, default=384, help="columns of each set")
    parser.add_argument("--reps", type=int, default=5, help="calls of each distance; the peer is called once")
    parser.add_argument("--only", choices=DISTANCES, help="measure one distance in this process, and print JSON")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(once(options.only, options.rows, options.width, options.reps)))
        return 0
    sizes = ["--rows", str(options.rows), "--width", str(options.width), "--reps", str(options.reps)]
    own = [child(name, [sys.executable, "-m", "bench.drift", "--only", name, *sizes]) for name in DISTANCES]
    figures = [*own, *peers(options.rows, options.width)]
    null = false_alarms()
    if options.json:
        sized = {"rows": options.rows, "width": options.width}
        print(json.dumps({**sized, "figures": figures, "goals": GOALS, "without_drift": null}))
    else:
        print("\n".join(_shown(one) for one in figures))
        low, high = null["interval"]
        print(f"without drift mmd's p <= 0.05 in {null['alarms_at_0.05']:.1%} of {null['runs']} ({low:.1%}-{high:.1%})")
    first = own[0]
    met = "s" in first and first["s"] <= GOALS["mmd_s"] and first["peak_mb"] <= GOALS["mmd_peak_mb"]
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
