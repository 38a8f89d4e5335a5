"""`bench.statistics`: its verdicts, its naive rules, and that a small run of each kind ends in a whole report."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from bench.statistics import assignment, bandits, clusters, speed
from bench.statistics.__main__ import as_json, as_text, main, status
from bench.statistics.findings import Found, Scale, likely, no_less, no_more, percent, plain, summary
from bench.statistics.naive import RULES, stratified_z
from bench.statistics.plan import LOOKS, MINUTES, N_C, N_T, first
from bench.statistics.sections import Outcome, section
from tidegate.stats.sequential.rates import RateWindow

TINY = Scale(0.001)
UNITS = re.compile(
    r"(percent|minutes|_s|_ms|successes|units|runs|looks|ids|share|ratio|errors|p|P95|served|correlation|arm|metrics"
    r"|moved_otherwise)$"
)


def outcome(found: Found | None) -> Outcome:
    return Outcome(found, "" if found else "broke", 1, 0.1)


def test_a_goal_is_met_missed_or_unknown_and_the_report_says_which() -> None:
    goals = [no_more("x", 1.0, 1.0), no_more("y", 1.01, 1.0), no_less("z", math.nan, 80.0), no_less("w", 79.9, 80.0)]

    assert [one.verdict for one in goals] == ["met", "missed", "unknown", "missed"]
    assert goals[2].figure is None
    lines = summary(goals).splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["met", "missed", "unknown", "missed"]


def test_a_promise_about_chance_is_missed_only_beyond_what_chance_explains() -> None:
    room = 3 * math.sqrt(5 * 95 / 10_000)

    assert no_more("x", 5 + room - 0.01, 5.0, runs=10_000).met is True
    assert no_more("x", 5 + room + 0.01, 5.0, runs=10_000).met is False
    assert no_less("x", 95 - room - 0.01, 95.0, runs=10_000).met is False


def test_a_figure_near_its_goal_is_shown_with_its_standard_error() -> None:
    happened = np.arange(10_000) < 100
    goal = likely(no_more("x", percent(happened), 1.0), happened)

    assert goal.error == pytest.approx(0.0995, abs=1e-4)
    assert "1 +- 0.099 %" in summary([goal])
    assert as_json({"a": outcome(Found([goal], {}))}, quick=False, wall_s=1.0)["goals"][0]["standard_error"] > 0


def test_only_a_run_without_any_figure_is_no_success() -> None:
    fine, missed = outcome(Found([no_more("x", 2.0, 1.0)], {})), outcome(None)

    assert status({"a": fine}) == 0
    assert status({"a": fine, "b": missed}) == 1
    assert status({"b": missed}) == 2
    assert "1 missed" in as_text({"a": fine}, quick=False, wall_s=1.0)
    assert "broke" in as_text({"b": missed}, quick=True, wall_s=1.0)


def rollout(bad: dict[int, tuple[int, int]]) -> RateWindow:
    """10 errors of the control and as many a unit of the candidate, but in the windows named: (control, candidate)."""
    events_c, events_t = np.rint(N_C * 0.02), np.rint(N_T * 0.02)
    for at, (c, t) in bad.items():
        events_c[at], events_t[at] = c, t
    return RateWindow(events_c[None], N_C, events_t[None], N_T)


def test_each_naive_rule_fires_at_the_look_that_its_name_says() -> None:
    calm = rollout({})
    assert not any(rule(calm).any() for name, rule in RULES.items() if not name.startswith("N0"))

    once, thrice, five = (rollout({20 + at: (10, 30) for at in range(windows)}) for windows in (1, 3, 5))
    looks = {name[:2]: [int(first(rule(seen)).looks[0]) if first(rule(seen)).ever[0] else None
                        for seen in (once, thrice, five)] for name, rule in RULES.items()}  # fmt: skip
    assert looks["N1"] == [21, 21, 21]
    assert looks["N2"] == [21, 21, 21]
    assert looks["N5"] == [None, 23, 23]
    assert looks["N6"] == [None, None, 25]
    assert looks["N4"][0] is None
    assert looks["N8"] == [None, None, 24]


def test_an_error_in_the_candidate_alone_is_an_infinite_ratio() -> None:
    seen = rollout({0: (0, 1)})
    assert RULES["N1 window > 1.5 x control"](seen)[0, 0]
    assert not RULES["N2 the same, from 100 units on"](seen)[0, 0]


def test_the_stratified_z_has_a_spread_of_one_where_nothing_differs() -> None:
    random = np.random.default_rng(1)
    seen = RateWindow(random.binomial(N_C, 0.05, (4000, LOOKS)), N_C, random.binomial(N_T, 0.05, (4000, LOOKS)), N_T)
    assert stratified_z(seen)[:, -1].std() == pytest.approx(1.0, abs=0.06)
    nothing = RateWindow(np.zeros((1, LOOKS)), N_C, np.zeros((1, LOOKS)), N_T)
    assert not stratified_z(nothing).any()


def test_a_rule_that_never_fires_serves_the_whole_rollout() -> None:
    never = first(np.zeros((2, LOOKS), dtype=bool))
    assert not never.ever.any()
    assert math.isnan(never.median_looks * MINUTES)
    assert never.served.tolist() == [15_150, 15_150]


def test_chances_on_the_grid_are_the_exact_ones() -> None:
    assert bandits.grid_error() < 1e-3
    assert bandits.chances(np.zeros((1, 4)), np.zeros((1, 4))) == pytest.approx(np.full((1, 4), 0.25), abs=1e-6)


def test_a_call_in_a_failed_session_is_counted_once_by_session_and_each_time_by_call() -> None:
    by_call, by_session = clusters.rollouts(np.random.default_rng(2), 1.0, 50)
    assert np.array_equal(by_call.events_t, 5 * by_session.events_t)
    part_call, part_session = clusters.rollouts(np.random.default_rng(3), 0.5, 50)
    assert np.all(part_call.events_t >= part_session.events_t)
    mean = part_call.events_c.sum() / part_session.events_c.sum()
    assert mean == pytest.approx(2.5 / (1 - 0.5**5), rel=0.05)


@pytest.mark.parametrize("name", ["clusters", "assignment"])
def test_a_small_run_ends_in_a_report_of_plain_numbers_with_units(name: str) -> None:
    module = {"clusters": clusters, "assignment": assignment}[name]
    found = module.measure(TINY, lambda _: None)

    report = as_json({name: outcome(found)}, quick=True, wall_s=1.0)

    json.dumps(report, allow_nan=False)
    assert all(goal["verdict"] == "met" for goal in report["goals"])
    for rows in report["sections"][name]["tables"].values():
        for row in rows:
            for key, value in row.items():
                assert isinstance(value, str | bool) or value is None or UNITS.search(key), key


def test_what_a_missing_library_would_say_is_null(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_HOME", str(tmp_path))
    assert set(speed.peer("gbstats", 3).values()) == {None}


def test_a_section_that_breaks_says_why_and_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(scale: Scale, say: object) -> Found:
        raise ZeroDivisionError("no arms")

    monkeypatch.setattr(speed, "measure", broken)
    told = section("speed", quick=True)
    assert told.found is None
    assert "no arms" in told.failure


def test_an_unknown_section_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "astrology"])
    assert "astrology" in capsys.readouterr().err


def test_json_has_six_digits_and_null_for_what_is_unknown() -> None:
    assert plain({"a": 1.23456789, "b": math.nan, "c": (np.float64(math.inf), True)}) == {
        "a": 1.23457, "b": None, "c": [None, True],
    }  # fmt: skip
