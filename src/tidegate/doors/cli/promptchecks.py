"""`tidegate prompt check`: whether a version's number tells how large its change is."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from tidegate.app.bumping import BumpCheck, Reason, checked_bumps
from tidegate.app.prompts_local import open_prompts
from tidegate.doors.cli.options import Json, Workspace, named_folder
from tidegate.doors.cli.output import clean, print_json

__all__ = ["check", "print_bumps"]

_STYLES = {"major": "red", "minor": "yellow", "patch": "green", "none": "dim"}


def check(
    target: Annotated[
        str | None,
        typer.Argument(metavar="[NAME[@VERSION]]", help="A prompt; without a version, the newest. [default: all]"),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="VERSION|REF", help="Compare with this version, or with a Git commit's."),
    ] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Hold a version's number against what changed; exits with 1 when it is too small."""
    name, _, version = (target or "").partition("@")
    prompts = open_prompts(named_folder(workspace), Path.cwd())
    found = checked_bumps(prompts, name or None, version or None, against)
    if as_json:
        print_json(found)
    else:
        print_bumps(found, everything=target is not None)
    if any(one.answer == "too_small" for one in found):
        raise typer.Exit(1)


def print_bumps(found: list[BumpCheck], *, everything: bool) -> None:
    """A line for each version, and below it every reason (of a right one only when `everything` is asked for)."""
    for one in found:
        _print(_head(one))
        shown = one.reasons if everything or one.answer in ("too_small", "too_large") else ()
        for reason in shown:
            _print_reason(reason)
        for hint in one.hints:
            _print(Text(f"  hint: {clean(hint)}", "yellow"))
        if one.answer in ("too_small", "too_large"):
            _print(Text(f"  mend: {_mend(one)}", "dim"))


def _head(one: BumpCheck) -> Text:
    head = Text(f"{one.name} {one.version}: ")
    if one.against is None:
        return head.append("first version", "dim").append(", nothing to compare with.")
    at = f" at {one.against_ref}" if one.against_ref else ""
    since = f"since {one.against}{at}"
    if one.answer == "right":
        return head.append("right", "green").append(f", a {one.bump} step: {_size(one)} {since}{_ratio(one)}.")
    word = "error" if one.answer == "too_small" else "warning"
    said = "too small" if one.answer == "too_small" else "larger than needed"
    head.append(f"{word} bump_{one.answer}", "bold red" if word == "error" else "bold yellow")
    return head.append(f": a {one.bump} step is {said}. {_size(one).capitalize()} {since}{_ratio(one)}.")


def _size(one: BumpCheck) -> str:
    return "nothing changed" if one.needed == "none" else f"the change is {one.needed}"


def _ratio(one: BumpCheck) -> str:
    return f" (edit ratio {one.edit_ratio:.3g})" if one.edit_ratio else ""


def _mend(one: BumpCheck) -> str:
    if one.answer == "too_large":
        return f"{one.right_version} is enough."
    right = one.right_version
    return f"Move prompts/{one.name}/v{one.version}.yaml to v{right}.yaml, and write `version: {right}` in it."


def _print_reason(reason: Reason) -> None:
    line = Text("  ").append(f"{reason.level:<5}", _STYLES[reason.level])
    _print(line.append(f" {clean(reason.path)}: {clean(reason.message)}"))
    for shown in reason.evidence.split("\n") if reason.evidence else ():
        _print(Text(f"          {clean(shown)}", "dim"))


def _print(text: Text) -> None:
    Console(highlight=False, soft_wrap=True).print(text)
