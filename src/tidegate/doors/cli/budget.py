"""`tidegate budget`: what is spent, and what is left."""

from typing import Annotated

import typer

from tidegate.control.spend.model import BudgetState
from tidegate.doors.cli.options import Json, Server, Workspace, group
from tidegate.doors.cli.output import ago, print_json, print_table, say, share_text
from tidegate.doors.cli.remote import connect, part
from tidegate.kernel.money import usd_text

__all__ = ["app"]

app = group("See what is spent, and what is left.")

HEAD = ("BUDGET", "FOR", "WINDOW", ">SPENT", ">HELD", ">CAP", ">%", "STATE", "RESETS")
MONEY = "nano_usd"


@app.command("list")
def list_budgets(
    limits: Annotated[bool, typer.Option("--all", "-a", help="Limits on requests, tokens and calls too.")] = False,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """List where every budget stands in its present window."""
    found = connect(workspace, server).get("/budgets", list[BudgetState])
    shown = [state for state in found if limits or state.unit == MONEY]
    if as_json:
        print_json(shown)
        return
    empty = "There are no budgets. Write one under `budgets` in tidegate.yaml, then `tidegate apply`."
    print_table(HEAD, map(_row, shown), empty=empty)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name under `budgets` or `limits`.")],
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Show every counter of one budget or limit, the most spent first."""
    found = connect(workspace, server).get(f"/budgets/{part(name)}", list[BudgetState])
    if as_json:
        print_json(found)
        return
    print_table(HEAD, map(_row, found), empty=f"Nothing counts under {name} in its present window yet.")


@app.command()
def rebuild(workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """Set the counters to what the call log says, when their store has lost them (Redis emptied or restored)."""
    found = connect(workspace, server).post("/counters/rebuild", list[BudgetState])
    if as_json:
        print_json(found)
        return
    say(f"Rebuilt from the call log: {len(found)} counters. Gateways go on with their next call.")
    print_table(HEAD, map(_row, found), empty="No call of a present window was in the log.")


def _row(state: BudgetState) -> tuple[object, ...]:
    words = ", ".join(f"{word}={value or '(none)'}" for word, value in state.words.items())
    return (
        state.name,
        words or "all",
        state.window if state.per else "now",
        _amount(state.settled, state.unit),
        _amount(state.held, state.unit),
        _amount(state.cap, state.unit),
        share_text(state.share_bp),
        state.state if state.hard else f"{state.state} (warns)",
        ago(state.ends_at_ms) if state.per else "-",
    )


def _amount(amount: int, unit: str) -> str:
    return usd_text(amount) if unit == MONEY else str(amount)
