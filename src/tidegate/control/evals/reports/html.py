"""A gate as one page that needs nothing else: the verdict, what was found, and the cases side by side, word by word.

Its size is bounded: the answers of the cases that changed most, each cut, and a line for each other case.
"""

import json
from collections.abc import Iterable, Iterator
from types import MappingProxyType

from tidegate.control.evals.comparing.cases import CaseLine
from tidegate.control.evals.model import Case, CaseDiff, Outcome
from tidegate.control.evals.reports.blocks import Report, cut, flat
from tidegate.control.evals.reports.rows import FindingRow, changes_text, rows_of, scorers_text, title_of
from tidegate.control.evals.reports.style import STYLE
from tidegate.control.evals.reports.wording import Piece, word_diff
from tidegate.kernel.figures import percent_text
from tidegate.kernel.markup import Markup, tag, text
from tidegate.kernel.plain import count_of, date_text, plain

__all__ = ["MOST_LINES", "html"]

MOST_LINES = 5_000
MOST_TEXT = 4_000
MOST_ASKED = 1_500
HALF = 0.5
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What the page may load: nothing."""
_WORDS = MappingProxyType({"pass": "Pass", "warn": "Warning", "inconclusive": "Not known", "block": "Blocked"})


def html(report: Report) -> str:
    """The page, to be opened from a disk, mailed, or kept as an artifact of CI."""
    title = title_of(report.comparison)
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><meta name="robots" content="noindex">'
        f"{tag('title', text(title))}<style>{STYLE}</style>"
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{_body(report, title)}</body></html>\n'


def _body(report: Report, title: str) -> Markup:
    verdict, comparison = report.verdict, report.comparison
    lines = [changes_text(comparison), *comparison.notes, *report.remarks]
    if comparison.unjudged:
        lines.append(f"Left out: {'; '.join(comparison.unjudged)}.")
    return tag(
        "main",
        tag("h1", text(title)),
        tag("p", text(f"{_WORDS[verdict.answer]}. {verdict.why}"), class_=f"answer {verdict.answer}"),
        *(tag("p", text(line)) for line in lines if line),
        _findings(rows_of(comparison)),
        *_scorers(scorers_text(comparison)),
        *_cases(report),
        tag("footer", text(f"Judged {date_text(verdict.at_ms or None)} by Tidegate: {_runs(report)}.")),
    )


def _runs(report: Report) -> str:
    comparison = report.comparison
    ours = comparison.candidate.manifest
    other = "" if comparison.baseline is None else f" against {plain(comparison.baseline.manifest.run_id)}"
    return f"run {plain(ours.run_id)}{other}, dataset {plain(ours.dataset)} (SHA-256 {ours.dataset_sha256[:12]})"


def _findings(rows: Iterable[FindingRow]) -> Markup:
    heads = ("rule", ">baseline", ">candidate", ">found (90% interval)", "answer", "why")
    kinds = ("figure" if one.startswith(">") else "words" for one in heads)
    top = tag(
        "tr",
        *(tag("th", text(one.lstrip(">")), scope="col", class_=kind) for one, kind in zip(heads, kinds, strict=True)),
    )
    lines = (_finding(row) for row in rows)
    table = tag("table", tag("caption", text("The rules, the worst first")), tag("thead", top), tag("tbody", *lines))
    return tag("div", table, class_="scroll", role="region", aria_label="The rules", tabindex="0")


def _finding(row: FindingRow) -> Markup:
    finding = row.finding
    scorer = f" Scorer: {row.scorer}." if row.scorer else ""
    how = f"{row.test}, {count_of(finding.pairs, 'case')}.{scorer}"
    return tag(
        "tr",
        tag("th", text(f"{row.rule} {row.allowed}"), scope="row"),
        *(tag("td", text(one), class_="figure") for one in (row.baseline, row.candidate, row.difference)),
        tag("td", tag("span", text(row.answer), class_=f"mark {finding.answer}")),
        tag("td", text(f"{row.why}."), tag("small", text(how)), class_="why"),
    )


def _scorers(lines: tuple[str, ...]) -> Iterator[Markup]:
    if lines:
        yield tag("h2", text("Scorers, and how well they agree with people"))
        yield tag("ul", *(tag("li", text(one)) for one in lines))


# ------------------------------------------------------------------------------------------------ cases


def _cases(report: Report) -> Iterator[Markup]:
    if not report.lines:
        return
    diffs = {one.case_id: one for one in report.diffs}
    shown = _picked(report.lines, diffs)
    yield tag("h2", text("The cases"), id="cases")
    yield tag("p", text(_told(report, shown, diffs)), class_="quiet")
    filters = _filters(report, shown)
    inputs = (_radio(f"only-{key}", checked=number == 0) for number, (key, _) in enumerate(filters))
    labels = (tag("label", text(label), for_=f"only-{key}") for key, label in filters)
    body = (_case(one, diffs.get(one.case_id), report.cases.get(one.case_id), report) for one in shown)
    yield tag("section", *inputs, tag("div", *labels, class_="filters"), tag("div", *body, class_="cases"))


def _radio(key: str, *, checked: bool) -> Markup:
    """A radio button of the filters."""
    return Markup(f'<input type="radio" name="only" class="pick" id="{key}"{" checked" if checked else ""}>')


def _picked(lines: tuple[CaseLine, ...], diffs: dict[str, CaseDiff]) -> list[CaseLine]:
    """The cases with a line: those with answers, then the worst and the best of the others."""
    first = [one for one in lines if one.case_id in diffs]
    rest = [one for one in lines if one.case_id not in diffs]
    room = max(0, MOST_LINES - len(first))
    if len(rest) > room:
        half = room // 2
        rest = rest[: room - half] + (rest[-half:] if half else [])
    return [*first, *rest]


def _told(report: Report, shown: list[CaseLine], diffs: dict[str, CaseDiff]) -> str:
    parts = [f"{count_of(len(diffs), 'case')} with answers, those that changed most"]
    if len(diffs) == len(report.lines):
        parts = ["All with their answers"]
    if len(shown) < len(report.lines):
        parts.append(f"{count_of(len(report.lines) - len(shown), 'other case')} left out")
    elif len(diffs) < len(shown):
        parts.append("the others in figures")
    return f"{', '.join(parts)}. A line opens where it ends in +."


def _filters(report: Report, shown: list[CaseLine]) -> list[tuple[str, str]]:
    """Those that have cases, with how many; the most telling one first."""
    words = (("regressed", "Regressed"), ("improved", "Improved"), ("same", "The same"), ("unknown", "Not compared"))
    if report.comparison.baseline is None:
        return [("all", f"All {len(shown):,}")]
    counts = {key: sum(one.change == key for one in shown) for key, _ in words}
    found = [(key, f"{word} {counts[key]:,}") for key, word in words if counts[key]]
    return [*found, ("all", f"All {len(shown):,}")]


def _case(line: CaseLine, diff: CaseDiff | None, case: Case | None, report: Report) -> Markup:
    cells = (
        tag("span", text(_state(line)), class_="state"),
        tag("span", text(flat(line.case_id, 120)), class_="id"),
        tag("span", text(_scores(line)), class_="scores"),
    )
    if diff is None:
        return tag("div", *cells, class_=f"case bare {line.change}")
    inside = [_asked(case)] if case is not None else []
    inside.append(_both(diff, report.comparison.baseline is not None))
    return tag("details", tag("summary", *cells), *inside, class_=f"case {line.change}")


def _state(line: CaseLine) -> str:
    if line.error:
        return "no answer"
    if line.change == "unknown":
        return "not judged" if line.after is None else "passed" if line.after >= HALF else "failed"
    if line.change == "same":
        return "passes" if line.after is not None and line.after >= HALF else "fails"
    return line.change


def _scores(line: CaseLine) -> str:
    said = []
    if line.before is not None and line.after is not None and not {line.before, line.after} <= {0.0, 1.0}:
        said.append(f"passes {percent_text(line.before)} → {percent_text(line.after)} of the times")
    for name, (then, now) in line.scores.items():
        both = [_figure(one) for one in (then, now)]
        said.append(f"{plain(name)} {both[1] if then is None else ' → '.join(both)}")
    return ", ".join(said)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:g}" if value == int(value) else f"{value:.3f}"


def _asked(case: Case) -> Markup:
    said = "\n\n".join(
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in case.variables.items()
    )
    parts = [tag("h4", text("Asked with")), tag("pre", text(cut(said or "(no variables)", MOST_ASKED)))]
    if case.expected is not None:
        wanted = case.expected if isinstance(case.expected, str) else json.dumps(case.expected, ensure_ascii=False)
        parts += [tag("h4", text("Expected")), tag("pre", text(cut(wanted, MOST_ASKED)))]
    return tag("div", *parts, class_="asked")


def _both(diff: CaseDiff, compared: bool) -> Markup:
    before, after = _text(diff.baseline), _text(diff.candidate)
    if not compared:
        return tag("div", _answer("Answer", diff.candidate, text(after)), class_="both")
    left, right = word_diff(before, after)
    return tag(
        "div",
        _answer("Baseline", diff.baseline, _marked(left, "del")),
        _answer("Candidate", diff.candidate, _marked(right, "ins")),
        class_="both",
    )


def _text(outcome: Outcome | None) -> str:
    if outcome is None:
        return "(no such case in this run)"
    if outcome.error is not None:
        return f"({outcome.error}: {cut(outcome.error_message, MOST_TEXT)})"
    return cut(outcome.text or "", MOST_TEXT) or "(an empty answer)"


def _marked(pieces: Iterable[Piece], mark: str) -> Markup:
    return Markup("".join(text(one.text) if one.same else tag(mark, text(one.text)) for one in pieces))


def _answer(title: str, outcome: Outcome | None, inside: Markup) -> Markup:
    notes = [] if outcome is None else list(_notes(outcome))
    return tag(
        "div", tag("h4", text(title)), tag("pre", inside), *(tag("p", text(one), class_="note") for one in notes)
    )


def _notes(outcome: Outcome) -> Iterator[str]:
    for name, score in outcome.scores.items():
        if score.error is not None:
            yield f"{plain(name)}: {plain(score.error)}. {flat(score.why, 300) if score.why else ''}".strip()
            continue
        passed = {True: " passes", False: " fails", None: ""}[score.passed]
        value = "" if score.value is None else f" {_figure(score.value)}"
        why = f": {flat(score.why, 300)}" if score.why else ""
        yield f"{plain(name)}{value}{passed}{why}"
