"""A check as JUnit's XML, which every CI system shows: a suite for each version, a case for each step."""

from xml.sax.saxutils import escape, quoteattr

from tidegate.app.checks.model import STEPS, CheckedVersion, CheckReport, Step
from tidegate.kernel.plain import plain

__all__ = ["junit"]


def junit(report: CheckReport) -> str:
    """Blocks are failures, what is not known an error, what was not taken skipped; warnings pass, with their text."""
    steps = [step for one in report.versions for step in one.steps]
    head = f'<testsuites name="tidegate check" tests="{len(steps)}" {_counts(steps)}>'
    suites = [_suite(one) for one in report.versions]
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *suites, "</testsuites>"]) + "\n"


def _suite(one: CheckedVersion) -> str:
    name = f"{one.name}@{one.version}"
    lines = [f'  <testsuite name={_quoted(name)} tests="{len(one.steps)}" {_counts(list(one.steps))}>']
    for title, step in zip(STEPS, one.steps, strict=True):
        lines.append(
            f"    <testcase classname={_quoted(name)} name={_quoted(title)}>{_inner(one, title, step)}</testcase>"
        )
    return "\n".join([*lines, "  </testsuite>"])


def _inner(one: CheckedVersion, title: str, step: Step) -> str:
    details = [*step.details]
    if title == "lint":
        details += [f"{fault.file}:{fault.line}: {fault.code}: {fault.message} {fault.mend}" for fault in one.faults]
    if title == "semver" and one.bump is not None:
        details += [f"{reason.level} {reason.path}: {reason.message}" for reason in one.bump.reasons]
    text = escape("\n".join(map(plain, details)))
    if step.state == "skipped":
        return f"<skipped message={_quoted(step.said)}/>"
    tag = {"block": "failure", "inconclusive": "error"}.get(step.state, "system-out")
    if tag == "system-out":
        return f"<system-out>{escape(plain(f'{step.state}: {step.said}'))}\n{text}</system-out>"
    return f"<{tag} message={_quoted(step.said)}>{text}</{tag}>"


def _counts(steps: list[Step]) -> str:
    states: list[str] = [step.state for step in steps]
    counts = (("failures", "block"), ("errors", "inconclusive"), ("skipped", "skipped"))
    return " ".join(f'{name}="{states.count(state)}"' for name, state in counts)


def _quoted(text: str) -> str:
    return quoteattr(plain(text) if text else "")
