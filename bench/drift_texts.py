"""Which distance sees drift in real texts: `python -m bench.drift_texts --data FOLDER [--quick] [--json]`.

FOLDER holds files that are no part of this project: question_pairs_dev.jsonl.gz (questions of people),
router_mmlu_dev.jsonl.gz (examination questions) and refusal_dev.jsonl.gz (answers of several models to one set of
prompts). Questions become 64 numbers: hashed words, weighed by rarity, on the axes of texts that are not used again.
Reference 4,000 questions, windows of 500; every threshold is set by the reference's own windows. Then the share of
alarms on windows of fresh questions into which a share of other texts is mixed: far (examinations) and near (questions
about money and work, which reference and null windows lack). Then days of examination questions, each day with its own
mix of subjects, which is no drift: what a p-value, a threshold from random splits and one from the days themselves make
of them. Last, the lengths and refusals of one model's answers against those of another.
"""

import argparse
import gzip
import itertools
import json
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from tidegate.stats.drift.calibration import Calibrated, Ruler, ruler
from tidegate.stats.drift.centroids import centroid_from
from tidegate.stats.drift.columns import ks, wasserstein
from tidegate.stats.drift.kernels import Kernel, mmd
from tidegate.stats.drift.shares import psi, psi_of_counts

SEED = 20260101
BUCKETS, AXES = 2**15, 64
FITTED, REFERENCE, WINDOW = 4_000, 4_000, 500
OWN_WINDOWS, NULL_LOOKS, LOOKS = 199, 400, 200
SHARES = (0.02, 0.05, 0.1, 0.2)
DAY, BASE_DAYS, OWN_DAYS, LATER_DAYS, RUNS = 200, 20, 39, 10, 20
MIX = 80.0  # the greater, the more alike are the days
FOREIGN = 0.3
FILES = ("question_pairs_dev.jsonl.gz", "router_mmlu_dev.jsonl.gz", "refusal_dev.jsonl.gz")
WORD = re.compile(r"[a-z]{2,}")
MONEY = r"\b(money|business|company|companies|jobs?|bank|salary|invest\w*|startup|career|marketing)\b"
NEAR = re.compile(MONEY, re.IGNORECASE)

Rows = npt.NDArray[np.float64]


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of one file."""
    with gzip.open(folder / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Embedder:
    """Texts as rows of unit length: counts of words and pairs of words, on a log scale, times rarity, on 64 axes."""

    def __init__(self, texts: Sequence[str]) -> None:
        counted = self._counted(texts)
        self._rarity = np.log((1 + len(texts)) / (1 + np.bincount(counted.indices, minlength=BUCKETS)))
        start = np.random.default_rng(SEED).standard_normal(min(counted.shape))
        _, _, axes = svds(self._weighed(counted), k=AXES, v0=start)
        self._axes = axes.T

    def rows(self, texts: Sequence[str]) -> Rows:
        """Shape (texts, 64)."""
        found = np.asarray(self._weighed(self._counted(texts)) @ self._axes)
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9))

    def _counted(self, texts: Sequence[str]) -> Any:
        places: list[int] = []
        ends = [0]
        for text in texts:
            words = WORD.findall(text.lower())
            units = [*words, *map(" ".join, itertools.pairwise(words))]
            places.extend(zlib.crc32(unit.encode()) % BUCKETS for unit in units)
            ends.append(len(places))
        found = csr_matrix((np.ones(len(places)), places, ends), shape=(len(texts), BUCKETS))
        found.sum_duplicates()
        return found

    def _weighed(self, counted: Any) -> Any:
        found = counted.copy()
        found.data = np.log1p(found.data) * self._rarity[found.indices]
        return found


class Pools:
    """The rows that reference and windows are drawn from; no text is in two of them."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(SEED)
        questions = sorted({str(one["a"]) for one in read(folder, FILES[0])})
        rng.shuffle(questions)
        embedder = Embedder(questions[:FITTED])
        unused = questions[FITTED:]
        plain = [text for text in unused if not NEAR.search(text)]
        near = [text for text in unused if NEAR.search(text)]
        examinations = read(folder, FILES[1])
        far = [str(one["prompt"]).partition("\n")[0] for one in examinations]
        self.subjects = np.unique([str(one["group"]) for one in examinations], return_inverse=True)[1]
        self.reference = embedder.rows(plain[:REFERENCE])
        self.fresh = embedder.rows(plain[REFERENCE:])
        self.mixed_in = {"far": embedder.rows(far), "near": embedder.rows(near)}

    def window(self, rng: np.random.Generator, kind: str, share: float) -> Rows:
        """Fresh questions, of which a share is replaced."""
        foreign = round(WINDOW * share)
        kept = self.fresh[rng.choice(len(self.fresh), WINDOW - foreign, replace=False)]
        pool = self.mixed_in[kind]
        return np.concatenate([kept, pool[rng.choice(len(pool), foreign, replace=False)]])

    def day(self, rng: np.random.Generator, foreign: float = 0.0) -> Rows:
        """Examination questions in this day's mix of subjects, of which a share is replaced by people's questions."""
        sizes = np.bincount(self.subjects)
        mix = rng.dirichlet(MIX * sizes / sizes.sum())
        odds = (mix / sizes)[self.subjects]
        questions = self.mixed_in["far"][rng.choice(len(self.subjects), DAY, p=odds / odds.sum())]
        other = rng.choice(len(self.fresh), round(DAY * foreign), replace=False)
        questions[: len(other)] = self.fresh[other]
        return questions


