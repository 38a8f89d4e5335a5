"""`tidegate login`: remember a server and a token."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tidegate.control.identity.model import Actor
from tidegate.doors.cli.logins import Login, write_login
from tidegate.doors.cli.options import Json
from tidegate.doors.cli.output import clean, print_json, say
from tidegate.doors.cli.remote import Remote
from tidegate.doors.cli.trust import check_way
from tidegate.kernel.errors import Invalid

__all__ = ["login"]


def login(
    server: Annotated[str, typer.Option("--server", metavar="URL", help="The control plane's address.")],
    token: Annotated[
        str | None, typer.Option("--token", metavar="T", help="The token; `-` reads it from stdin, absent asks for it.")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", metavar="FILE", help="Who vouches for its certificate, in PEM.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a token with a server and remember both, for this user only."""
    address = server.rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise Invalid(
            f"{server!r} is no address.", mend="Write http://HOST:PORT or https://HOST.", code="invalid_server"
        )
    check_way(address, os.environ)
    if token is None:
        token = typer.prompt("Token", hide_input=True)
    elif token == "-":  # noqa: S105  # the word for stdin
        token = sys.stdin.readline()
    found = Login(address, token.strip(), str(ca_file.resolve()) if ca_file is not None else None)
    remote = Remote(found)
    try:
        actor = remote.get("/whoami", Actor)
    finally:
        remote.close()
    file = write_login(found)
    if as_json:
        print_json({"server": address, "user": actor.name, "roles": actor.roles, "file": str(file)})
        return
    say(f"Logged in to {address} as {clean(actor.name)} ({', '.join(actor.roles)}).")
    say(f"Remembered in {file}, which only you can read.")
    if address.startswith("http://") and not remote.is_local:
        say("Note: this is plain HTTP. Whoever can listen on the way can read the token.")
