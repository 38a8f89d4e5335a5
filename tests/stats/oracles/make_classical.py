"""Makes classical.json: what other libraries say, on a grid with its extremes. The tests read the file alone.

`make oracles` runs it once in an environment with statsmodels, spotify-confidence and SciPy (statsmodels.txt), and once
in one with gbstats and SciPy (gbstats.txt: it pins old libraries). Each run replaces the tables that its libraries can
make, and names the versions; with equal versions the file stays the same, byte for byte.
"""

import importlib
import importlib.metadata
import importlib.util
import itertools
import json
import math
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize, stats

FILE = Path(__file__).with_name("classical.json")
SIZES = (1, 2, 7, 30, 1_000, 10**6, 10**9, 10**12)
SHARES = (0.0, 0.001, 0.1, 0.5, 0.93, 1.0)
ALTERNATIVES = {"two-sided": "two-sided", "greater": "larger", "less": "smaller"}

Row = dict[str, Any]


def loaded(name: str) -> Any:
    """A library that this environment may lack."""
    return importlib.import_module(name) if importlib.util.find_spec(name.split(".")[0]) else None


def arms(largest: int = 10**12) -> Iterator[tuple[int, int, int, int]]:
    """x_c, n_c, x_t, n_t: equal and unequal arms, near rates and far ones."""
    sizes = [size for size in SIZES if size <= largest]
    pairs = [(n, n) for n in sizes] + [(n, min(3 * n, largest)) for n in sizes] + [(sizes[-1], 30), (1_000, 7)]
    for (n_c, n_t), share in itertools.product(pairs, SHARES):
        x_c = round(n_c * share)
        for lift in (0.0, 2.0, -1.3):
            x_t = round(n_t * share + lift * math.sqrt(n_t * max(share * (1 - share), 0.002)))
            yield x_c, n_c, min(max(x_t, 0), n_t), n_t
        if share in (0.0, 1.0):
            yield x_c, n_c, round(n_t * (1 - share)), n_t


def z_tests() -> Iterator[Row]:
    library = loaded("statsmodels.stats.proportion")
    for x_c, n_c, x_t, n_t in dict.fromkeys(arms()):
        row: Row = {"arms": [x_c, n_c, x_t, n_t]}
        if 0 < x_c + x_t < n_c + n_t:
            for ours, theirs in ALTERNATIVES.items():
                z, p = library.proportions_ztest([x_t, x_c], [n_t, n_c], alternative=theirs)
                row |= {"z": z, f"p {ours}": p}
        if (0 < x_c < n_c) or (0 < x_t < n_t):
            wald = library.test_proportions_2indep(x_t, n_t, x_c, n_c, method="wald")
            row |= {"wald p": wald.pvalue, "wald z": wald.statistic}
            row["wald"] = library.confint_proportions_2indep(x_t, n_t, x_c, n_c, method="wald")
        for level in (0.95, 0.999):
            row[f"newcombe {level}"] = library.confint_proportions_2indep(
                x_t, n_t, x_c, n_c, method="newcomb", alpha=1 - level
            )
            row[f"wilson {level}"] = library.proportion_confint(x_t, n_t, method="wilson", alpha=1 - level)
        if x_c and x_t:
            row["katz"] = library.confint_proportions_2indep(x_t, n_t, x_c, n_c, method="log", compare="ratio")
        if 0 < x_c < n_c and 0 < x_t < n_t and n_c + n_t <= 10_000:
            # the cubic of this method loses its digits for larger arms
            row["koopman"] = library.confint_proportions_2indep(
                x_t, n_t, x_c, n_c, method="score", compare="ratio", correction=False
            )
        if n_t <= 10**6:
            row["wilson continuity"] = list(stats.binomtest(x_t, n_t).proportion_ci(0.95, method="wilsoncc"))
        yield row


