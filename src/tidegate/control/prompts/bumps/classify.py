"""The verb of this room: two versions in, how large the change is and every reason for it out."""

from collections.abc import Iterator

import msgspec

from tidegate.control.prompts.bumps.constraints import ABSENT
from tidegate.control.prompts.bumps.contracts import answers, parameters, value_text
from tidegate.control.prompts.bumps.forms import canonical
from tidegate.control.prompts.bumps.model import (
    LEVELS,
    BumpAnswer,
    BumpCheck,
    Level,
    Reason,
    larger,
    level_between,
    next_version,
)
from tidegate.control.prompts.bumps.sides import Side
from tidegate.control.prompts.bumps.templating import (
    changed_fragments,
    edit_ratio,
    structure,
    turning_words,
    wording,
)
from tidegate.kernel.names import semver_key

__all__ = ["check_bump", "first_version", "reasons_for"]

LABELS = frozenset(("metadata", "prompt_cache_key", "safety_identifier", "service_tier", "store", "user"))
"""Request fields that name a call and do not change its answer."""

_SETTINGS = ("description", "metadata", "tests", "gates")


def reasons_for(a: Side, b: Side) -> tuple[Reason, ...]:
    """Every change from `a` to `b`, the largest first. Numbers and changelogs are none."""
    found = [
        *structure(a, b),
        *parameters(a, b),
        *answers(a, b),
        *_model(a, b),
        *wording(a, b),
        *_settings(a, b),
    ]
    return tuple(sorted(found, key=lambda reason: -LEVELS.index(reason.level)))


def check_bump(a: Side, b: Side, *, ref: str | None = None) -> BumpCheck:
    """Hold the number of `b` against what changed since `a`. `ref` is where `a` was read, None: on disk."""
    reasons = reasons_for(a, b)
    needed: Level = "none"
    for reason in reasons:
        needed = larger(needed, reason.level)
    before, after = semver_key(a.file.version), semver_key(b.file.version)
    bump = level_between(before, after)
    asked = _asked(needed, before)
    right = next_version(before, asked)
    answer: BumpAnswer = "right"
    if LEVELS.index(bump) < LEVELS.index(larger(asked, "patch")):
        answer = "too_small"
    elif LEVELS.index(bump) > LEVELS.index(larger(asked, "patch")):
        answer = "too_large"
    return BumpCheck(
        name=b.file.name,
        version=b.file.version,
        against=a.file.version,
        against_ref=ref,
        answer=answer,
        bump=bump,
        needed=needed,
        right_version=b.file.version if answer == "right" else right,
        edit_ratio=edit_ratio(a, b),
        reasons=reasons,
        hints=tuple(_hints(a, b, needed)),
    )


def first_version(b: Side) -> BumpCheck:
    """What is said of a version that has none before it."""
    name, version = b.file.id
    return BumpCheck(
        name=name, version=version, against=None, answer="first", bump="none", needed="none", right_version=version
    )


def _asked(needed: Level, before: tuple[int, int, int]) -> Level:
    """While the first number is 0 a prompt is not settled yet: what would break callers is a minor step."""
    return "minor" if before[0] == 0 and needed == "major" else needed


def _model(a: Side, b: Side) -> Iterator[Reason]:
    before = a.file.model.model_id if a.file.model else ""
    after = b.file.model.model_id if b.file.model else ""
    if before != after:
        yield _minor("model", "model.model_id", "Another model is asked.", f"{before} -> {after}")
    for name in dict.fromkeys((*a.sampling, *b.sampling)):
        old, new = a.sampling.get(name, ABSENT), b.sampling.get(name, ABSENT)
        if old is not ABSENT and new is not ABSENT and canonical(old) == canonical(new):
            continue
        path = f"model.{'extra.' if _is_extra(a, b, name) else ''}{'stop_sequences' if name == 'stop' else name}"
        shown = f"{value_text(old)} -> {value_text(new)}"
        if name in LABELS:
            yield Reason(level="patch", code="label", path=path, message="The call is named otherwise.", evidence=shown)
        elif name == "tools":
            yield _minor("tools", path, _tools_message(old, new), shown)
        else:
            yield _minor("sampling", path, "The model is asked in another way.", shown)


def _tools_message(old: object, new: object) -> str:
    before, after = _tool_names(old), _tool_names(new)
    parts = [f"`{name}` is new" for name in after if name not in before]
    parts += [f"`{name}` is gone" for name in before if name not in after]
    return f"The model's tools changed{': ' if parts else ''}{', '.join(parts)}."


def _tool_names(tools: object) -> list[str]:
    named = [one.get("function", one) for one in tools if isinstance(one, dict)] if isinstance(tools, list) else []
    return [str(one["name"]) for one in named if isinstance(one, dict) and "name" in one]


def _settings(a: Side, b: Side) -> Iterator[Reason]:
    for name in _SETTINGS:
        old, new = msgspec.to_builtins(getattr(a.file, name)), msgspec.to_builtins(getattr(b.file, name))
        if canonical(old) != canonical(new):
            shown = f"{value_text(old)} -> {value_text(new)}"
            message = "No caller and no model sees it."
            yield Reason(level="patch", code="setting", path=name, message=message, evidence=shown)
    for shown in changed_fragments(a, b):
        message = "Another version of a fragment; its words are compared where they stand."
        yield Reason(level="patch", code="include", path="includes", message=message, evidence=shown)


def _hints(a: Side, b: Side, needed: Level) -> Iterator[str]:
    turning = turning_words(a, b)
    if turning and needed in ("none", "patch"):
        words = ", ".join(f"`{word}`" for word in turning)
        yield f"Few words changed, but {words} came or went: if answers are meant to differ, make it a minor version."
    if needed == "major" and a.file.version.startswith("0."):
        yield "Before 1.0.0 a change that breaks callers is a minor step (semver.org, 4)."


def _is_extra(a: Side, b: Side, name: str) -> bool:
    return any(side.file.model is not None and name in side.file.model.extra for side in (a, b))


def _minor(code: str, path: str, message: str, evidence: str) -> Reason:
    return Reason(level="minor", code=code, path=path, message=message, evidence=evidence)
