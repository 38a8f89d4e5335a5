"""What can be wrong with a template or a schema, with its place, before anyone is asked to fix a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["SchemaFault", "TemplateFault", "TemplateReport"]


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """One fault of a template; `line` counts from 1 within the template's own text."""

    line: int
    message: str
    mend: str
    code: str


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """One fault of a JSON Schema; `path` leads to the keyword or the value."""

    path: tuple[str | int, ...]
    message: str
    mend: str
    code: str


@dataclass(frozen=True, slots=True)
class TemplateReport:
    """What reading a template tells: its faults, the variables it uses with the line of their first use, and those
    it copes without.

    A variable is guarded when the template asks `is defined` of it or gives it a `default`.
    """

    faults: tuple[TemplateFault, ...]
    variables: Mapping[str, int] = field(default_factory=dict)
    guarded: frozenset[str] = frozenset()