def koopman_by_score() -> Iterator[Row]:
    """The ends of the score interval by bisection of statsmodels' score test, for what its closed form cannot do."""
    library = loaded("statsmodels.stats.proportion")
    z = stats.norm.isf(0.025)
    for x_c, n_c, x_t, n_t in (
        (0, 10, 5, 10),
        (5, 10, 0, 10),
        (10, 10, 10, 10),
        (3, 10**6, 9, 10**6),
        (500, 10**6, 3, 7),
    ):

        def score(log_ratio: float, case: tuple[int, int, int, int] = (x_c, n_c, x_t, n_t)) -> float:
            x_c, n_c, x_t, n_t = case
            found = library.score_test_proportions_2indep(
                x_t, n_t, x_c, n_c, value=math.exp(log_ratio), compare="ratio", correction=False
            )
            return float(found.statistic)

        low = math.exp(optimize.brentq(lambda r: score(r) - z, -14, 14.01, xtol=1e-13)) if x_t else 0.0
        high = math.exp(optimize.brentq(lambda r: score(r) + z, -14, 14.01, xtol=1e-13)) if x_c else math.inf
        yield {"arms": [x_c, n_c, x_t, n_t], "koopman": [low, high]}


def spotify_z() -> Iterator[Row]:
    library, pandas = loaded("spotify_confidence"), loaded("pandas")
    for x_c, n_c, x_t, n_t in ((120, 1000, 150, 1000), (3, 40, 9, 25), (10**8, 10**9, 10**8 + 30_000, 10**9)):
        frame = pandas.DataFrame({"arm": ["c", "t"], "x": [x_c, x_t], "xx": [x_c, x_t], "n": [n_c, n_t]})
        test = library.ZTest(
            frame,
            numerator_column="x",
            numerator_sum_squares_column="xx",
            denominator_column="n",
            categorical_group_columns="arm",
            interval_size=0.95,
        )
        found = test.difference(level_1="c", level_2="t").iloc[0]
        yield {
            "arms": [x_c, n_c, x_t, n_t],
            "p": found["p-value"],
            "effect": found["difference"],
            "interval": [found["ci_lower"], found["ci_upper"]],
        }


def fisher_exactly() -> Iterator[Row]:
    """By whole numbers and fractions: no rounding before the last step."""
    for x_c, n_c, x_t, n_t in dict.fromkeys(arms(1_000)):
        k, least, most = x_c + x_t, max(0, x_c + x_t - n_c), min(n_t, x_c + x_t)
        ways = [math.comb(n_t, i) * math.comb(n_c, k - i) for i in range(least, most + 1)]
        seen, total = ways[x_t - least], sum(ways)
        yield {
            "arms": [x_c, n_c, x_t, n_t],
            "p two-sided": float(Fraction(sum(way for way in ways if way <= seen), total)),
            "p greater": float(Fraction(sum(ways[x_t - least :]), total)),
            "p less": float(Fraction(sum(ways[: x_t - least + 1]), total)),
        }


def fisher_large() -> Iterator[Row]:
    for x_c, n_c, x_t, n_t in dict.fromkeys(arms(10**6)):
        if n_c + n_t > 50_000:
            p = stats.fisher_exact([[x_t, n_t - x_t], [x_c, n_c - x_c]]).pvalue
            yield {"arms": [x_c, n_c, x_t, n_t], "p two-sided": p}


def mcnemar() -> Iterator[Row]:
    library = loaded("statsmodels.stats.contingency_tables")
    splits = ((0, 1), (1, 0), (5, 5), (1, 7), (0, 30), (10, 25), (480, 560), (50_000, 51_000), (10**11, 10**11 + 10**6))
    for (c, t), both, neither in itertools.product(splits, (0, 40), (0, 1_000)):
        normal = library.mcnemar([[both, c], [t, neither]], exact=False, correction=False)
        row = {"pairs": [both, c, t, neither], "chi2": normal.statistic, "p normal": normal.pvalue}
        if c + t < 10**6:
            row["p exact"] = library.mcnemar([[both, c], [t, neither]], exact=True).pvalue
            for ours in ("greater", "less"):
                row[f"p {ours}"] = stats.binomtest(t, c + t, alternative=ours).pvalue
            if c and t and both + neither:
                row["tango"] = [tango(c, t, both + c + t + neither, sign) for sign in (1, -1)]
        yield row


