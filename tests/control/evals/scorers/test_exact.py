"""Facts of an answer: what each scorer says yes and no to, and what it says when it cannot tell."""

from typing import Any

import pytest

from tests.control.evals.scorers.samples import sample
from tidegate.control.evals.model import Score
from tidegate.control.evals.scorers.base import Tools
from tidegate.control.evals.scorers.registry import scorer_named
from tidegate.kernel.errors import Invalid, NotFound

TOOLS = Tools(schema={"type": "object", "required": ["city"]})

GOOD = [
    ("exact", " Paris\n", "Paris"),
    ("exact", "b", ["a", "b"]),
    ({"exact": {"ignore_case": True}}, "PARIS", "paris"),
    ("contains", "It is Paris.", "Paris"),
    ("contains:Paris", "It is Paris.", None),
    ({"contains": {"all": ["a", "b"]}}, "b a", None),
    ({"contains": {"any": ["yes", "no"]}}, "no", None),
    ({"contains": {"none": ["cat"], "whole_words": True}}, "concatenate", None),
    ("starts_with:Thanks", "  Thanks a lot", None),
    ("regex:^\\d+$", "42", None),
    ({"regex": {"pattern": "sorry", "absent": True}}, "Of course.", None),
    ({"regex": {"pattern": "[a-z]+", "whole": True}}, "word", None),
    ("json_schema", '{"city": "Paris"}', None),
    ({"json_schema": {"type": "array"}}, "[1]", None),
    ({"json_schema": {"fenced": True}}, '```json\n{"city": 1}\n```', None),
    ("numeric", "It costs 1,234.50 euros.", "1234.5"),
    ("numeric:12", "12%", None),
    ({"numeric": {"value": 100, "relative": 0.01}}, "about 101", None),
    ({"numeric": {"value": 3, "which": "any"}}, "3 of 10", None),
    ({"numeric": {"value": -2.5}}, "minus: -2.5", None),
    ("length:3", "one two three", None),
    ({"length": {"min": 2, "unit": "lines"}}, "a\nb", None),
    ("latency:2000", "x", None),
    ("cost:0.01", "x", None),
]
BAD = [
    ("exact", "paris", "Paris"),
    ("contains", "It is Rome.", "Paris"),
    ({"contains": {"all": ["a", "z"]}}, "b a", None),
    ({"contains": {"none": ["cat"]}}, "concatenate", None),
    ("starts_with:Thanks", "No thanks", None),
    ("regex:^\\d+$", "42 apples", None),
    ({"regex": {"pattern": "[a-z]+", "whole": True}}, "two words", None),
    ("json_schema", "not JSON", None),
    ("json_schema", '{"town": 1}', None),
    ("json_schema", '```json\n{"city": 1}\n```', None),
    ("numeric", "none", "5"),
    ("numeric:10", "3 of 11", None),
    ("length:2", "one two three", None),
    ("latency:10", "x", None),
    ("cost:0.0001", "x", None),
]


async def scored(said: Any, answer: str, expected: Any) -> Score:
    return await scorer_named(said, TOOLS).score(sample(answer, expected, latency_ms=120.0, cost_nano_usd=2_000_000))


@pytest.mark.parametrize(("said", "answer", "expected"), GOOD)
async def test_passes(said: Any, answer: str, expected: Any) -> None:
    found = await scored(said, answer, expected)
    assert found.passed is True, found
    assert found.error is None


@pytest.mark.parametrize(("said", "answer", "expected"), BAD)
async def test_fails_and_says_why(said: Any, answer: str, expected: Any) -> None:
    found = await scored(said, answer, expected)
    assert found.passed is False
    assert found.why


@pytest.mark.parametrize("said", ["exact", "contains", "starts_with", "regex", "numeric"])
async def test_without_anything_to_compare_with_there_is_no_score(said: str) -> None:
    found = await scored(said, "x", None)
    assert (found.value, found.passed, found.error) == (None, None, "nothing_expected")


async def test_what_is_unknown_is_no_score() -> None:
    found = await scorer_named("cost:1", TOOLS).score(sample("x", None))
    assert (found.value, found.error) == (None, "unknown_value")


async def test_without_a_limit_a_measure_has_a_value_and_no_verdict() -> None:
    found = await scored("latency", "x", None)
    assert (found.value, found.passed) == (120.0, None)


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"contains": {"every": 1}}, "every"),
        ("numeric:x", "'x' is no number"),
        ({"regex": "("}, "no pattern"),
        ({"json_schema": {"type": "nothing"}}, "schema"),
        ("exact@9.9.9", "1.0.0"),
        ({"exact": {}, "contains": {}}, "one scorer"),
        ("python:score.py:f", "names no function"),
        ("faithfulness_judge:gpt", "asks the model"),
        ("judge:is it good?", "no model"),
    ],
)
def test_settings_that_do_not_fit_name_the_mend(said: Any, word: str) -> None:
    with pytest.raises(Invalid, match=word) as caught:
        scorer_named(said, Tools())
    assert caught.value.mend


def test_a_wrong_name_offers_the_nearest() -> None:
    with pytest.raises(NotFound) as caught:
        scorer_named("contians", Tools())
    assert "contains" in caught.value.mend
