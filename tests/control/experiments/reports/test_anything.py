"""Whatever an analysis holds, a report is whole, says only what is known, and lets no name be markup."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.analyses import SAMPLES, operating
from tests.support.anything import anything
from tidegate.control.experiments.model import Analysis, Operating
from tidegate.control.experiments.reports.forecasts import forecast_of
from tidegate.control.experiments.reports.html import html
from tidegate.control.experiments.reports.markdown import markdown

ANALYSES = anything(Analysis)
SAID_BY_MACHINES = re.compile(r"(?<![A-Za-z])(nan|None|inf|NaN|Infinity|infinite|True|False)(?![A-Za-z])")
ELEMENTS = frozenset(
    {
        "html", "head", "meta", "title", "style", "body", "main", "section", "footer", "h1", "h2", "p", "ul", "li",
        "div", "figure", "figcaption", "details", "summary", "table", "caption", "thead", "tbody", "tr", "th", "td",
        "svg", "desc", "text", "line", "rect", "circle", "polygon", "polyline",
    }
)  # fmt: skip
ROOMY = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


class Page(HTMLParser):
    """A page read strictly: every element known, closed in order, no attribute that could act."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS, tag
        names = [name for name, _ in attrs]
        assert not [name for name in names if name.startswith("on") or name in ("href", "src", "style", "xlink:href")]
        assert len(names) == len(set(names))
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.words += [value or "" for name, value in attrs if name == "aria-label"]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


@ROOMY
@given(ANALYSES)
def test_any_analysis_is_a_whole_page(analysis: Analysis) -> None:
    page = html(analysis)
    read = Page(page)
    assert not SAID_BY_MACHINES.search(" ".join(read.words))
    assert "script" not in re.findall(r"<\s*/?\s*(\w+)", page)
    assert not any(ord(letter) < 32 and letter != "\n" for letter in page)


@ROOMY
@given(ANALYSES)
def test_any_analysis_is_markdown_without_markup_of_its_names(analysis: Analysis) -> None:
    text = markdown(analysis)
    assert not SAID_BY_MACHINES.search(text)
    assert not re.search(r"(?<!\\)[<>`]", text)
    assert not re.search(r"(?<!\\)\]\(", text)
    for line in text.splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", line.replace("\\\\", "")))
            assert line.endswith("|")
            assert cells >= 3
    assert "\x1b" not in text


@ROOMY
@given(anything(Operating))
def test_any_forecast_is_written(forecast: Operating) -> None:
    report = forecast_of(forecast)
    said = [report.title, report.answer, *report.lead]
    for section in report.sections:
        said += [section.title, *section.lines, *section.points]
        said += [cell for grid in section.grids for row in grid.rows for cell in row]
    assert all(line.strip() for line in said)
    assert not SAID_BY_MACHINES.search("\n".join(said))


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_answer_is_the_first_thing_said(kind: str) -> None:
    analysis = SAMPLES[kind]()
    words = [word for word in Page(html(analysis)).words if word.strip()]
    assert words[2] in markdown(analysis).replace("\\", "").split("**")[1]


def test_the_forecast_of_a_sample_is_whole() -> None:
    (grid,) = forecast_of(operating()).sections[0].grids
    assert grid.rows[0] == ("no difference", "0.8%", "41.0%", "58.2%", "less than half do")
