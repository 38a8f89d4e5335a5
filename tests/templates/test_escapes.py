"""Templates that try to get out, or to bring the process down: a corpus. Each is refused before it runs, or stopped."""

import resource
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.templates.corpus import REFUSED, STOPPED
from tests.templates.prompts import compiled
from tidegate.kernel.errors import InvalidVariables
from tidegate.templates.compile import FORMATS, check_template

ANSWER_S = 3.0  # of CPU: generous; what is not stopped takes minutes, or all memory
MEMORY_BYTES = 400 * 1024 * 1024


@pytest.mark.parametrize("name", REFUSED)
def test_an_escape_is_refused_before_it_runs(name: str) -> None:
    began = time.process_time()
    report = check_template(REFUSED[name], FORMATS[0])
    assert time.process_time() - began < ANSWER_S
    assert report.faults
    for fault in report.faults:
        assert fault.code in ("template_forbidden", "template_syntax", "template_too_large")
        assert fault.line == 1
        assert fault.mend
        assert len(fault.message) < 500


@pytest.mark.parametrize("name", STOPPED)
def test_what_only_shows_at_run_time_is_stopped_with_an_error_of_the_caller(name: str) -> None:
    text, variables = STOPPED[name]
    prompt = compiled(text, "a", "b", "c")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(InvalidVariables) as raised:
        prompt.render(variables)
    assert time.process_time() - began < ANSWER_S
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MEMORY_BYTES
    assert "greeting 1.2.0" in raised.value.message
    assert len(raised.value.message) < 500


@pytest.mark.parametrize(
    "text", ["{{ a.__class__ }}", "{{ ''.__class__ }}", "{{ a | upper }}", "{{ a() }}", "{{a}} {{", "{{ \u0430 }}"]
)
def test_the_plain_format_reads_names_only(text: str) -> None:
    assert [fault.code for fault in check_template(text, "plain").faults] == ["template_syntax"]


def test_every_fault_of_a_template_is_told_with_its_line() -> None:
    text = "one {{ a() }}\ntwo {{ b }}\n{{ a.__class__ }} {{ a | attr('x') }}\n\n{% for x in range(3) %}{% endfor %}"
    report = check_template(text, FORMATS[0])
    assert sorted(fault.line for fault in report.faults) == [1, 3, 3, 5, 5]


def test_a_syntax_error_is_told_at_its_line() -> None:
    for text, line in (("a\nb\n{% if x %}\n", 3), ("a\n{{ x y }}\n", 2), ("{{ x }}\n\n\n{% endfor %}", 4)):
        assert [fault.line for fault in check_template(text, FORMATS[0]).faults] == [line]


snippets = st.lists(
    st.sampled_from(
        [
            "{{",
            "}}",
            "{%",
            "%}",
            "{#",
            "#}",
            "a",
            "b",
            "x",
            ".",
            "_",
            "__class__",
            "[",
            "]",
            "(",
            ")",
            "|",
            "attr",
            "upper",
            "~",
            "+",
            "*",
            "**",
            "%",
            "for",
            "in",
            "if",
            "else",
            "endif",
            "endfor",
            "set",
            "=",
            "==",
            "not",
            "'s'",
            "1",
            "0",
            ",",
            ":",
            "loop",
            "self",
            "range",
            "include",
            "macro",
            "raw",
            "endraw",
            "import",
            "is",
            "defined",
            "\n",
        ]
    ),
    max_size=25,
).map(" ".join)


@given(snippets, st.dictionaries(st.sampled_from(["a", "b", "x"]), st.integers() | st.text() | st.lists(st.text())))
def test_any_mixture_is_refused_or_renders_or_names_what_does_not_fit(text: str, variables: dict[str, object]) -> None:
    report = check_template(text, FORMATS[0])
    if report.faults or not report.variables.keys() <= {"a", "b", "x"}:
        return
    try:
        rendered = compiled(text, "a", "b", "x").render(variables).text
    except InvalidVariables:
        return
    assert rendered is not None
    for trace in ("<function", "<class", "<bound", "object at 0x", "<built-in", "Undefined", "LoopContext"):
        assert trace not in rendered
