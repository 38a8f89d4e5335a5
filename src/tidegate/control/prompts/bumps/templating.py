"""What changed in the texts: their structure, where variables stand, what is decided in them, and their words."""

import difflib
from collections.abc import Iterator

from tidegate.control.prompts.bumps.model import Reason
from tidegate.control.prompts.bumps.sides import Side, Text
from tidegate.control.prompts.bumps.words import Edits, edits, tokens

__all__ = ["SMALL", "changed_fragments", "edit_ratio", "structure", "turning_words", "wording"]

SMALL = 0.2
"""The share of words up to which an edit is a matter of wording."""

OWN_WORDS = 30
"""From so many words on a text is judged by itself too: a rewritten rule does not hide behind long examples."""

INSTRUCTIONS = ("system", "developer")
MAX_EVIDENCE = 160


def structure(a: Side, b: Side) -> Iterator[Reason]:
    """Messages that came, went or changed places; variables that moved to another role; the template's format."""
    if a.file.kind != b.file.kind:
        yield _major("kind", "kind", f"A {a.file.kind} became a {b.file.kind}.", f"{a.file.kind} -> {b.file.kind}")
    if a.file.template_format != b.file.template_format:
        shown = f"{a.file.template_format} -> {b.file.template_format}"
        yield _major("template_format", "template_format", "Templates are read in another way.", shown)
    if a.roles != b.roles:
        yield _major("roles", "messages", _roles_message(a, b), f"{', '.join(a.roles)} -> {', '.join(b.roles)}")
        return
    before, after = _roles_of_variables(a), _roles_of_variables(b)
    for name in sorted(before.keys() & after.keys()):
        left, came = before[name] - after[name], after[name] - before[name]
        into = came & set(INSTRUCTIONS)
        if (left and came) or into:
            where = next(text.path for text in b.texts if name in text.variables and text.role in (into or came))
            said = "moved to another role" if left else "stands among the instructions now"
            shown = f"{_listed(before[name])} -> {_listed(after[name])}"
            yield _major("variable_moved", where, f"The variable `{name}` {said}.", shown)


def wording(a: Side, b: Side) -> Iterator[Reason]:
    """Edited words, and what the templates decide, of versions whose messages have the same roles."""
    if a.roles != b.roles or a.file.template_format != b.file.template_format:
        return
    total = _total(a, b)
    for text, other in _changed(a, b):
        logic = _logic(text, other, a.file.template_format)
        if logic is not None:
            message = "What is put in, or when, changed; not only words."
            yield Reason(level="minor", code="logic", path=other.path, message=message, evidence=logic)
        found = edits(text.content, other.content, a.file.template_format)
        shown = _line(text.content, other.content)
        if not found.edited:
            said = "Only spaces, punctuation, capitals or comments changed."
            yield Reason(level="patch", code="layout", path=other.path, message=said, evidence=shown)
            continue
        own = found.words >= OWN_WORDS and found.ratio > SMALL
        if own or total.ratio > SMALL:
            which = found if own else total
            whole = "" if own else " of all texts"
            message = f"{_share(which)}{whole}, more than {SMALL:g}: that is new behaviour."
            yield Reason(level="minor", code="rewritten", path=other.path, message=message, evidence=shown)
        else:
            message = f"{_share(found)}, {total.ratio:.3g} of all texts: wording."
            yield Reason(level="patch", code="wording", path=other.path, message=message, evidence=shown)


def edit_ratio(a: Side, b: Side) -> float | None:
    """Edited words over all words of the longer texts; None where texts do not stand opposite each other."""
    if a.roles != b.roles or a.file.template_format != b.file.template_format:
        return None
    return _total(a, b).ratio


def turning_words(a: Side, b: Side) -> tuple[str, ...]:
    """Words such as `not` and `only` that came or went in small edits."""
    if a.roles != b.roles:
        return ()
    found = (edits(one.content, other.content, a.file.template_format) for one, other in _changed(a, b))
    return tuple(sorted({word for one in found if one.ratio <= SMALL for word in one.turning}))


def changed_fragments(a: Side, b: Side) -> tuple[str, ...]:
    """Included fragments of another version, as `name 1.0.0 -> 1.1.0`."""
    before = {one.name: one.version for one in a.file.includes}
    after = {one.name: one.version for one in b.file.includes}
    return tuple(
        f"{name} {before.get(name, '(none)')} -> {after.get(name, '(none)')}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    )


def _changed(a: Side, b: Side) -> Iterator[tuple[Text, Text]]:
    pairs = zip(a.texts, b.texts, strict=False)
    return ((one, other) for one, other in pairs if one.content != other.content)


def _total(a: Side, b: Side) -> Edits:
    form = a.file.template_format
    each = [edits(one.content, other.content, form) for one, other in zip(a.texts, b.texts, strict=False)]
    return Edits(sum(one.edited for one in each), sum(one.words for one in each))


def _logic(before: Text, after: Text, form: str) -> str | None:
    """The first tag or placeholder that differs; None when the same ones stand in the same order."""
    one, other = (
        [word for word in tokens(text.content, form) if word.startswith(("{%", "{{"))] for text in (before, after)
    )
    if one == other:
        return None
    lines = [line for line in difflib.ndiff(one, other) if line[:1] in "+-"]
    return _short("; ".join(lines))


def _roles_message(a: Side, b: Side) -> str:
    if len(a.roles) != len(b.roles):
        return f"The prompt has {_count(len(b.roles), 'message')} instead of {len(a.roles)}."
    same = sorted(a.roles) == sorted(b.roles)
    return "The order of the roles changed." if same else "The roles of the messages changed."


def _roles_of_variables(side: Side) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for text in side.texts:
        for name in text.variables:
            found.setdefault(name, set()).add(text.role)
    return found


def _share(found: Edits) -> str:
    return f"{found.edited} of {_count(found.words, 'word')} edited, a ratio of {found.ratio:.3g}"


def _line(before: str, after: str) -> str:
    """The first line that went and the first that came."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[2:]
    gone = next((line for line in lines if line.startswith("-")), "")
    came = next((line for line in lines if line.startswith("+")), "")
    return "\n".join(_short(line) for line in (gone, came) if line)


def _short(text: str) -> str:
    return text if len(text) <= MAX_EVIDENCE else f"{text[: MAX_EVIDENCE - 3]}..."


def _listed(roles: set[str]) -> str:
    return ", ".join(sorted(roles))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _major(code: str, path: str, message: str, evidence: str) -> Reason:
    return Reason(level="major", code=code, path=path, message=message, evidence=evidence)