def tango(c: int, t: int, n: int, sign: int) -> float:
    """An end of Tango's interval from its definition: the likelihood is maximised by its derivative."""

    def score(difference: float) -> float:
        least, most = max(0.0, -difference), (1 - difference) / 2

        def slope(q: float) -> float:
            return c / q + t / (q + difference) - 2 * (n - c - t) / (1 - 2 * q - difference)

        q = optimize.brentq(slope, least + 1e-13, most - 1e-13, xtol=1e-16)
        return float((t - c - n * difference) / math.sqrt(n * (2 * q + difference * (1 - difference))))

    seen = (t - c) / n
    bracket = (-1 + 1e-6, seen) if sign > 0 else (seen, 1 - 1e-6)
    return float(optimize.brentq(lambda d: score(d) - sign * stats.norm.isf(0.025), *bracket, xtol=1e-14))


MEANS = (
    (10.0, 3.0, 2, 12.0, 1.0, 2),
    (10.0, 3.0, 20, 12.0, 1.0, 5),
    (0.5, 0.5, 1_000, 0.52, 0.49, 1_200),
    (-3.0, 8.0, 50, -3.0, 8.0, 50),
    (1e-9, 1e-8, 400, 2e-9, 1e-9, 30),
    (1e6, 1e5, 10**6, 1.0001e6, 1.2e5, 10**6),
    (0.2, 0.4, 10**12, 0.200001, 0.4, 10**12),
    (5.0, 0.0, 10, 6.0, 2.0, 10),
)


def welch() -> Iterator[Row]:
    for m_c, s_c, n_c, m_t, s_t, n_t in MEANS:
        row: Row = {"means": [m_c, s_c, n_c, m_t, s_t, n_t]}
        for ours in ALTERNATIVES:
            t, p = stats.ttest_ind_from_stats(m_t, s_t, n_t, m_c, s_c, n_c, equal_var=False, alternative=ours)
            row |= {"t": t, f"p {ours}": p}
        yield row


def drawn(seed: int, *shape: int) -> Any:
    """Data with few digits, so that the file holds what was tested."""
    return np.round(np.random.default_rng(seed).lognormal(0.0, 0.8, shape), 3)


def data_tests() -> Iterator[Row]:
    """Welch and paired t from the values, with intervals."""
    for seed, n in enumerate((2, 3, 12, 60)):
        c, t = drawn(seed, n), drawn(seed + 50, n)
        row: Row = {"control": c.tolist(), "treatment": t.tolist()}
        for ours in ALTERNATIVES:
            welch, paired = (
                stats.ttest_ind(t, c, equal_var=False, alternative=ours),
                stats.ttest_rel(t, c, alternative=ours),
            )
            for name, found in (("welch", welch), ("paired", paired)):
                row[f"{name} {ours}"] = [found.statistic, found.pvalue, found.df, *found.confidence_interval(0.9)]
        yield row


def ranks() -> Iterator[Row]:
    library = loaded("statsmodels.stats.nonparametric")
    shapes = ((1, 1), (1, 5), (2, 3), (5, 5), (8, 40), (9, 30), (25, 60))
    for (seed, (n_c, n_t)), ties in itertools.product(enumerate(shapes), (False, True)):
        c, t = drawn(seed, n_c), drawn(seed + 90, n_t) + 0.4
        if ties:
            c, t = np.round(c), np.round(t)
        if len({*c, *t}) == 1:
            continue  # nothing to rank
        row: Row = {"control": c.tolist(), "treatment": t.tolist()}
        for ours in ALTERNATIVES:
            row[f"p {ours}"] = stats.mannwhitneyu(t, c, alternative=ours).pvalue
            plain = stats.mannwhitneyu(t, c, alternative=ours, method="asymptotic", use_continuity=False)
            row |= {f"plain p {ours}": plain.pvalue, "u": plain.statistic}
            if not ties:
                row[f"exact p {ours}"] = stats.mannwhitneyu(t, c, alternative=ours, method="exact").pvalue
        if min(n_c, n_t) > 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # arms that do not overlap have no df
                found = library.rank_compare_2indep(t, c)
            if found.var_prob > 0 and 0 < found.prob1 < 1:
                row["munzel"] = [found.prob1, found.var_prob, found.df]
        yield row


