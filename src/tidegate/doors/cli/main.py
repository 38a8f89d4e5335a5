"""The command `tidegate`: one table of commands, each in a module that is loaded when it is dispatched."""

import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tidegate.kernel.errors import Invalid, NotFound, TidegateError

if TYPE_CHECKING:
    from typer import TyperException

__all__ = ["COMMANDS", "Command", "command_of", "help_text", "main", "run"]


class Command(NamedTuple):
    """One command. `attribute` is what to take from the module: a Typer (a group), or a function (a plain command)."""

    name: str
    module: str
    help: str
    section: str
    attribute: str = "app"


_HOME = "tidegate.doors.cli."

COMMANDS: tuple[Command, ...] = (
    Command("init", _HOME + "workspace", "Write a new workspace.", "Begin", "init"),
    Command("demo", _HOME + "demo", "Tell the product's story on a real model.", "Begin", "demo"),
    Command("doctor", _HOME + "doctor", "Find what is wrong, and say how to mend it.", "Begin", "doctor"),
    Command("up", _HOME + "process", "Serve the workspace: gateway and control plane.", "Serve", "up"),
    Command("gateway", _HOME + "process", "Run one gateway process.", "Serve", "gateway"),
    Command("control", _HOME + "process", "Run the control plane.", "Serve", "control"),
    Command("model", _HOME + "process", "Run the local model's server.", "Serve", "model"),
    Command("apply", _HOME + "apply", "Check tidegate.yaml and make it hold.", "Change", "apply"),
    Command("config", _HOME + "apply", "Show the configuration that holds.", "Change", "config"),
    Command("prompt", _HOME + "prompt", "Write, check, compare and render prompts.", "Change"),
    Command("release", _HOME + "release", "Deploy prompt versions, roll back, see what is live.", "Change"),
    Command("route", _HOME + "route", "See where calls go, and why.", "Watch"),
    Command("budget", _HOME + "budget", "See what is spent, and what is left.", "Watch"),
    Command("calls", _HOME + "calls", "See what was called, and how it went.", "Watch"),
    Command("audit", _HOME + "audit", "See who changed what.", "Watch", "audit"),
    Command("check", _HOME + "check", "The gate of a pull request: lint to verdict.", "Decide", "check"),
    Command("eval", _HOME + "evaluation", "Evaluate prompts, models and applications on datasets.", "Decide"),
    Command("experiment", _HOME + "experiment", "Try variants on real traffic, and decide.", "Decide"),
    Command("stats", _HOME + "stats", "Compute tests, intervals and sample sizes.", "Decide"),
    Command("keys", _HOME + "keys", "Create, list, expire and revoke API keys.", "Admit"),
    Command("users", _HOME + "users", "Manage users, their roles and tokens.", "Admit"),
    Command("secrets", _HOME + "secrets", "Keep providers' keys, sealed.", "Admit"),
    Command("login", _HOME + "login", "Remember a server and a token.", "Admit", "login"),
    Command("migrate", _HOME + "databases", "Bring the database's schema up to date.", "Keep", "migrate"),
    Command("backup", _HOME + "databases", "Write everything into one archive.", "Keep", "backup"),
    Command("restore", _HOME + "databases", "Bring an archive back.", "Keep", "restore"),
)


def main() -> None:
    """The entry point: runs the command line of this process and exits with its code (0; 1 an error; 2 wrong usage)."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return the exit code. Errors go to stderr as `error: ...` and `mend: ...`."""
    try:
        leading, rest = _split(arguments)
        if not rest or rest[0] in ("--help", "-h", "help"):
            sys.stdout.write(help_text())
            return 0
        if rest[0] in ("--version", "-V"):
            return _print_version()
        command = _find(rest[0])
    except TidegateError as error:
        return _say(error, code=2)
    return _dispatch(command, _with_options(rest[1:], leading))


def help_text() -> str:
    """What `tidegate --help` prints, without loading any command."""
    lines = ["Usage: tidegate [--workspace DIR] COMMAND [ARGS]...", ""]
    lines += ["LLM operations: prompts from Git, a gateway that serves them, and the decisions", "between the two."]
    for section in dict.fromkeys(command.section for command in COMMANDS):
        lines += ["", f"{section}:"]
        lines += [f"  {command.name:<10} {command.help}" for command in COMMANDS if command.section == section]
    lines += ["", "`tidegate COMMAND --help` tells more; `--json` gives output for machines."]
    return "\n".join(lines) + "\n"


def command_of(command: Command) -> Any:
    """Load a command's module and return what runs: Typer's own command or group, whose type it does not publish."""
    import typer  # noqa: PLC0415  # lazy: `tidegate --help` needs no Typer
    import typer.main  # noqa: PLC0415  # lazy: as above

    found = getattr(importlib.import_module(command.module), command.attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    alone = typer.Typer(rich_markup_mode=None, add_completion=False)
    alone.command(name=command.name)(found)
    return typer.main.get_command(alone)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the options before the command (`--workspace DIR`) from the rest."""
    leading: list[str] = []
    rest = list(arguments)
    while rest and (rest[0] in ("--workspace", "-w") or rest[0].startswith("--workspace=")):
        width = 1 if "=" in rest[0] else 2
        if len(rest) < width:
            raise Invalid("--workspace needs a folder.", mend="Write --workspace DIR.", code="usage")
        leading += rest[:width]
        rest = rest[width:]
    return leading, rest


def _with_options(arguments: list[str], options: list[str]) -> list[str]:
    """Hand options that stood before the command to the command itself, ahead of a `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [*arguments[:end], *options, *arguments[end:]]


def _find(name: str) -> Command:
    for command in COMMANDS:
        if command.name == name:
            return command
    kind = "option" if name.startswith("-") else "command"
    known = ["--help", "--version", "--workspace"] if kind == "option" else [command.name for command in COMMANDS]
    raise NotFound(kind, name, known=known, mend="See `tidegate --help`.")


def _dispatch(command: Command, arguments: list[str]) -> int:
    import typer  # noqa: PLC0415  # lazy: `tidegate --help` needs no Typer

    try:
        result = command_of(command).main(arguments, prog_name=f"tidegate {command.name}", standalone_mode=False)
    except TidegateError as error:
        return _say(error, code=1)
    except typer.TyperException as error:
        return _usage(error, command)
    except typer.Abort:
        return _say(Invalid("Stopped; nothing more was done.", code="aborted"), code=1)
    return result if isinstance(result, int) else 0


def _usage(error: "TyperException", command: Command) -> int:
    """Print what was wrong with the words of a command line; a bare group shows its help."""
    message = error.format_message()
    if message.startswith("Usage:"):
        sys.stderr.write(message + "\n")
        return error.exit_code
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else f"tidegate {command.name}"
    return _say(Invalid(message, mend=f"See `{path} --help`."), code=error.exit_code)


def _say(error: TidegateError, *, code: int) -> int:
    place = str(error).partition(error.message)[0]
    sys.stderr.write(f"error: {place}{error.message}\n")
    if error.mend:
        sys.stderr.write(f"mend: {error.mend}\n")
    return code


def _print_version() -> int:
    from tidegate import __version__  # noqa: PLC0415  # lazy: reads the package's metadata

    sys.stdout.write(f"tidegate {__version__}\n")
    return 0
