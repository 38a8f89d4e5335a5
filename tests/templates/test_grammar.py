"""What prompt templates can do, by example."""

from pathlib import Path

import pytest

from tests.templates.prompts import compiled
from tidegate.templates.compile import FORMATS, check_template
from tidegate.templates.filters import FILTERS, TESTS

DOCS = [{"title": "Tides", "pages": 12}, {"title": "Gates", "pages": 3}]


@pytest.mark.parametrize(
    ("text", "variables", "rendered"),
    [
        ("{{ a.b.c }}/{{ a['b']['c'] }}/{{ b[0] }}/{{ b[-1] }}", {"a": {"b": {"c": 1}}, "b": [5, 6]}, "1/1/5/6"),
        ("{{ a.items }} {{ a.keys }} {{ a.get }}", {"a": {"items": 1, "keys": 2, "get": 3}}, "1 2 3"),
        ("{{ a[b] }}", {"a": {"x": "found"}, "b": "x"}, "found"),
        ("{% if a %}yes{% elif b %}maybe{% else %}no{% endif %}", {"a": "", "b": 0}, "no"),
        ("{% if a is defined %}{{ a }}{% else %}none{% endif %}", {}, "none"),
        ("{% if a is not none and a is string %}text{% endif %}", {"a": "x"}, "text"),
        ("{{ a | default('nothing') }}", {}, "nothing"),
        ("{{ a | default('nothing', true) }}", {"a": ""}, "nothing"),
        ("{{ 'many' if a > 3 else 'few' }}", {"a": 4}, "many"),
        ("{{ a + 1 }} {{ a * 2 - 1 }} {{ a / 2 }} {{ a // 2 }} {{ a % 2 }} {{ -a }}", {"a": 5}, "6 9 2.5 2 1 -5"),
        ("{{ a ~ '-' ~ b }}", {"a": "x", "b": 1}, "x-1"),
        ("{{ 'x' in a }} {{ 'y' not in a }} {{ a in ['x', 'z'] }}", {"a": "x"}, "true true true"),
        ("{{ 1 < a <= 3 }} {{ a == 2 }} {{ a != 2 }}", {"a": 2}, "true true false"),
        ("{% set n = a | length %}{{ n }}", {"a": [1, 2, 3]}, "3"),
        ("{% for k, v in a | items %}{{ k }}={{ v }};{% endfor %}", {"a": {"x": 1, "y": 2}}, "x=1;y=2;"),
        ("{% for k, v in a | dictsort %}{{ k }}{% endfor %}", {"a": {"y": 1, "x": 2}}, "xy"),
        ("{% for k in a %}{{ k }}{% endfor %}", {"a": {"x": 1}}, "x"),
        ("{% for x in a if x > 1 %}{{ x }}{% else %}none{% endfor %}", {"a": [1]}, "none"),
        (
            "{% for x in a %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last else '' }}{% endfor %}",
            {"a": ["", "y"]},
            "1/2,2/2",
        ),
        ("{% for x in a | sort(attribute='pages') %}{{ x.title }} {% endfor %}", {"a": DOCS}, "Gates Tides "),
        ("{% for x in a | sort(true) | unique %}{{ x }}{% endfor %}", {"a": [1, 3, 1]}, "31"),
        ("{{ a | upper }} {{ a | lower }} {{ a | title }} {{ a | capitalize }}", {"a": "aB c"}, "AB C ab c Ab C Ab c"),
        ("[{{ a | trim }}] {{ a | length }} {{ a | count }}", {"a": " x "}, "[x] 3 3"),
        (
            "{{ a | replace('l', 'L') }} {{ a | truncate(4) }} {{ a | truncate(9, '') }}",
            {"a": "hello"},
            "heLLo h... hello",
        ),
        ("{{ a | indent(2) }}", {"a": "x\n\ny"}, "x\n\n  y"),
        ("{{ a | indent(width=2, first=true) }}", {"a": "x\ny"}, "  x\n  y"),
        ("{{ a | join(', ') }} {{ a | first }} {{ a | last }} {{ a | reverse | join }}", {"a": [1, 2]}, "1, 2 1 2 21"),
        ("{{ a | tojson }}", {"a": {"k": "<'é'>"}}, '{"k":"<\'é\'>"}'),
        ("{{ a | abs }} {{ 2.567 | round(1) }} {{ 2.5 | round }}", {"a": -3}, "3 2.6 2"),
        ("{% raw %}{{ a }} {% x %}{% endraw %}", {}, "{{ a }} {% x %}"),
        ("a{# a comment with {{ a }} #}b", {}, "ab"),
        ("  {% if a %}\nx\n  {% endif %}\ny\n", {"a": 1}, "x\ny\n"),
        ("{{ true }} {{ false }}", {}, "true false"),
        ("Use {'a': {'b': 1}} and {{ '{{' }}.", {}, "Use {'a': {'b': 1}} and {{."),
        ("{{ 'é' ~ a }}", {"a": "日本"}, "é日本"),
    ],
)
def test_what_a_template_can_say(text: str, variables: dict[str, object], rendered: str) -> None:
    assert compiled(text, "a", "b").render(variables).text == rendered


