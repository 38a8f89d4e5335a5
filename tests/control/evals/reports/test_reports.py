"""The reports of a gate: whole, bounded in size, and safe against what models answer."""

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from types import MappingProxyType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.evalruns import manifest, outcomes, results
from tidegate.control.evals.comparing.bounds import DEFAULTS
from tidegate.control.evals.comparing.cases import case_lines, diffs_of
from tidegate.control.evals.comparing.compare import compared, verdict_of
from tidegate.control.evals.model import Case
from tidegate.control.evals.reports.blocks import Report
from tidegate.control.evals.reports.html import html
from tidegate.control.evals.reports.junit import junit
from tidegate.control.evals.reports.machine import machine
from tidegate.control.evals.reports.markdown import MARKER, markdown
from tidegate.control.evals.reports.wording import word_diff

GITHUB = 65_536
EVIL = '<script>alert(1)</script> | @octocat #1 `x` ![a](http://b) *b*\n\x00\x1b[31m ]]> & "q"'


def report(cases=500, *, text=None, shown=60, baseline=True):
    before = outcomes([at % 40 != 0 for at in range(cases)])
    after = outcomes([at % 40 != 0 and at % 16 != 1 for at in range(cases)], seed=2)
    if text is not None:
        after = [msgspec.structs.replace(one, text=text) for one in after]
    ours, theirs = results(manifest("2.1.0", cases), after), results(manifest("2.0.0", cases), before)
    found = compared(DEFAULTS, ours, theirs if baseline else None)
    lines = tuple(case_lines(found.candidate, found.baseline))
    diffs = diffs_of(lines[:shown], ours.outcomes, theirs.outcomes if baseline else None)
    asked = {one.case_id: Case(id=one.case_id, variables={"question": text or "How long?"}) for one in diffs}
    return Report(verdict_of(found.comparison, at_ms=1_790_000_000_000), found.comparison, lines, tuple(diffs), asked)


ALLOWED = MappingProxyType(
    {
        "testsuites": "name tests failures errors time disabled",
        "testsuite": "name tests failures errors skipped disabled time timestamp hostname id package",
        "testcase": "name classname time assertions status",
        "failure": "message type",
        "error": "message type",
        "skipped": "message",
    }
)
"""The elements and attributes of the schema that Jenkins publishes (junit-10.xsd), as far as we use it."""


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.elements: dict[str, int] = {}
        self.classes: list[str] = []
        self.references: list[str] = []
        self.said = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements[tag] = self.elements.get(tag, 0) + 1
        self.classes += [value or "" for name, value in attrs if name == "class"]
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.said += data


class TestHtml:
    def test_the_verdict_stands_first_and_cases_are_side_by_side(self):
        page = Page(html(report()))
        assert "Blocked." in page.said
        assert page.classes.index("answer block") < page.classes.index("case regressed")
        assert page.elements["details"] == 60
        assert page.elements["del"]
        assert page.elements["ins"]
        assert "AUROC 0.84" in page.said

    def test_it_loads_and_runs_nothing(self):
        page = Page(html(report(text=EVIL)))
        assert "script" not in page.elements
        assert "img" not in page.elements
        assert page.references == []

    def test_thousands_of_long_answers_stay_within_bounds(self):
        page = html(report(5_000, text="word " * 20_000, shown=200))
        assert len(page) < 6_000_000

    def test_without_a_baseline_the_answers_stand_alone(self):
        page = Page(html(report(baseline=False)))
        assert "del" not in page.elements
        assert "All 500" in page.said


class TestMarkdown:
    def test_it_begins_with_the_mark_and_the_verdict(self):
        text = markdown(report())
        assert text.startswith(MARKER)
        assert "Blocked: support.answer@2.1.0 against 2.0.0, 500 cases" in text.splitlines()[2]
        assert "cases regressed, the 25 worst" in text

    def test_it_fits_into_a_comment(self):
        assert len(markdown(report(5_000, text="<&|*" * 5_000, shown=200))) < GITHUB

    def test_nothing_of_an_answer_is_markup_or_calls_anyone(self):
        table = [line for line in markdown(report(text=EVIL)).splitlines() if line.startswith("| <code>")]
        assert table
        for line in table:
            assert len(re.findall(r"(?<!\\)\|", line)) == 5
            assert not re.search(r"<(?!/?code>)|@|!\[|`|\*|#(?!\d+;)", line)


class TestJunit:
    def tree(self, cases=120):
        passes = [None if at == 7 else at % 10 != 0 for at in range(cases)]
        answers = outcomes(passes)
        answers[3].scores["exact"] = msgspec.structs.replace(answers[3].scores["exact"], passed=False, why=EVIL)
        run = results(manifest(cases=cases), answers)
        found = compared(DEFAULTS, run, None)
        return ET.fromstring("".join(junit(Report(verdict_of(found.comparison), found.comparison), run.outcomes)))

    def test_it_keeps_to_the_schema(self):
        root = self.tree()
        assert root.tag == "testsuites"
        for element in root.iter():
            assert set(element.attrib) <= set(ALLOWED[element.tag].split()), element.tag
        for case in root.iter("testcase"):
            assert {"name", "classname"} <= set(case.attrib)
            assert len(case) <= 1

    def test_its_counts_are_those_of_its_cases(self):
        root = self.tree()
        for suite in root.findall("testsuite"):
            assert int(suite.attrib["tests"]) == len(suite)
            for kind, name in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
                assert int(suite.attrib[kind]) == len(suite.findall(f"testcase/{name}"))
        assert int(root.attrib["tests"]) == len(list(root.iter("testcase")))

    def test_a_suite_for_the_gate_and_one_for_each_scorer_that_decides(self):
        names = [suite.attrib["name"] for suite in self.tree().findall("testsuite")]
        assert names == ["support.answer@2.1.0 gate", "support.answer@2.1.0 exact"]


def test_json_says_unknown_as_null_and_has_every_case():
    found = json.loads(machine(report()))
    assert found["verdict"]["answer"] == "block"
    assert len(found["cases"]) == 500
    assert {"findings", "candidate", "baseline"} <= set(found["comparison"])


class TestWordDiff:
    @given(st.text(max_size=80), st.text(max_size=80))
    def test_the_stretches_are_the_texts(self, before, after):
        left, right = word_diff(before, after)
        assert "".join(one.text for one in left) == before
        assert "".join(one.text for one in right) == after

    def test_only_what_differs_is_marked(self):
        left, right = word_diff("free for 30 days, always", "free for 14 days, always")
        assert [one.text.strip() for one in left if not one.same] == ["30"]
        assert [one.text.strip() for one in right if not one.same] == ["14"]

    @pytest.mark.parametrize("text", ["", "the same words"])
    def test_equal_texts_have_no_difference(self, text):
        assert all(one.same for side in word_diff(text, text) for one in side)
