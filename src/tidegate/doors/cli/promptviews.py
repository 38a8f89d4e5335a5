"""How lint reports, versions, differences and renderings look on a terminal."""

import os
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from tidegate.app.prompts_local import LintReport, PromptDiff, Rendered, Shown
from tidegate.doors.cli.output import clean, say

__all__ = ["print_diff", "print_lint", "print_prompt", "print_rendered"]

_STYLES = {"error": "bold red", "warning": "bold yellow"}


def print_lint(report: LintReport) -> None:
    """One line for each finding, as editors read it (`file:line:col: error code: message`), its mend below."""
    for fault in report.faults:
        place = f"{_from_here(report.root, fault.file)}:{fault.line}:{fault.column}: "
        head = Text(place).append(fault.severity, _STYLES[fault.severity])
        _print(head.append(f" {fault.code}: {clean(fault.message)}"))
        if fault.mend:
            _print(Text(f"    mend: {clean(fault.mend)}", "dim"))
    counts = f"{_count(report.errors, 'error')}, {_count(report.warnings, 'warning')}" if report.faults else "all good"
    say(f"{_count(report.files, 'file')} checked: {counts}.")


def print_prompt(shown: Shown) -> None:
    """A version: what it is, then its texts as the model gets them, templates unfilled."""
    prompt = shown.prompt
    say(f"{prompt.name} {prompt.version}  ({shown.path})")
    say(f"content hash  {prompt.content_hash}")
    say(f"model         {clean(prompt.model)}")
    if prompt.sampling:
        say(f"sampling      {_json(prompt.sampling)}")
    properties = prompt.params.get("properties")
    required = prompt.params.get("required")
    needed = required if isinstance(required, list) else []
    names = (
        [f"{name}{'' if name in needed else ' (optional)'}" for name in properties]
        if isinstance(properties, dict)
        else []
    )
    say(f"variables     {clean(', '.join(names)) or 'none'}")
    for message in prompt.messages:
        _print_text(message.role, message.content)
    if prompt.template is not None:
        _print_text("text", prompt.template)


def print_diff(diff: PromptDiff) -> None:
    """Texts as coloured unified diffs, settings as `path: before -> after`."""
    say(f"{diff.name} {diff.a} -> {diff.b}")
    if diff.same:
        say("They say the same.")
    for text in diff.texts:
        _print(Text(f"\n{text.label}", "bold"))
        for line in text.unified.split("\n"):
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            _print(Text(_shown(line), style))
    if diff.changes:
        _print(Text("\nsettings", "bold"))
    for change in diff.changes:
        before = "(none)" if change.added else _json(change.before)
        after = "(none)" if change.removed else _json(change.after)
        _print(Text(f"{clean(change.path)}: ").append(before, "red").append(" -> ").append(after, "green"))


def print_rendered(rendered: Rendered) -> None:
    """The filled texts, each below its role."""
    if rendered.text is not None:
        say(_shown(rendered.text))
    for message in rendered.messages or ():
        _print_text(message["role"], message["content"])


def _print_text(head: str, text: str) -> None:
    _print(Text(f"\n[{head}]", "bold"))
    say(_shown(text).rstrip("\n"))


def _shown(text: str) -> str:
    """A text as it may be printed: its line breaks stay, escape sequences go."""
    return "\n".join(clean(line.replace("\t", "    ")) for line in text.split("\n"))


def _json(value: object) -> str:
    return clean(msgspec.json.encode(value).decode())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _from_here(root: str, file: str) -> str:
    """The file's path from the current folder, so that editors and terminals can jump to it."""
    path = Path(root, file)
    return clean(os.path.relpath(path) if path.is_relative_to(Path.cwd()) else path)


def _print(text: Text) -> None:
    Console(highlight=False, soft_wrap=True).print(text)