def rulers(reference: Rows) -> dict[str, Ruler]:
    """What is compared; distances of columns become one by the mean or the greatest."""
    kernel = Kernel.of(reference, np.random.default_rng(SEED))
    return {
        "mmd": kernel.distance_from,
        "centroid": centroid_from,
        "wasserstein, mean of columns": ruler(lambda base, window: wasserstein(base, window).value.mean()),
        "ks, greatest of columns": ruler(lambda base, window: ks(base, window, test=False).value.max()),
        "psi, greatest of columns": ruler(lambda base, window: psi(base, window).value.max()),
    }


def measure(pools: Pools, name: str, distance: Ruler, scale: float) -> dict[str, Any]:
    """Alarms of one distance, at a threshold that its reference's own windows set."""
    rng = np.random.default_rng(SEED)
    own = max(19, round((OWN_WINDOWS + 1) * scale) - 1)
    found = Calibrated.unordered(pools.reference, WINDOW, distance, rng, windows=own)
    looks, nulls = round(LOOKS * scale), round(NULL_LOOKS * scale)
    begun = time.perf_counter()
    false = sum(found.judge(pools.window(rng, "far", 0.0)).alarm for _ in range(nulls)) / nulls
    took = (time.perf_counter() - begun) / nulls
    seen = {
        kind: {
            f"{share:g}": sum(found.judge(pools.window(rng, kind, share)).alarm for _ in range(looks)) / looks
            for share in SHARES
        }
        for kind in pools.mixed_in
    }
    return {
        "name": name,
        "threshold": round(found.threshold.value, 6),
        "false_alarms": round(false, 4),
        "ms_a_window": round(took * 1000, 2),
        "alarms": seen,
    }


def days(pools: Pools, scale: float) -> dict[str, dict[str, float]]:
    """Alarms on days without drift and with it, by MMD under three rules of when a distance is too great."""
    rng = np.random.default_rng(SEED)
    hits: Counter[tuple[str, str]] = Counter()
    runs = max(2, round(RUNS * scale))
    for _ in range(runs):
        rows = np.concatenate([pools.day(rng) for _ in range(BASE_DAYS + OWN_DAYS)])
        distance = Kernel.of(rows, rng).distance_from
        share = BASE_DAYS / (BASE_DAYS + OWN_DAYS)
        split = Calibrated.unordered(rows, DAY, distance, rng, windows=OWN_DAYS)
        own = Calibrated.in_order(rows, DAY, distance, base_share=share)
        for foreign in (0.0, FOREIGN):
            for _ in range(LATER_DAYS):
                window = pools.day(rng, foreign)
                kind = "drift" if foreign else "none"
                p_value = mmd(rows, window, rng, permutations=99).p_value
                hits["p-value", kind] += p_value is not None and bool(p_value <= 0.05)
                hits["random splits", kind] += split.judge(window).alarm
                hits["days in order", kind] += own.judge(window).alarm
    looks = runs * LATER_DAYS
    return {
        rule: {kind: round(hits[rule, kind] / looks, 4) for kind in ("none", "drift")}
        for rule in ("p-value", "random splits", "days in order")
    }


