"""`tidegate users`: who may change things, with which roles and tokens."""

from typing import Annotated

import typer

from tidegate.control.identity.model import Token, User
from tidegate.doors.cli.options import Json, Server, Workspace, group
from tidegate.doors.cli.output import ago, print_json, print_table, say
from tidegate.doors.cli.remote import connect, part

__all__ = ["app"]

app = group("Manage users, their roles and tokens.")

Name = Annotated[str, typer.Argument(help="The user's name.")]
Roles = Annotated[list[str], typer.Option("--role", "-r", help="editor, reviewer, deployer, admin; repeat it.")]


@app.command()
def create(name: Name, role: Roles, workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """Create a user. A first token is printed this once."""
    found = connect(workspace, server).post("/users", dict[str, object], {"name": name, "roles": role})
    _print_token(found, as_json)


@app.command("list")
def list_users(workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """List every user, disabled ones too."""
    users = connect(workspace, server).get("/users", list[User])
    if as_json:
        print_json(users)
        return
    rows = ((user.name, ", ".join(user.roles), _state(user), ago(user.created_at_ms)) for user in users)
    print_table(("NAME", "ROLES", "STATE", "CREATED"), rows, empty="There are no users.")


@app.command()
def roles(name: Name, role: Roles, workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """Give a user exactly these roles."""
    user = connect(workspace, server).post(f"/users/{part(name)}/roles", User, {"roles": role})
    if as_json:
        print_json(user)
        return
    say(f"{user.name} is now {', '.join(user.roles)}.")


@app.command()
def disable(name: Name, workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """Make all of a user's tokens useless."""
    user = connect(workspace, server).post(f"/users/{part(name)}/disable", User)
    if as_json:
        print_json(user)
        return
    say(f"{user.name} is disabled: none of the tokens opens anything.")


@app.command()
def token(name: Name, workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """Issue a user another token, printed this once."""
    _print_token(connect(workspace, server).post(f"/users/{part(name)}/tokens", dict[str, object]), as_json)


@app.command()
def tokens(name: Name, workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """List a user's tokens; never a secret."""
    found = connect(workspace, server).get(f"/users/{part(name)}/tokens", list[Token])
    if as_json:
        print_json(found)
        return
    rows = (
        (one.prefix, "revoked" if one.revoked_at_ms else "living", ago(one.created_at_ms), one.token_id)
        for one in found
    )
    print_table(("TOKEN", "STATE", "CREATED", "ID"), rows, empty=f"{name} has no tokens.")


@app.command("revoke-token")
def revoke_token(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id, see `users tokens`.")],
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Make one token useless."""
    found = connect(workspace, server).post(f"/tokens/{part(token_id)}/revoke", Token)
    if as_json:
        print_json(found)
        return
    say(f"The token {found.prefix} of {found.user} is revoked.")


def _print_token(found: dict[str, object], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    say(str(found["token"]))
    say()
    say(f"This is the only time that this token of {found['user']} is shown. Its owner runs:")
    say("  tidegate login --server URL --token -")


def _state(user: User) -> str:
    return "living" if user.disabled_at_ms is None else f"disabled {ago(user.disabled_at_ms)}"
