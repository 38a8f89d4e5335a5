"""Cursors, filters and lives as values."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.monitoring.model import (
    HOUR_MS,
    CallFilter,
    Cursor,
    Life,
    decode_cursor,
    encode_cursor,
    next_cursor,
    starting_points,
    unborn_gaps,
)
from tidegate.kernel.errors import Invalid
from tidegate.kernel.ids import IdSource

NOW = 1_800_000_000_000


def life(gateway: str, last_seq: int, last_ms: int, *, first_seq: int = 1, first_ms: int = NOW - HOUR_MS) -> Life:
    return Life(gateway_id=gateway, first_seq=first_seq, first_ms=first_ms, last_seq=last_seq, last_ms=last_ms)


@given(st.dictionaries(st.text(min_size=1, max_size=40), st.integers(0, 2**53), max_size=20), st.integers(0, 2**53))
def test_a_cursor_comes_back_as_it_went(seen: dict[str, int], at_ms: int) -> None:
    text = encode_cursor(Cursor(at_ms, seen))
    assert decode_cursor(text) == Cursor(at_ms, seen)
    assert text.isascii()
    assert not set(text) & set("+/=&? ")


@given(st.text(max_size=200))
def test_anything_else_is_refused_as_a_cursor(text: str) -> None:
    with suppress(Invalid):
        assert encode_cursor(decode_cursor(text))


def test_a_huge_cursor_is_refused_before_it_is_read() -> None:
    with pytest.raises(Invalid):
        decode_cursor("A" * 100_000)


def test_a_follower_reads_on_where_each_gateway_was_left() -> None:
    cursor = next_cursor((life("a", 10, NOW), life("old", 5, NOW - 2 * HOUR_MS)), NOW)
    now = (life("a", 12, NOW), life("b", 3, NOW), life("old", 5, NOW - 2 * HOUR_MS))
    assert starting_points(cursor, now) == (("a", 10, 0), ("b", 0, NOW - HOUR_MS))


def test_a_gateway_that_was_idle_for_hours_shows_only_what_is_new() -> None:
    cursor = next_cursor((life("idle", 5, NOW - 3 * HOUR_MS),), NOW)
    assert starting_points(cursor, (life("idle", 6, NOW + 1),)) == (("idle", 0, NOW - HOUR_MS),)


def test_a_gateway_with_too_much_to_say_is_read_on_later() -> None:
    assert next_cursor((life("a", 5000, NOW),), NOW, {"a": 1000}).seen == {"a": 1000}


def test_the_first_records_of_a_young_life_are_missed_but_not_those_that_retention_took() -> None:
    ids = IdSource("gw")
    old, young = ids.next(NOW - 99 * HOUR_MS), ids.next(NOW - HOUR_MS)
    pruned = life(old, 100, NOW, first_seq=60, first_ms=NOW - 24 * HOUR_MS)
    idle = life(ids.next(NOW - 98 * HOUR_MS), 3, NOW, first_seq=3, first_ms=NOW)
    gaps = unborn_gaps((pruned, idle, life(young, 30, NOW, first_seq=11, first_ms=NOW - HOUR_MS)))
    assert [(gap.gateway_id, gap.first, gap.last, gap.lost) for gap in gaps] == [(young, 1, 10, 10)]


@pytest.mark.parametrize("field", [{"ending": "exploded"}, {"limit": 0}, {"limit": 1001}])
def test_a_filter_refuses_what_makes_no_sense(field: dict[str, int]) -> None:
    with pytest.raises(Invalid) as caught:
        CallFilter(**field)  # type: ignore[arg-type]
    assert caught.value.param in field
