"""Each filter and operator, given what it does not take: an error of the caller that says what it takes."""

import pytest

from tests.templates.prompts import compiled, version
from tidegate.kernel.errors import InvalidVariables
from tidegate.templates.compile import check_template, compile_prompt


@pytest.mark.parametrize(
    ("text", "value", "said"),
    [
        ("{{ a | join }}", "text", "`join` takes a list, not text"),
        ("{{ a | abs }}", "text", "`abs` takes a number, not text"),
        ("{{ a | truncate(2) }}", "text", "a length that is not shorter than its end"),
        ("{{ a | length }}", 5, "`length` takes text, a list or a map"),
        ("{{ a | first }}", [], "`first` of an empty list"),
        ("{{ a | last }}", [], "`last` of an empty list"),
        ("{{ a | sort(attribute='x') }}", [{"y": 1}], "`sort` finds no 'x'"),
        ("{{ a | unique }}", [[1]], "`unique` takes a list of text or numbers"),
        ("{{ a | items }}", [1], "`items` takes a map, not a list"),
        ("{{ 1.5 | round(a) }}", 99, "`round` takes 0 to 15 digits"),
        ("{{ a | replace('x', 5) }}", "x", "`replace` takes text, not a number"),
        ("{{ -a }}", "text", "`-` takes a number, not text"),
        ("{{ 1 in a }}", 5, "`in` looks into text, a list or a map, not a number"),
        ("{{ a.x.y }}", {}, "a map has no 'x'"),
        ("{{ a | sort }}", [1, "x"], "only text or only numbers"),
        ("{{ 'x' in a }}", {"x": 1}, ""),
    ],
)
def test_what_a_filter_or_operator_does_not_take(text: str, value: object, said: str) -> None:
    prompt = compiled(text, "a")
    if not said:
        assert prompt.render({"a": value}).text == "true"
        return
    with pytest.raises(InvalidVariables) as raised:
        prompt.render({"a": value})
    assert said in raised.value.message


@pytest.mark.parametrize("value", [{1: "x"}, {"x": {2: "y"}}, {"\ud800": 1}, [{"x": [float("inf")]}]])
def test_values_that_json_cannot_hold_are_refused_at_any_depth(value: object) -> None:
    with pytest.raises(InvalidVariables, match="`a` h"):
        compiled("{{ a }}", "a").render({"a": value})


def test_rules_between_variables_are_told_too() -> None:
    params: dict[str, object] = {
        "type": "object",
        "properties": {"a": {}, "b": {}},
        "dependentRequired": {"a": ["b"]},
        "maxProperties": 1,
    }
    prompt = compile_prompt(version("{{ a | default('') }}{{ b | default('') }}", params=params))
    with pytest.raises(InvalidVariables, match="together they break a rule"):
        prompt.render({"a": "x", "b": "y"})
    with pytest.raises(InvalidVariables, match="misses 'b'"):
        prompt.render({"a": "x"})


@pytest.mark.parametrize("template_format", ["plain", "jinja2-sandboxed"])
def test_a_template_over_the_size_is_refused(template_format: str) -> None:
    faults = check_template("x" * (256 * 1024 + 1), template_format).faults
    assert [fault.code for fault in faults] == ["template_too_large"]


def test_two_faults_on_one_line_of_a_plain_template_are_told_once() -> None:
    faults = check_template("{{ a b }} {{ c d }}\n{{ e.f }}", "plain").faults
    assert [fault.line for fault in faults] == [1, 2]