def test_each_filter_and_test_is_tried_above() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    for name in {*FILTERS} - {"d"}:
        assert f"| {name}" in source, name
    for name in {*TESTS} - {"undefined", "mapping", "sequence", "boolean", "number"}:
        assert f"is {name}" in source or f"is not {name}" in source, name


@pytest.mark.parametrize(
    ("test", "value", "holds"),
    [
        ("boolean", True, True),
        ("boolean", 1, False),
        ("number", 1, True),
        ("number", True, False),
        ("mapping", {}, True),
        ("mapping", [], False),
        ("sequence", [], True),
        ("sequence", "text", False),
        ("undefined", 1, False),
    ],
)
def test_tests_of_kind(test: str, value: object, holds: bool) -> None:
    assert compiled(f"{{{{ a is {test} }}}}", "a").render({"a": value}).text == ("true" if holds else "false")


def test_a_report_tells_variables_their_lines_and_which_are_guarded() -> None:
    text = (
        "{{ a }}\n{% for x in docs %}{{ x.title }}{{ loop.index }}{% endfor %}\n{% set y = b %}{{ y }}\n"
        "{% if c is defined %}{{ c }}{% endif %}{{ d | default('') }}{{ a }}"
    )
    report = check_template(text, FORMATS[0])
    assert report.faults == ()
    assert dict(report.variables) == {"a": 1, "docs": 2, "b": 3, "c": 4, "d": 4}
    assert report.guarded == {"c", "d"}


def test_a_plain_report_tells_variables_and_their_lines() -> None:
    report = check_template("{{ a }}\n{{b}} {{ a }} }} { {\n{{\tc\n}}", "plain")
    assert report.faults == ()
    assert dict(report.variables) == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ a | uper }}", "no filter `uper`"),
        ("{{ a is definned }}", "no test `is definned`"),
        ("{{ a | upper(1) }}", "`upper` does not take these arguments"),
        ("{{ a | replace('x') }}", "`replace` does not take these arguments"),
        ("{{ a | indent(widht=2) }}", "`indent` does not take these arguments"),
        ("{{ a is defined(1) }}", "`is defined` takes no arguments"),
        ("{% for x in a %}{{ loop.idx }}{% endfor %}", "`loop.idx` is not known"),
        ("{{ loop.index }}", "`loop` stands outside of a loop"),
        ("{% include 'x' %}", "This include is not written in the one form"),
    ],
)
def test_a_mistake_is_told_in_its_own_words(text: str, said: str) -> None:
    (fault,) = check_template(text, FORMATS[0]).faults
    assert said in fault.message
    assert fault.code == "template_forbidden"
