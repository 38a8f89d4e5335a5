"""The parameters of one prompt file: its JSON Schemas, and its declarations against what the templates use."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from tidegate.control.prompts.files import Source
from tidegate.control.prompts.texts import Use, text_fault
from tidegate.kernel.documents import Path
from tidegate.kernel.errors import InvalidDocument
from tidegate.templates.schemas import compile_schema, schema_faults
from tidegate.templates.values import is_variable_name

__all__ = ["check_schemas", "check_uses"]


def check_schemas(source: Source) -> Iterator[InvalidDocument]:
    """Faults of `params` and of `output.schema`."""
    if source.file.params:
        yield from _schema_faults(source, ("params",), source.file.params)
        yield from _declarations(source)
    if source.file.output.schema is not None:
        yield from _schema_faults(source, ("output", "schema"), source.file.output.schema)
        if source.file.output.format != "json":
            mend = "Write `format: json`, or drop the schema."
            path = ("output", "schema")
            yield source.document.fault(path, "Only JSON answers have a schema.", mend=mend, code="schema_invalid")


def check_uses(source: Source, uses: Mapping[str, Use], *, complete: bool) -> Iterator[InvalidDocument]:
    """Parameters that are unused, undeclared, or optional where the templates cannot do without them.

    Only when the uses are `complete` (every template and fragment could be read) can one be called unused.
    """
    properties = _properties(source)
    required = source.file.params.get("required")
    for name in properties:
        if complete and name not in uses:
            message = f"The parameter `{name}` is declared and used nowhere."
            path = ("params", "properties", name)
            yield source.document.fault(path, message, mend="Use it, or take it out.", code="param_unused")
    for name, use in uses.items():
        place = (use.path, use.line)
        if name not in properties:
            by = " by an included fragment" if use.path[0] == "includes" else ""
            message = f"The variable `{name}` is used{by}, and not declared."
            yield text_fault(source, place, message, _declare(name, properties), "param_undeclared")
        elif not (use.guarded or _has_default(properties[name]) or (isinstance(required, list) and name in required)):
            message = f"The parameter `{name}` is optional, and the template fails without it."
            mend = f"Require it, give it a default, or ask {{% if {name} is defined %}}."
            yield text_fault(source, place, message, mend, "param_unguarded")


def _schema_faults(source: Source, path: Path, schema: dict[str, object]) -> Iterator[InvalidDocument]:
    for fault in schema_faults(schema):
        yield source.document.fault((*path, *fault.path), fault.message, mend=fault.mend, code=fault.code)


def _declarations(source: Source) -> Iterator[InvalidDocument]:
    params, fault = source.file.params, source.document.fault
    if params.get("type") != "object":
        yield fault(("params",), "`params` does not say `type: object`.", mend="Add it.", code="schema_invalid")
    properties = _properties(source)
    required = params.get("required")
    for index, name in enumerate(required if isinstance(required, list) else ()):
        if isinstance(name, str) and name not in properties:
            message = f"`{name}` is required, and not among the properties."
            mend = _declare(name, properties)
            yield fault(("params", "required", index), message, mend=mend, code="param_required")
    for name, rule in properties.items():
        path = ("params", "properties", name)
        if not is_variable_name(name):
            mend = "Use a-z, 0-9 and `_`, beginning with a letter; no word of the template language."
            yield fault(path, f"A template cannot write the name `{name}`.", mend=mend, code="param_name")
        yield from _bad_default(source, path, rule)


def _bad_default(source: Source, path: Path, rule: object) -> Iterator[InvalidDocument]:
    if not isinstance(rule, dict) or "default" not in rule:
        return
    whole = {"$defs": source.file.params.get("$defs", {}), **rule}
    try:
        fits = compile_schema(whole).is_valid(rule["default"])
    except ValueError:
        return  # the reference leads elsewhere in the schema; the schema itself is checked as a whole
    if not fits:
        message = f"The default of `{path[-1]}` is not what the parameter's own schema allows."
        yield source.document.fault(
            (*path, "default"), message, mend="Mend the one or the other.", code="param_default"
        )


def _properties(source: Source) -> dict[str, object]:
    properties = source.file.params.get("properties")
    return properties if isinstance(properties, dict) else {}


def _has_default(rule: object) -> bool:
    return isinstance(rule, dict) and "default" in rule


def _declare(name: str, properties: Mapping[str, object]) -> str:
    near = get_close_matches(name, properties, n=1)
    return f"Did you mean `{near[0]}`?" if near else f"Add `{name}: {{type: string}}` to params.properties."
