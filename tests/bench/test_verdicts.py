"""What the benches call wrong: their exit status is the verdict."""

from collections import Counter
from pathlib import Path

import pytest

from bench.budgets import is_wrong
from bench.gateway.load import Endpoint
from bench.gateway.targets import Start
from bench.shadow import Turn, difference_ms, failure, verdict
from bench.soak import Looked, slope, verdicts

ROW = {"overspend_usd": 0.0, "max_settled_plus_held_usd": 1.0, "errors_unexpected": 0}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, False),
        ({"overspend_usd": 0.000001}, True),
        ({"max_settled_plus_held_usd": 1.000000001}, True),
        ({"errors_unexpected": 1}, True),
    ],
)
def test_a_budget_row_is_wrong_when_overspent_or_when_an_error_came_from_nowhere(
    change: dict[str, float], wrong: bool
) -> None:
    assert is_wrong({**ROW, **change}) is wrong


def test_a_shadow_that_adds_two_milliseconds_to_each_call_is_missed_and_noise_is_not() -> None:
    calm = [Turn(took_ms=[1.0 + 0.001 * number for number in range(200)]) for _ in range(10)]
    slow = [Turn(took_ms=[value + 2.0 for value in one.took_ms]) for one in calm]

    added, low, high = difference_ms(slow, calm, 0.99)

    assert (added, low, high) == pytest.approx((2.0, 2.0, 2.0))
    assert verdict(low, high) == "missed"
    assert verdict(*difference_ms(list(calm), calm, 0.99)[1:]) == "met"
    assert verdict(0.2, 1.5) == "undecided"


def test_a_shadow_run_in_which_nothing_was_copied_or_a_call_failed_says_nothing() -> None:
    assert failure("mirrored", 10_000, 0, {"sent": 500}) == ""
    assert failure("mirrored", 10_000, 0, {"sent": 100}) != ""
    assert failure("spent", 10_000, 0, {"sent": 500}) != ""
    assert failure("without", 10_000, 1, {}) != ""


def looks(kb_for_each_request: float, files: int = 80) -> list[Looked]:
    """Twenty looks at a gateway that keeps so much of each request."""
    sizes = [(made, int(50_000 + kb_for_each_request * made)) for made in range(50_000, 1_000_001, 50_000)]
    return [Looked(made, 1.0, size, size, size, files, 5, 0.0) for made, size in sizes]


def test_a_soak_finds_a_leak_of_ten_bytes_a_request_a_lost_record_and_a_wrong_answer() -> None:
    fine = verdicts(looks(0.0), Counter({"whole 200": 1_000_000}), 1_000_000, 1_000_000)
    leaking = verdicts(looks(0.01), Counter({"whole 500 WRONG": 1}), 999_999, 1_000_000)

    assert not [what for what, one in fine.items() if one["ok"] is False]
    assert {what for what, one in leaking.items() if one["ok"] is False} == {
        "answers not as expected", "records stored", "rss_kb per 100,000 requests", "anonymous_kb per 100,000 requests",
    }  # fmt: skip


def test_the_slope_of_a_line_is_its_rise_for_each_hundred_thousand() -> None:
    assert slope([(x, 7.0 + x / 1000) for x in range(0, 500_000, 50_000)]) == pytest.approx((100.0, 0.0), abs=1e-6)


def test_a_target_that_chooses_its_port_is_found_where_its_file_says(tmp_path: Path) -> None:
    start = Start(Endpoint(1), url_file=tmp_path / "url")
    assert start.located() is start

    (tmp_path / "url").write_text("http://127.0.0.1:4711/openai/v1/chat/completions")

    assert (start.located().endpoint.port, start.located().endpoint.path) == (4711, "/openai/v1/chat/completions")
