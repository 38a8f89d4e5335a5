"""`tidegate secrets`: providers' keys, sealed under the workspace's master key."""

import sys
from typing import Annotated

import typer

from tidegate.control.monitoring.model import Resealed
from tidegate.control.policies.model import SecretInfo
from tidegate.doors.cli.options import Json, Server, Workspace, group
from tidegate.doors.cli.output import ago, print_json, print_table, say
from tidegate.doors.cli.remote import connect, part

__all__ = ["app"]

app = group("Keep providers' keys, sealed.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="What `secret:` of a model in tidegate.yaml says.")]


@app.command("set")
def set_secret(name: Name, workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """Seal a key. It is asked for without echo, or read from stdin; it is never an argument."""
    value = typer.prompt(f"Value of {name}", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
    found = connect(workspace, server).put(f"/secrets/{part(name)}", SecretInfo, {"value": value.strip()})
    if as_json:
        print_json(found)
        return
    say(f"Sealed {found.name} under the master key {found.key_id}. Models that say `secret: {found.name}` use it now.")


@app.command("list")
def list_secrets(workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """List every secret; never a value."""
    found = connect(workspace, server).get("/secrets", list[SecretInfo])
    if as_json:
        print_json(found)
        return
    rows = ((one.name, one.key_id, ago(one.set_at_ms), one.set_by) for one in found)
    print_table(("NAME", "MASTER KEY", "SET", "BY"), rows, empty="There are none. `tidegate secrets set NAME`.")


@app.command()
def remove(name: Name, workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """Forget a secret that no model uses."""
    found = connect(workspace, server).post(f"/secrets/{part(name)}/remove", SecretInfo)
    if as_json:
        print_json(found)
        return
    say(f"{found.name} is forgotten.")


@app.command()
def rotate(workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """Seal every secret and all kept content anew under the current master key, after it was changed."""
    control = connect(workspace, server)
    found = control.post("/secrets/rotate", list[SecretInfo])
    resealed = unopened = 0
    after: str | None = ""
    while after is not None:
        some = control.post("/contents/reseal", Resealed, {"after": after})
        resealed, unopened, after = resealed + some.resealed, unopened + some.unopened, some.next
    if as_json:
        print_json({"secrets": found, "content": {"resealed": resealed, "unopened": unopened}})
        return
    say(f"Sealed anew: {len(found)} secrets, the content of {resealed} calls.")
    if unopened:
        say(f"The content of {unopened} calls is under a master key that is not here, or damaged: it stays as it is.")
    say("Once every gateway has the new key, rotate again; then the old one may leave TIDEGATE_MASTER_KEY_PREVIOUS.")
