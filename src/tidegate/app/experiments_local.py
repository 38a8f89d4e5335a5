"""Experiment files from the command line's side, without a server: check them, foresee them, write reports."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from tidegate.control.experiments.files.shape import experiment_schema
from tidegate.control.experiments.model import Analysis, Definition, Operating
from tidegate.control.experiments.reports.html import html
from tidegate.control.experiments.reports.markdown import markdown
from tidegate.kernel.documents import decode_text
from tidegate.kernel.errors import InvalidDocument, NotFound

__all__ = [
    "Checked",
    "Finding",
    "checked",
    "definition_in",
    "finding_of",
    "foreseen",
    "report",
    "schema_text",
    "text_of",
]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong (severity error) or perhaps not meant (warning) at a place of a file."""

    severity: Literal["error", "warning"]
    code: str
    message: str
    mend: str
    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        said = f"{self.message} {self.mend}".strip()
        return f"{place}: {'' if self.severity == 'error' else 'warning: '}{said}"


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment file means, None when it has errors, and what was found in it."""

    definition: Definition | None
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(one.severity == "error" for one in self.findings)


def text_of(file: Path) -> str:
    """The file's text; raises NotFound, or InvalidDocument when it is no text."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise NotFound("file", str(file), mend="Name an experiment's YAML file.") from error
    return decode_text(data, file.name)


def checked(file: Path) -> Checked:
    """Check a file; raises as `text_of`."""
    from tidegate.control.experiments.files.reading import lint_experiment  # noqa: PLC0415  # lazy: costs half a second

    definition, faults, warnings = lint_experiment(text_of(file), file.name)
    findings = [*(finding_of(one, "error") for one in faults), *(finding_of(one, "warning") for one in warnings)]
    return Checked(definition=definition, findings=tuple(findings))


def definition_in(file: Path) -> Definition:
    """What a file means; raises as `text_of`, and Invalid whose message has a line for each fault."""
    from tidegate.control.experiments.files.reading import read_experiment  # noqa: PLC0415  # lazy: costs half a second

    return read_experiment(text_of(file), file.name)


def foreseen(
    definition: Definition,
    units_per_day: float,
    *,
    runs: int,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> Operating:
    """What the rule does at this traffic, by simulation; `progress` is told which share of the work is done."""
    from tidegate.control.experiments.simulations.simulate import simulate  # noqa: PLC0415  # lazy: costs half a second

    return simulate(definition, units_per_day=units_per_day, runs=runs, seed=seed, progress=progress)


def report(analysis: Analysis, kind: Literal["markdown", "html"]) -> str:
    """The analysis as a report for people, one file that needs no other."""
    return html(analysis) if kind == "html" else markdown(analysis)


def schema_text() -> str:
    """The JSON Schema of an experiment file."""
    return msgspec.json.format(msgspec.json.encode(experiment_schema())).decode() + "\n"


def finding_of(fault: InvalidDocument, severity: Literal["error", "warning"]) -> Finding:
    """What was found at a place of a file, as a value."""
    return Finding(
        severity=severity,
        code=fault.code,
        message=fault.message,
        mend=fault.mend,
        file=fault.file,
        line=fault.line,
        column=fault.column,
    )
