"""Runs of evaluations as they stand on disk, made up: for tests of what reads them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tidegate.control.evals.comparing.compare import RunResults
from tidegate.control.evals.model import Manifest, Outcome, Quality, Score, ScorerUse

__all__ = ["CONVINCING", "EXACT", "FAITHFULNESS", "SHAKY", "manifest", "outcomes", "results", "write_run"]

CONVINCING = Quality(
    measure="auroc",
    value=0.84,
    low=0.81,
    high=0.87,
    n=1200,
    data="RAGTruth-QA@1a2b3c",
    baseline="n-gram overlap",
    baseline_value=0.70,
    gain=0.14,
    gain_low=0.10,
    gain_high=0.18,
)
EXACT = ScorerUse(name="exact", version="1.0.0", exact=True)
FAITHFULNESS = ScorerUse(name="faithfulness", version="1.0.0", quality=(CONVINCING,))
SHAKY = ScorerUse(name="relevance", version="0.1.0")


def manifest(version: str = "2.1.0", cases: int = 500, **more: Any) -> Manifest:
    """What a run is; a complete one of the prompt support.answer."""
    plain: dict[str, Any] = {
        "run_id": f"eval_{version}",
        "target": f"support.answer@{version}",
        "prompt": "support.answer",
        "version": version,
        "content_hash": f"hash of {version}",
        "model": "chat",
        "dataset": "datasets/support.jsonl",
        "dataset_sha256": "d" * 64,
        "cases": cases,
        "scorers": (EXACT, FAITHFULNESS),
        "repeats_max": 1,
        "repeats_policy": "unstable-only",
        "fingerprint": "f" * 64,
        "started_at_ms": 1_790_000_000_000,
        "ended_at_ms": 1_790_000_042_000,
        "state": "complete",
    }
    return Manifest(**{**plain, **more})


def outcomes(
    passes: Sequence[bool | None],
    *,
    seed: int = 1,
    faithfulness: float = 0.9,
    cost_nano_usd: int = 400_000,
    latency_ms: float = 600.0,
    padding: int = 0,
) -> list[Outcome]:
    """One answer for each case: passed, failed, or (None) an error."""
    generator = np.random.default_rng(seed)
    found = []
    for number, passed in enumerate(passes):
        name = f"case-{number:04d}"
        if passed is None:
            found.append(
                Outcome(
                    case_id=name,
                    repeat=0,
                    key=f"key-{number}",
                    error="provider_error",
                    error_message="The provider answered 502.",
                )
            )
            continue
        score = float(np.clip(faithfulness + 0.03 * generator.normal(), 0, 1))
        said = "Returns are free for 30 days" if passed else "Returns cost 5 dollars, and the window is 14 days"
        found.append(
            Outcome(
                case_id=name,
                repeat=0,
                key=f"key-{number}",
                text=f"{said}, says paragraph {number}.{' word' * padding}",
                finish_reason="stop",
                input_tokens=200,
                output_tokens=40,
                cost_nano_usd=int(cost_nano_usd * (1 + 0.3 * generator.random())),
                latency_ms=float(latency_ms * np.exp(0.5 * generator.normal())),
                scores={
                    "exact": Score(
                        value=float(passed), passed=passed, why="" if passed else "It is not what is expected."
                    ),
                    "faithfulness": Score(value=score),
                },
                passed=passed,
            )
        )
    return found


def results(found: Manifest, answers: Iterable[Outcome], groups: dict[str, str] | None = None) -> RunResults:
    """A run in memory."""
    kept = list(answers)
    return RunResults(found, lambda: iter(kept), groups or {})


def write_run(folder: Path, found: Manifest, answers: Iterable[Outcome]) -> Path:
    """A run's folder."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(found))
    with (folder / "results.jsonl").open("wb") as out:
        for answer in answers:
            out.write(msgspec.json.encode(answer) + b"\n")
    return folder