def quantiles() -> Iterator[Row]:
    for (seed, n), q, level in itertools.product(enumerate((1, 5, 40, 200)), (0.05, 0.5, 0.95), (0.5, 0.95, 0.999)):
        values = drawn(seed, n)
        found = stats.quantile_test(values, q=0, p=q).confidence_interval(level)
        estimate = np.quantile(values, q, method="inverted_cdf")
        row: Row = {"values": values.tolist(), "q": q, "level": level, "estimate": estimate}
        for name, end in (("low", found.low), ("high", found.high)):
            row[name] = None if math.isnan(end) else end
        yield row


def families() -> Iterator[Row]:
    library = loaded("statsmodels.stats.multitest")
    rng = np.random.default_rng(5)
    lists = [[0.02], [0.0, 1.0], [0.01, 0.01, 0.01], [0.049, 1e-300, 0.2, 0.02], rng.beta(0.4, 2, 30).round(6).tolist()]
    for p in lists:
        row: Row = {"p": p}
        for ours, theirs in (("bonferroni", "bonferroni"), ("holm", "holm"), ("benjamini_hochberg", "fdr_bh")):
            row[ours] = library.multipletests(p, method=theirs)[1].tolist()
        yield row


def fiellers() -> Iterator[Row]:
    """The bounded set by bisection of its definition, on each side of the ratio."""
    q = stats.norm.isf(0.025)
    for m_c, s_c, n_c, m_t, s_t, n_t in MEANS:
        v_c, v_t, ratio = s_c**2 / n_c, s_t**2 / n_t, m_t / m_c
        if m_c**2 > 1.2 * q * q * v_c:

            def gap(r: float, v: tuple[float, float] = (v_c, v_t), m: tuple[float, float] = (m_c, m_t)) -> float:
                return abs(m[1] - r * m[0]) - float(q) * math.sqrt(v[1] + r * r * v[0])

            ends = [optimize.brentq(gap, ratio + side, ratio, xtol=1e-14, rtol=1e-14) for side in (-300, 300)]
            yield {"means": [m_c, s_c, n_c, m_t, s_t, n_t], "interval": ends}


def gb_result(arms: list[Any], kind: str) -> Row:
    tests = loaded("gbstats.frequentist.tests")
    found = tests.TwoSidedTTest(*arms, tests.FrequentistConfig(difference_type=kind)).compute_result()
    return {"effect": found.expected, "p": found.p_value, "interval": list(found.ci)}


def gb_means() -> Iterator[Row]:
    library = loaded("gbstats.models.statistics")
    for m_c, s_c, n_c, m_t, s_t, n_t in MEANS[:5]:
        both = []
        for m, s, n in ((m_c, s_c, n_c), (m_t, s_t, n_t)):
            both.append(library.SampleMeanStatistic(n=n, sum=m * n, sum_squares=s * s * (n - 1) + m * m * n))
        for kind in ("absolute", "relative"):
            yield {"means": [m_c, s_c, n_c, m_t, s_t, n_t], "kind": kind, **gb_result(both, kind)}
    for x_c, n_c, x_t, n_t in ((120, 1000, 150, 1000), (3, 10, 8, 12), (10**6, 10**8, 1_002_000, 10**8)):
        both = [library.ProportionStatistic(n=n, sum=x) for x, n in ((x_c, n_c), (x_t, n_t))]
        rates = []
        for x, n in ((x_c, n_c), (x_t, n_t)):
            rates += [x / n, math.sqrt(x / n * (1 - x / n)), n]
        for kind in ("absolute", "relative"):
            yield {"means": rates, "kind": kind, **gb_result(both, kind)}


