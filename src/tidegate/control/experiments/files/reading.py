"""The experiment file, read: a Definition, or everything that is wrong with it at once, each fault with its place."""

from collections.abc import Iterator

from tidegate.control.experiments.files.cautions import warnings_of
from tidegate.control.experiments.files.checks import check_experiment
from tidegate.control.experiments.files.definitions import definition_of
from tidegate.control.experiments.files.shape import ExperimentFile
from tidegate.control.experiments.model import Definition
from tidegate.control.experiments.rules.grammar import BadRule
from tidegate.control.experiments.rules.judging import rule_of
from tidegate.kernel.documents import Document, Path, check_yaml
from tidegate.kernel.errors import Invalid, InvalidDocument
from tidegate.kernel.shapes import convert_document

__all__ = ["lint_experiment", "read_experiment"]

_ROOT = "experiment"
_LENGTHS = (
    ("duration",),
    ("observe",),
    ("window",),
    ("cuped", "lookback"),
    ("bandit", "every"),
    ("bandit", "memory"),
)

Faults = tuple[InvalidDocument, ...]


def lint_experiment(text: str, file: str) -> tuple[Definition | None, Faults, Faults]:
    """Return the Definition (None when there are faults), all faults and all warnings, in the order of the file."""
    document, faults = check_yaml(text, file)
    if document is None:
        return None, faults, ()
    definition, found = _read(document)
    faults = _sorted((*faults, *found))
    if definition is None or faults:
        return None, faults, ()
    return definition, (), _sorted(tuple(warnings_of(document, definition)))


def read_experiment(text: str, file: str) -> Definition:
    """Return the Definition; raises Invalid (`invalid_experiment`) whose message has a line for each fault."""
    definition, faults, _ = lint_experiment(text, file)
    if definition is not None:
        return definition
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = "\n".join(f"  {fault}" for fault in faults)
    raise Invalid(f"{file} has {count}:\n{lines}", mend="Mend the file and try again.", code="invalid_experiment")


def _read(document: Document) -> tuple[Definition | None, Faults]:
    unitless = tuple(_without_unit(document))
    shape, faults = convert_document(document, ExperimentFile)
    told = {(fault.line, fault.column) for fault in unitless}
    faults = (*unitless, *(fault for fault in faults if (fault.line, fault.column) not in told))
    if shape is None:
        return None, faults
    block = shape.experiment
    faults += tuple(check_experiment(document, block))
    if faults:
        return None, faults
    definition = definition_of(block)
    try:
        rule_of(definition)
    except BadRule as error:
        return None, (_rule_fault(document, error),)
    return definition, ()


def _without_unit(document: Document) -> Iterator[InvalidDocument]:
    """Numbers that could mean several things: a guardrail that does not say of what, a length of time in what."""
    for name, value in _map(document, (_ROOT, "guardrails")).items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            path = (_ROOT, "guardrails", name)
            written = document.written(path)
            message = f"The guardrail `{name}` is {written}, which may be a ratio or a difference."
            mend = (
                f"Write {{ratio: {written}}} for times the control, {{drop: {written}}} for so much worse in the "
                "metric's unit, or {absolute: ...}."
            )
            yield document.fault(path, message, mend=mend, code="guardrail_kind")
    for steps in _LENGTHS:
        path = (_ROOT, *steps)
        value = _map(document, path[:-1]).get(path[-1])
        if isinstance(value, int | float) and not isinstance(value, bool):
            message = f"`{steps[-1]}` is {document.written(path)}, without a unit."
            yield document.fault(path, message, mend="Write 90s, 5m, 1h or 7d.", code="duration")


def _map(document: Document, path: Path) -> dict[str, object]:
    value = document.value
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _rule_fault(document: Document, error: BadRule) -> InvalidDocument:
    """The rule's fault, at its column where the rule is written on one line."""
    path = (_ROOT, "decision_rule")
    if document.written(path) == "":  # the default, or a text in several lines
        return document.fault(path, error.message, mend=error.mend, code=error.code)
    line, column = document.text_place(path, 1)
    rest = document.text.split("\n")[line - 1][column - 1 :]
    quoted = 1 if rest[:1] in ("'", '"') else 0
    if rest[quoted:].startswith(document.written(path)[: error.at]):
        column += quoted + error.at
    return InvalidDocument(
        error.message, file=document.file, line=line, column=column, mend=error.mend, code=error.code
    )


def _sorted(faults: Faults) -> Faults:
    return tuple(sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0)))
