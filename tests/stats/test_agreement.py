"""Agreement with human labels against independent formulas."""

import math

import numpy as np
import pytest
from scipy import stats

from tidegate.stats.agreement import accuracy, agreement, auroc, kappa, spearman


def _rows(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    labels = (random.random(n) < 0.4).astype(float)
    return labels, np.round(labels * 0.7 + random.normal(0, 1, n), 1)


def test_auroc_is_the_mann_whitney_statistic_with_ties_counted_half() -> None:
    labels, scores = _rows()
    good, bad = scores[labels == 1], scores[labels == 0]
    oracle = stats.mannwhitneyu(good, bad).statistic / (len(good) * len(bad))
    assert auroc(labels, scores) == pytest.approx(oracle, abs=1e-9)


def test_spearman_is_scipys() -> None:
    labels, scores = _rows()
    grades = np.round(scores * 2 + labels)
    assert spearman(grades, scores) == pytest.approx(stats.spearmanr(grades, scores).statistic, abs=1e-9)


def test_kappa_of_a_table_counted_by_hand() -> None:
    # 20 both yes, 15 both no, 5 and 10 apart: (0.7 - 0.5) / (1 - 0.5)
    labels = np.repeat([1.0, 1.0, 0.0, 0.0], [20, 5, 10, 15])
    said = np.repeat([1.0, 0.0, 1.0, 0.0], [20, 5, 10, 15])
    assert kappa(labels, said) == pytest.approx(0.4, abs=1e-12)
    assert accuracy(labels, said) == pytest.approx(0.7)


def test_weights_are_repeated_rows() -> None:
    labels, scores = _rows(60)
    weights = np.random.default_rng(3).integers(0, 4, 60).astype(float)
    again = np.repeat(np.arange(60), weights.astype(int))
    for of in (auroc, spearman):
        assert of(labels, scores, weights) == pytest.approx(of(labels[again], scores[again]), abs=1e-12)
    said = (scores > 0.5).astype(float)
    assert kappa(labels, said, weights) == pytest.approx(kappa(labels[again], said[again]), abs=1e-12)


def test_labels_of_one_kind_say_nothing() -> None:
    assert math.isnan(auroc(np.ones(5), np.arange(5.0)))
    assert math.isnan(kappa(np.ones(5), np.ones(5)))
    assert math.isnan(spearman(np.ones(5), np.arange(5.0)))


def test_the_interval_of_independent_rows_is_about_as_wide_as_theory_says() -> None:
    labels, scores = _rows()
    found = agreement("accuracy", labels, (scores > 0.5).astype(float))
    error = math.sqrt(found.value * (1 - found.value) / 400)
    assert (found.high - found.low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.1)
    assert found.low < found.value < found.high


def test_rows_of_one_cluster_are_drawn_together() -> None:
    labels, scores = _rows()
    alone = agreement("auroc", labels, scores)
    copied = agreement(
        "auroc", np.tile(labels, 4), np.tile(scores, 4), clusters=[str(one % 400) for one in range(1600)]
    )
    assert copied.clusters == 400
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.15)


def test_a_rival_with_the_same_scores_leaves_no_gain() -> None:
    labels, scores = _rows()
    same = agreement("auroc", labels, scores, rival=scores * 2 + 1)
    assert same.gain == same.gain_low == same.gain_high == 0
    noise = agreement("auroc", labels, scores, rival=np.random.default_rng(1).random(400))
    assert noise.gain is not None
    assert noise.gain_low is not None
    assert noise.gain_low > 0


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="one value for each row"):
        agreement("auroc", [1.0, 0.0], [0.5])
    with pytest.raises(ValueError, match="one value for each row"):
        agreement("auroc", [], [])
