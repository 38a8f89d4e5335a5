"""Plain words: units, lists and times as people say them, and names that cannot do harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.kernel.plain import (
    count_of,
    date_text,
    days_text,
    joined,
    plain,
    plural,
    singular,
    time_text,
)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (0.0001, "less than a minute"),
        (0.01, "14 minutes"),
        (0.42, "10 hours"),
        (0.06, "1.4 hours"),
        (1.0, "1 day"),
        (2.5, "2.5 days"),
        (6.2, "6 days"),
        (400.0, "400 days"),
        (5000.0, "14 years"),
        (None, "an unknown time"),
        (float("nan"), "an unknown time"),
        (-1.0, "an unknown time"),
    ],
)
def test_days_are_said_roughly(days: float | None, said: str) -> None:
    assert days_text(days) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (90, "90 seconds"),
        (60, "1 minute"),
        (300, "5 minutes"),
        (5400, "90 minutes"),
        (604_800, "7 days"),
        (0, "0 seconds"),
    ],
)
def test_times_that_were_chosen_are_said_exactly(seconds: int, said: str) -> None:
    assert time_text(seconds) == said


def test_units_have_a_plural() -> None:
    assert [plural(unit) for unit in ("user", "tag:session", "query", "day", "box")] == [
        "users", "sessions", "queries", "days", "boxes"
    ]  # fmt: skip
    assert singular("tag:session") == "session"
    assert [count_of(1, "user"), count_of(14_745, "user")] == ["1 user", "14,745 users"]


def test_lists_end_in_and() -> None:
    assert [joined(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_dates_are_in_utc_and_never_fail() -> None:
    assert date_text(1_795_000_000_000) == "2026-11-18 11:06 UTC"
    assert [date_text(one) for one in (None, -1, 10**18)] == ["unknown"] * 3


@given(st.text())
def test_any_name_is_one_printable_line(name: str) -> None:
    said = plain(name)
    assert said.isprintable()
    assert said == said.strip() != ""
    assert plain(said) == said
