"""The page `docs/reference/cli.md`, made from the commands' own help: run this module to print it."""

import sys
from collections.abc import Iterator
from typing import Any

from tidegate.doors.cli.main import COMMANDS, command_of, help_text

__all__ = ["reference_text"]

WIDTH = 80
HEAD = """\
# Commands

<!-- Made by `python -m tidegate.doors.cli.reference`; a test holds it against the code. -->

Errors go to stderr as `error: ...` and `mend: ...`. Exit codes: 0 done, 1 an error, 2 wrong usage, 130 interrupted.
Commands that speak to control find it by themselves inside a workspace; elsewhere by `--server URL`, by
`TIDEGATE_SERVER` and `TIDEGATE_TOKEN`, or by what `tidegate login` remembers.

"""


def reference_text() -> str:
    """The page."""
    parts = [HEAD + _block(help_text())]
    for command in COMMANDS:
        name = f"tidegate {command.name}"
        parts.append(f"## {name}\n\n{_block(_help(name, found := command_of(command)))}")
        parts += [f"### {path}\n\n{_block(_help(path, under))}" for path, under in _below(name, found)]
    return "\n".join(parts)


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The commands of a group, with their whole names."""
    for word, under in getattr(command, "commands", {}).items():
        yield f"{name} {word}", under
        yield from _below(f"{name} {word}", under)


def _help(name: str, command: Any) -> str:
    context = command.context_class(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines()) + "\n"


def _block(text: str) -> str:
    return f"```text\n{text}```\n"


if __name__ == "__main__":
    sys.stdout.write(reference_text())