def moments(library: Any, values: Any) -> Any:
    return library.SampleMeanStatistic(n=len(values), sum=float(values.sum()), sum_squares=float((values**2).sum()))


def gb_pairs() -> Iterator[Row]:
    """CUPED and ratio metrics, from values of two columns."""
    library = loaded("gbstats.models.statistics")
    for seed, (n_c, n_t) in enumerate(((5, 4), (20, 30), (60, 60))):
        columns = [(drawn(seed, n_c), drawn(seed + 7, n_c)), (drawn(seed + 20, n_t), drawn(seed + 27, n_t))]
        columns = [(np.round(a + 0.7 * b, 3), b) for a, b in columns]
        adjusted, ratios = [], []
        for a, b in columns:
            product = float((a * b).sum())
            post, pre = moments(library, a), moments(library, b)
            adjusted.append(library.RegressionAdjustedStatistic(len(a), post, pre, product, 0.0))
            ratios.append(library.RatioStatistic(len(a), post, pre, product))
        yield {
            "control": [column.tolist() for column in columns[0]],
            "treatment": [column.tolist() for column in columns[1]],
            "theta": library.compute_theta(*adjusted),
            "cuped": gb_result(adjusted, "absolute"),
            "ratio": gb_result(ratios, "absolute"),
        }


def gb_clusters() -> Iterator[Row]:
    """The variance of the share of values up to a quantile, when values come in clusters."""
    library = loaded("gbstats.models.statistics")
    for seed, q in itertools.product(range(3), (0.5, 0.9)):
        rng = np.random.default_rng(seed)
        cluster = rng.integers(0, 25, 300)
        values = np.round(rng.lognormal(0, 0.5, 300) * (1 + cluster / 20), 4)
        cut = np.quantile(values, q, method="inverted_cdf")
        sizes, under = np.bincount(cluster, minlength=25), np.bincount(cluster[values <= cut], minlength=25)
        found = library.QuantileClusteredStatistic(
            300, 300, q, float(cut), 0.0, 1.0, float(under.sum()), float((under**2).sum()), float(sizes.sum()),
            float((sizes**2).sum()), float((under * sizes).sum()), 25,
        )  # fmt: skip
        yield {"values": values.tolist(), "clusters": cluster.tolist(), "q": q, "variance": found.get_cluster_variance}


TABLES = {
    "statsmodels": (z_tests, koopman_by_score, spotify_z, mcnemar, ranks, families),
    "scipy": (fisher_exactly, fisher_large, welch, data_tests, quantiles, fiellers),
    "gbstats": (gb_means, gb_pairs, gb_clusters),
}


def plain(value: Any) -> Any:
    """The value as JSON has it: what is infinite as a text, NaN refused."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        raise ValueError("an oracle that does not know is none: leave the case out")
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def main() -> None:
    found = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"versions": {}}
    for library, makers in TABLES.items():
        if not importlib.util.find_spec(library) or (
            library == "scipy" and not importlib.util.find_spec("statsmodels")
        ):
            continue
        for name in (library, "numpy", *(("spotify-confidence",) if library == "statsmodels" else ())):
            found["versions"].setdefault(library, {})[name] = importlib.metadata.version(name)
        for maker in makers:
            found[maker.__name__] = [plain(row) for row in maker()]
    lines = [f'"versions": {json.dumps(found["versions"])}']
    for name in sorted(set(found) - {"versions"}):
        table = ",\n".join(json.dumps(row) for row in found[name])
        lines.append(f'"{name}": [\n{table}\n]')
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
