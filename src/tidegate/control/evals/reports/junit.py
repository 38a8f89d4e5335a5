"""A run as JUnit XML, for the test views of CI: a suite for each scorer with a case for each case, and one of the
gate's rules. Written in pieces, so that a run of any size takes little memory.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from xml.sax.saxutils import quoteattr

from tidegate.control.evals.model import Finding, Manifest, Outcome, Score
from tidegate.control.evals.reports.blocks import Report, flat
from tidegate.control.evals.reports.sentences import finding_sentence, rule_text
from tidegate.kernel.plain import plain

__all__ = ["junit"]

State = Literal["passed", "failure", "error", "skipped"]
WHY = 1_000


class _Test(NamedTuple):
    """One testcase."""

    name: str
    state: State
    why: str = ""
    seconds: float | None = None


class _Tally(NamedTuple):
    """How many of a suite came out how."""

    tests: int = 0
    failures: int = 0
    errors: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def plus(self, test: _Test) -> "_Tally":
        return _Tally(
            self.tests + 1,
            self.failures + (test.state == "failure"),
            self.errors + (test.state == "error"),
            self.skipped + (test.state == "skipped"),
            self.seconds + (test.seconds or 0.0),
        )

    @property
    def attributes(self) -> str:
        counts = f'tests="{self.tests}" failures="{self.failures}" errors="{self.errors}"'
        return f'{counts} skipped="{self.skipped}" time="{self.seconds:.3f}"'


def junit(report: Report, outcomes: Callable[[], Iterable[Outcome]]) -> Iterator[str]:
    """The file in pieces. A scorer that has no threshold decides nothing and has no suite; an answer that never came
    is an error in each. Of a case with repeats each answer is a test. A rule that warns, or is not known, is skipped
    with why: a test view knows no third answer.
    """
    manifest = report.comparison.candidate.manifest
    gate = [_rule(one) for one in report.comparison.findings]
    suites = _suites(outcomes())
    tallies = {name: _tally(_tests(name, outcomes())) for name in suites}
    whole = _together([_tally(gate), *tallies.values()])
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    top = f'tests="{whole.tests}" failures="{whole.failures}" errors="{whole.errors}" time="{whole.seconds:.3f}"'
    yield f"<testsuites name={_attribute(manifest.target)} {top}>\n"
    yield from _suite(f"{manifest.target} gate", gate, _tally(gate), manifest)
    for name in suites:
        yield from _suite(f"{manifest.target} {name}", _tests(name, outcomes()), tallies[name], manifest)
    yield "</testsuites>\n"


def _suites(outcomes: Iterable[Outcome]) -> list[str]:
    """The scorers that let pass or not, as they first appear."""
    found: dict[str, None] = {}
    for outcome in outcomes:
        found |= {name: None for name, score in outcome.scores.items() if score.passed is not None}
    return list(found)


def _tests(scorer: str, outcomes: Iterable[Outcome]) -> Iterator[_Test]:
    for outcome in outcomes:
        name = outcome.case_id if not outcome.repeat else f"{outcome.case_id} (repeat {outcome.repeat})"
        seconds = None if outcome.latency_ms is None else outcome.latency_ms / 1000
        if outcome.error is not None:
            yield _Test(name, "error", f"{outcome.error}: {outcome.error_message}", seconds)
            continue
        score = outcome.scores.get(scorer)
        if score is not None:
            yield _scored(name, score, seconds)


def _scored(name: str, score: Score, seconds: float | None) -> _Test:
    if score.error is not None:
        return _Test(name, "error", f"{score.error}: {score.why}", seconds)
    value = "" if score.value is None else f"{score.value:.4g}"
    why = ": ".join(filter(None, (value, score.why)))
    if score.passed is None:
        return _Test(name, "skipped", why, seconds)
    return _Test(name, "passed" if score.passed else "failure", "" if score.passed else why, seconds)


def _rule(finding: Finding) -> _Test:
    name = rule_text(finding.bound)
    if finding.answer == "pass":
        return _Test(name, "passed")
    state: State = "failure" if finding.answer == "block" else "skipped"
    return _Test(name, state, f"{finding.answer}: {finding_sentence(finding)}")


def _tally(tests: Iterable[_Test]) -> _Tally:
    found = _Tally()
    for one in tests:
        found = found.plus(one)
    return found


def _together(tallies: Iterable[_Tally]) -> _Tally:
    every = list(tallies)
    return _Tally(
        sum(one.tests for one in every),
        sum(one.failures for one in every),
        sum(one.errors for one in every),
        sum(one.skipped for one in every),
        sum(one.seconds for one in every),
    )


def _suite(name: str, tests: Iterable[_Test], tally: _Tally, manifest: Manifest) -> Iterator[str]:
    at = datetime.fromtimestamp(manifest.started_at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    yield f'  <testsuite name={_attribute(name)} {tally.attributes} timestamp="{at}">\n'
    for one in tests:
        time = "" if one.seconds is None else f' time="{one.seconds:.3f}"'
        head = f"    <testcase name={_attribute(one.name)} classname={_attribute(name)}{time}"
        if one.state == "passed":
            yield f"{head}/>\n"
        else:
            kind = "" if one.state == "skipped" else f' type="{one.state}"'
            yield f"{head}><{one.state} message={_attribute(flat(one.why, WHY))}{kind}/></testcase>\n"
    yield "  </testsuite>\n"


def _attribute(words: str) -> str:
    """A value in quotes: on one line, without what XML cannot hold."""
    return quoteattr("".join(one for one in plain(words) if one not in "\ufffe\uffff"))
