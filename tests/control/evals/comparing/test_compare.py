"""Two runs, or one: findings, what was left out, and a verdict that is never better than what is known."""

import msgspec
import pytest

from tests.support.evalruns import EXACT, FAITHFULNESS, SHAKY, manifest, outcomes, results
from tidegate.control.evals.comparing.bounds import DEFAULTS
from tidegate.control.evals.comparing.compare import compare, verdict_of
from tidegate.control.evals.model import Bound, Score
from tidegate.kernel.errors import Conflict

BASE = [at % 40 != 0 for at in range(500)]
"""97.5% pass."""
WORSE = [passed and at % 16 != 1 for at, passed in enumerate(BASE)]


def run(passes, version="2.1.0", seed=1, **more):
    answers = {name: more.pop(name) for name in ("faithfulness", "cost_nano_usd", "latency_ms") if name in more}
    return results(manifest(version, len(passes), **more), outcomes(passes, seed=seed, **answers))


def found(comparison, metric, kind):
    return next(one for one in comparison.findings if (one.bound.metric, one.bound.kind) == (metric, kind))


def test_a_good_candidate_passes():
    comparison = compare(DEFAULTS, run(BASE), run(BASE, "2.0.0", seed=2))
    verdict = verdict_of(comparison)
    assert (verdict.answer, verdict.why) == ("pass", "All 6 rules hold.")
    assert (verdict.version, verdict.baseline_version) == ("2.1.0", "2.0.0")


def test_a_worse_candidate_is_blocked_and_told_why():
    comparison = compare(DEFAULTS, run(WORSE), run(BASE, "2.0.0"))
    verdict = verdict_of(comparison)
    assert verdict.answer == "block"
    assert "points lower" in verdict.why
    assert (comparison.regressed, comparison.improved) == (sum(a != b for a, b in zip(BASE, WORSE, strict=True)), 0)
    assert comparison.findings[0].answer == "block"


def test_a_dearer_candidate_warns():
    verdict = verdict_of(compare(DEFAULTS, run(BASE, cost_nano_usd=600_000), run(BASE, "2.0.0")))
    assert verdict.answer == "warn"
    assert "Cost per query" in verdict.why


def test_what_is_not_known_is_no_pass():
    few = [True] * 30
    verdict = verdict_of(compare(DEFAULTS, run(few), run(few, "2.0.0")))
    assert verdict.answer == "inconclusive"
    assert "more cases are needed" in verdict.why


def test_without_a_baseline_its_rules_are_left_out_and_named():
    comparison = compare(DEFAULTS, run(BASE), None)
    assert [one.bound.kind for one in comparison.findings] == ["most", "least"]
    assert "there is no baseline" in comparison.unjudged[0]


def test_a_default_on_what_nobody_measured_is_left_out_but_an_own_rule_stays_open():
    def unscored(version):
        answers = [msgspec.structs.replace(one, cost_nano_usd=None) for one in outcomes(BASE)]
        return results(manifest(version), answers)

    default = compare(DEFAULTS, unscored("2.1.0"), unscored("2.0.0"))
    assert any("cost per query" in one for one in default.unjudged)
    own = Bound(metric="cost_usd", kind="ratio", margin=1.5, better="lower")
    verdict = verdict_of(compare((own,), unscored("2.1.0"), unscored("2.0.0")))
    assert verdict.answer == "inconclusive"
    assert "no case has a cost per query" in verdict.why


def test_a_scorer_that_is_not_calibrated_warns_and_says_so():
    uses = (EXACT, msgspec.structs.replace(FAITHFULNESS, quality=()))
    comparison = compare(DEFAULTS, run(BASE, scorers=uses, faithfulness=0.8), run(BASE, "2.0.0", scorers=uses))
    finding = found(comparison, "faithfulness", "drop")
    assert (finding.answer, finding.weakened) == ("warn", True)
    assert "may only warn" in finding.why
    assert verdict_of(comparison).answer == "warn"


def test_an_uncalibrated_scorer_does_not_disarm_the_others():
    """Passing is judged twice: over all scorers (which may warn), and over those that state facts (which may block)."""

    def both(passes, version):
        answers = outcomes(passes)
        for one in answers:
            one.scores["relevance"] = Score(value=1.0, passed=True)
        return results(manifest(version, scorers=(EXACT, SHAKY)), answers)

    comparison = compare(DEFAULTS, both(WORSE, "2.1.0"), both(BASE, "2.0.0"))
    assert found(comparison, "pass_rate", "drop").answer == "warn"
    assert found(comparison, "firm_pass_rate", "drop").answer == "block"
    assert verdict_of(comparison).answer == "block"


def test_scores_of_two_versions_of_a_scorer_are_not_compared():
    newer = (EXACT, msgspec.structs.replace(FAITHFULNESS, version="1.1.0"))
    finding = found(compare(DEFAULTS, run(BASE, scorers=newer), run(BASE, "2.0.0")), "faithfulness", "drop")
    assert finding.answer == "inconclusive"
    assert "1.1.0 in one run and 1.0.0 in the other" in finding.why


def test_a_run_that_did_not_end_is_no_pass():
    verdict = verdict_of(compare(DEFAULTS, run(BASE, state="partial", why="max_cost"), run(BASE, "2.0.0")))
    assert verdict.answer == "inconclusive"
    assert "has not ended (max_cost)" in verdict.why


def test_no_rule_is_no_pass():
    assert verdict_of(compare((), run(BASE), None)).answer == "inconclusive"


def test_runs_without_a_common_case_are_refused():
    other = [msgspec.structs.replace(one, case_id=f"other {one.case_id}") for one in outcomes(BASE)]
    with pytest.raises(Conflict, match="no case in common"):
        compare(DEFAULTS, run(BASE), results(manifest("2.0.0"), other))


def test_another_dataset_is_told():
    comparison = compare(DEFAULTS, run(BASE), run(BASE[:400], "2.0.0", dataset_sha256="e" * 64))
    assert "400 of 500 cases" in comparison.notes[0]


def test_groups_make_an_answer_less_sure():
    groups = {f"case-{at:04d}": f"document {at // 50}" for at in range(500)}
    alone = compare(DEFAULTS, run(BASE), run(BASE, "2.0.0", seed=2))
    ours = results(manifest(), outcomes(BASE), groups)
    theirs = results(manifest("2.0.0"), outcomes(BASE, seed=2), groups)
    assert found(alone, "pass_rate", "drop").answer == "pass"
    assert found(compare(DEFAULTS, ours, theirs), "pass_rate", "drop").answer == "inconclusive"
