"""`tidegate eval`: one table of verbs, each in a module that is loaded when it is called. A line joins another one."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

import typer
import typer.core
import typer.main

__all__ = ["VERBS", "Verb", "app"]


class Verb(NamedTuple):
    """One verb. `attribute` is what to take from the module: a function (a command) or a Typer (a group below it);
    `kind`, the class of a command that reads its words in a way of its own.
    """

    name: str
    module: str
    attribute: str
    kind: str = ""


_HOME = "tidegate.doors.cli."

VERBS: tuple[Verb, ...] = (
    Verb("run", _HOME + "evalrun", "run", "Resuming"),
    Verb("list", _HOME + "evalruns", "list_runs"),
    Verb("show", _HOME + "evalruns", "show"),
    Verb("clean", _HOME + "evalruns", "clean_up"),
    Verb("compare", _HOME + "comparing", "compare"),
    Verb("gate", _HOME + "comparing", "gate"),
    Verb("report", _HOME + "comparing", "report"),
    Verb("dataset", _HOME + "datasets", "app"),
    Verb("scores", _HOME + "datasets", "scores"),
)


class _Verbs(Mapping[str, Any]):
    """The verbs by name, each loaded when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        verb = next((one for one in VERBS if one.name == name), None)
        if verb is None:
            raise KeyError(name)
        module = importlib.import_module(verb.module)
        found = getattr(module, verb.attribute)
        if isinstance(found, typer.Typer):
            below = typer.main.get_group(found)
            below.name = name
            return below
        alone = typer.Typer(rich_markup_mode=None, add_completion=False)
        alone.command(name=name, cls=getattr(module, verb.kind) if verb.kind else None)(found)
        return typer.main.get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return (verb.name for verb in VERBS)

    def __len__(self) -> int:
        return len(VERBS)


class _Evaluation(typer.core.TyperGroup):
    """The group: its commands are those of the table."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast("Any", _Verbs())


app = typer.Typer(
    cls=_Evaluation,
    help="Evaluate prompts, models and applications on datasets; compare and gate what was found.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
)


@app.callback()
def _evaluation() -> None:
    """Evaluate prompts, models and applications on datasets; compare and gate what was found."""
