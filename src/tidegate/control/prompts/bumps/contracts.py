"""What changed in what callers must pass, and in what they may expect of an answer."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tidegate.control.prompts.bumps.constraints import ABSENT, Difference
from tidegate.control.prompts.bumps.model import Level, Reason
from tidegate.control.prompts.bumps.schemas import schema_differences
from tidegate.control.prompts.bumps.sides import Side

__all__ = ["answers", "parameters", "value_text"]

MAX_EVIDENCE = 160
_CLOSED = {"additionalProperties": False, "patternProperties": {}}


def parameters(a: Side, b: Side) -> Iterator[Reason]:
    """Parameters that came, went, or take something else. Whatever passed before must pass now, or callers break."""
    before, after = _taken(a.file.params), _taken(b.file.params)
    lacked, needs = set(before.get("required", ())), set(after.get("required", ()))
    old, new = before.get("properties", {}), after.get("properties", {})
    for name in old.keys() - new.keys():
        yield _reason("major", "parameter_removed", f"params.properties.{name}", f"The parameter `{name}` is gone.")
    for name in [name for name in new if name not in old]:
        needed = name in needs
        said = f"The parameter `{name}` is new, and {'required' if needed else 'optional'}."
        path = f"params.properties.{name}"
        yield _reason("major" if needed else "minor", "parameter_required" if needed else "parameter_added", path, said)
    for name in [name for name in new if name in old]:
        path = f"params.properties.{name}"
        if name in needs - lacked:
            yield _reason("major", "parameter_required", path, f"The parameter `{name}` is required now.")
        if name in lacked - needs:
            yield _reason("minor", "parameter_optional", path, f"The parameter `{name}` may be left out now.")
        yield from _default(a, b, name)
        for found in schema_differences(_rule(before, name), _rule(after, name)):
            if found.path != ("default",):
                yield _of_parameter(name, found)
    rest_a, rest_b = ({**one, "properties": {}, "required": []} for one in (before, after))
    for found in schema_differences(rest_a, rest_b):
        yield _of_parameter(None, found)


def answers(a: Side, b: Side) -> Iterator[Reason]:
    """What an answer is. A new optional field is a minor change; anything else that changes which answers are right
    breaks those who read them.
    """
    if a.answer_format != b.answer_format:
        shown = f"{a.answer_format} -> {b.answer_format}"
        path = f"{b.answer_path}.format" if b.answer_path == "output" else b.answer_path
        yield _reason("major", "answer_format", path, "The answer has another format.", shown)
        return
    before, after = a.answer_schema, b.answer_schema
    if before is None and after is None:
        return
    if before is None or after is None:
        said = "The answer has a schema now." if before is None else "The answer has no schema any more."
        yield _reason("major", "answer_schema", f"{b.answer_path}.schema", said)
        return
    for found in schema_differences(before, after):
        level, said = _answer_level(found)
        yield _reason(level, "answer_schema", f"{b.answer_path}.schema.{_dotted(found)}", said, _shown(found))


def value_text(value: object) -> str:
    """A value as JSON, cut short; `(none)` for what is not there."""
    if value is ABSENT:
        return "(none)"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_EVIDENCE // 2 else f"{text[: MAX_EVIDENCE // 2 - 3]}..."


def _taken(params: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as the gateway holds callers to it: what is not declared is refused, whatever it says."""
    return {"type": "object", **params, **_CLOSED}


def _rule(params: Mapping[str, Any], name: str) -> Any:
    """One parameter's schema with what it may refer to."""
    rule = params["properties"][name]
    definitions = {word: params[word] for word in ("$defs", "definitions") if word in params}
    return {**definitions, **rule} if isinstance(rule, dict) else rule


def _default(a: Side, b: Side, name: str) -> Iterator[Reason]:
    before, after = (_default_of(one, name) for one in (a, b))
    if before is after or (before is not ABSENT and after is not ABSENT and value_text(before) == value_text(after)):
        return
    path = f"params.properties.{name}.default"
    shown = f"{value_text(before)} -> {value_text(after)}"
    if name in b.file.params.get("required", ()):
        yield _reason("patch", "default", path, f"The default of `{name}`, which is always given, changed.", shown)
    elif after is ABSENT and not _guarded(b, name):
        said = f"`{name}` has no default any more, and the template cannot do without it."
        yield _reason("major", "parameter_required", path, said, shown)
    else:
        said = f"Those who leave out `{name}` get another text."
        yield _reason("minor", "default", path, said, shown)


def _default_of(side: Side, name: str) -> Any:
    rule = side.file.params["properties"][name]
    return rule.get("default", ABSENT) if isinstance(rule, dict) else ABSENT


def _guarded(side: Side, name: str) -> bool:
    return all(name in text.guarded for text in side.texts if name in text.variables)


def _of_parameter(name: str | None, found: Difference) -> Reason:
    what = f"The parameter `{name}`" if name is not None else "The map of parameters"
    place = f"params.properties.{name}" if name is not None else "params"
    path = f"{place}.{_dotted(found)}"
    if found.kind == "note":
        return _reason("patch", "note", path, f"{what} is described in another way.", _shown(found))
    if found.kind == "wider":
        return _reason("minor", "parameter_wider", path, f"{what} takes more than before.", _shown(found))
    if found.kind == "narrower":
        said = f"{what} refuses values that it took before."
        return _reason("major", "parameter_narrower", path, said, _shown(found))
    said = f"{what} cannot be shown to take all that it took before."
    return _reason("major", "parameter_unclear", path, said, _shown(found))


def _answer_level(found: Difference) -> tuple[Level, str]:
    if found.word == "property" and found.before is ABSENT:
        return "minor", f"The answer may have a field `{found.path[-1]}`."
    if found.word == "property":
        return "major", f"The answer has no field `{found.path[-1]}` any more."
    if found.kind == "note":
        return "patch", "The answer is described in another way."
    if found.kind == "wider":
        return "major", "Answers may be what they never were before; readers may not know them."
    if found.kind == "narrower":
        return "major", "Answers that were right before are refused now."
    return "major", "It cannot be shown that readers of answers keep what they had."


def _dotted(found: Difference) -> str:
    return ".".join(str(step) for step in found.path)


def _shown(found: Difference) -> str:
    return f"{value_text(found.before)} -> {value_text(found.after)}"


def _reason(level: Level, code: str, path: str, message: str, evidence: str = "") -> Reason:
    return Reason(level=level, code=code, path=path.rstrip("."), message=message, evidence=evidence)