def answers(folder: Path) -> list[dict[str, Any]]:
    """One model's answers against each other model's: how far length and kind of answer have moved."""
    rows = read(folder, FILES[2])
    models = sorted({str(one["model"]) for one in rows})
    kinds = sorted({str(one["human"]) for one in rows})
    length = {name: [float(len(one["completion"])) for one in rows if one["model"] == name] for name in models}
    human = {name: Counter(str(one["human"]) for one in rows if one["model"] == name) for name in models}
    found = []
    for before, after in itertools.combinations(models, 2):
        gap, moved = ks(length[before], length[after]), wasserstein(length[before], length[after])
        shares = psi_of_counts([human[before][kind] for kind in kinds], [human[after][kind] for kind in kinds])
        found.append(
            {
                "from": before,
                "to": after,
                "n": [len(length[before]), len(length[after])],
                "length_ks": round(float(gap), 3),
                "length_p": float(gap.p_value) if gap.p_value is not None else None,
                "length_wasserstein": round(float(moved), 3),
                "refusal_psi": round(float(shares), 3),
                "refusal_p": float(shares.p_value) if shares.p_value is not None else None,
            }
        )
    return found


def _shown(figure: Mapping[str, Any]) -> str:
    seen = "   ".join(
        f"{kind} " + " ".join(f"{share:.2f}" for share in alarms.values()) for kind, alarms in figure["alarms"].items()
    )
    return f"{figure['name']:30} {figure['ms_a_window']:7.2f} ms   false {figure['false_alarms']:.3f}   {seen}"


def _told(one: Mapping[str, Any]) -> str:
    return (
        f"{one['from']} -> {one['to']} (n {one['n'][0]}, {one['n'][1]}): length ks {one['length_ks']} "
        f"p {one['length_p']:.2g}, wasserstein {one['length_wasserstein']} sd; "
        f"refusals psi {one['refusal_psi']} p {one['refusal_p']:.2g}"
    )


def main() -> int:
    """Measure and print; exit status 2 without the data."""
    parser = argparse.ArgumentParser(prog="python -m bench.drift_texts", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the three files of texts")
    parser.add_argument("--quick", action="store_true", help="a tenth of the windows")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    missing = [name for name in FILES if not (options.data / name).is_file()]
    if missing:
        print(f"{options.data} lacks {', '.join(missing)}", file=sys.stderr)
        return 2
    pools = Pools(options.data)
    scale = 0.1 if options.quick else 1.0
    figures = [measure(pools, name, one, scale) for name, one in rulers(pools.reference).items()]
    sizes = {"fresh": len(pools.fresh), **{kind: len(rows) for kind, rows in pools.mixed_in.items()}}
    by_day, models = days(pools, scale), answers(options.data)
    if options.json:
        found = {"reference": REFERENCE, "window": WINDOW, "pools": sizes, "figures": figures}
        print(json.dumps({**found, "days": by_day, "answers": models}))
        return 0
    print(f"reference {REFERENCE}, windows of {WINDOW}; texts {sizes}; alarms at shares {', '.join(map(str, SHARES))}")
    print("\n".join(map(_shown, figures)))
    for rule, alarms in by_day.items():
        seen = f"false {alarms['none']:.3f}   {FOREIGN:.0%} others {alarms['drift']:.3f}"
        print(f"days of mixed subjects, {rule:14} {seen}")
    print("\n".join(map(_told, models)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
