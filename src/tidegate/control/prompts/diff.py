"""Two versions of a prompt side by side: text by text, and every setting that changed."""

import difflib
from collections.abc import Iterator

import msgspec

from tidegate.live.snapshot import PromptVersion

__all__ = ["Change", "PromptDiff", "TextDiff", "diff_versions"]


class TextDiff(msgspec.Struct, frozen=True, kw_only=True):
    """How one text changed: `unified` is a unified diff without its head. `before` and `after` are None where there
    is no such text."""

    label: str
    before: str | None
    after: str | None
    unified: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One setting that changed. `path` is dotted; `added` and `removed` tell a value that was not there from null."""

    path: str
    before: object = None
    after: object = None
    added: bool = False
    removed: bool = False


class PromptDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What changed between two versions. Both empty means: they say the same."""

    name: str
    a: str
    b: str
    texts: tuple[TextDiff, ...]
    changes: tuple[Change, ...]

    @property
    def same(self) -> bool:
        """Whether nothing changed."""
        return not self.texts and not self.changes


def diff_versions(a: PromptVersion, b: PromptVersion) -> PromptDiff:
    """Compare two versions; texts are compared in order, settings by name."""
    before, after = _texts(a), _texts(b)
    texts = tuple(
        _text_diff(label, before.get(label), after.get(label))
        for label in dict.fromkeys((*before, *after))
        if before.get(label) != after.get(label)
    )
    changes = tuple(_changes((), _settings(a), _settings(b)))
    return PromptDiff(name=b.name, a=a.version, b=b.version, texts=texts, changes=changes)


def _texts(version: PromptVersion) -> dict[str, str]:
    if version.template is not None:
        return {"template": version.template}
    return {f"messages.{at} ({message.role})": message.content for at, message in enumerate(version.messages)}


def _settings(version: PromptVersion) -> dict[str, object]:
    return {
        "model": version.model,
        "sampling": version.sampling,
        "template_format": version.template_format,
        "params": version.params,
        "output": version.output,
    }


def _text_diff(label: str, before: str | None, after: str | None) -> TextDiff:
    lines = difflib.unified_diff((before or "").splitlines(), (after or "").splitlines(), lineterm="", n=3)
    unified = "\n".join(list(lines)[2:])
    if before is not None and after is not None and not unified:
        unified = "the end of the text: its last line break was added or taken away"
    return TextDiff(label=label, before=before, after=after, unified=unified)


def _changes(path: tuple[str, ...], before: object, after: object) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            place = (*path, str(key))
            if key not in before:
                yield Change(path=".".join(place), after=after[key], added=True)
            elif key not in after:
                yield Change(path=".".join(place), before=before[key], removed=True)
            else:
                yield from _changes(place, before[key], after[key])
    elif before != after or isinstance(before, bool) is not isinstance(after, bool):
        yield Change(path=".".join(path), before=before, after=after)
