"""Whom a limit counts, and under which counter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.live.counting import counter_name, counts, rule_name, split_words
from tidegate.live.snapshot import LimitRule


@pytest.mark.parametrize(
    ("match", "words", "counted"),
    [
        ({}, {}, True),
        ({"team": "support"}, {"team": "support"}, True),
        ({"team": "support"}, {"team": "sales"}, False),
        ({"team": "support"}, {}, False),
        ({"team": "*"}, {"team": "sales"}, True),
        ({"team": "*"}, {}, False),
        ({"model": "gpt"}, {"model": "gpt"}, True),
        ({"model": "gpt"}, {"model": "gpt:legal"}, True),
        ({"model": "gpt"}, {"model": "gpt-mini"}, False),
        ({"model": "gpt:legal"}, {"model": "gpt:legal"}, True),
        ({"model": "gpt:legal"}, {"model": "gpt"}, False),
        ({"team": "a"}, {"team": "a:b"}, False),
    ],
)
def test_whom_a_rule_counts(match: dict[str, str], words: dict[str, str], counted: bool) -> None:
    assert counts(LimitRule(name="r", unit="requests", cap=1, match=match), words) is counted


WORDS = st.dictionaries(st.text(min_size=1, max_size=6), st.text(max_size=6), max_size=4)


@given(
    st.sampled_from(["a.b-c", "shadow/gpt"]), WORDS, st.lists(st.text(min_size=1, max_size=6), max_size=3, unique=True)
)
def test_a_counters_name_keeps_its_rule_and_its_words(name: str, words: dict[str, str], each: list[str]) -> None:
    rule = LimitRule(name=name, unit="requests", cap=1, per="day", each=tuple(each))
    counter = counter_name(rule, words)
    assert rule_name(counter) == name
    assert split_words(counter) == {word: words.get(word, "") for word in each}


@given(WORDS, WORDS)
def test_two_calls_share_a_counter_only_if_they_share_the_words(one: dict[str, str], other: dict[str, str]) -> None:
    rule = LimitRule(name="r", unit="requests", cap=1, per="day", each=("a", "b"))
    same = all(one.get(word, "") == other.get(word, "") for word in rule.each)
    assert (counter_name(rule, one) == counter_name(rule, other)) == same
