"""`tidegate calls`: what was called, and how it went."""

import time
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from tidegate.control.monitoring.model import CallContent, CallPage, CallRecord, Erasure, Gap, PairPage
from tidegate.doors.cli import callrows
from tidegate.doors.cli.options import Json, Server, Workspace, group
from tidegate.doors.cli.output import ago, clean, date_text, print_json, print_line, print_table, say
from tidegate.doors.cli.remote import Remote, connect, part

__all__ = ["app"]

app = group("See what was called, and how it went.")

POLL_S = 0.5
Word = str | None


@app.command()
def tail(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new calls until stopped.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many of the newest calls.")] = 20,
    key: Annotated[Word, typer.Option("--key", metavar="ID", help="Only calls with this key.")] = None,
    prompt: Annotated[Word, typer.Option("--prompt", metavar="NAME", help="Only calls of this prompt.")] = None,
    version: Annotated[Word, typer.Option("--version", help="Only calls of this version.")] = None,
    environment: Annotated[Word, typer.Option("--env", "-e", help="Only calls in this environment.")] = None,
    ending: Annotated[
        Word, typer.Option("--ending", help="complete, cut, timeout, cancelled, blocked, refused, failed.")
    ] = None,
    origin: Annotated[
        str, typer.Option("--origin", metavar="WHOSE", help="user, shadow, probe, eval, judge, or all.")
    ] = "user",
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Print the newest calls, the newest last; --json prints one JSON object a line."""
    remote = connect(workspace, server)
    wanted = {"key": key, "prompt": prompt, "version": version, "environment": environment, "ending": ending}
    wanted["origin"] = None if origin == "all" else origin
    width = callrows.terminal_width()
    told = False
    for page in _pages(remote, wanted, limit, follow):
        if not as_json and not told:
            say(callrows.head(width) if page.calls or follow else "There are no such calls yet.")
            told = True
        for call in page.calls:
            if as_json:
                print_line(call)
            else:
                callrows.print_row(call, width)


@app.command()
def show(
    call_id: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="The call's id, or how it ends (6 digits or more); else the newest."),
    ] = None,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Print everything that is known of one call."""
    remote = connect(workspace, server)
    if call_id is None:
        newest = remote.get("/calls", CallPage, limit=1).calls
        if not newest:
            say("There are no calls yet.")
            return
        call = newest[-1]
    else:
        call = remote.get(f"/calls/{part(call_id)}", CallRecord)
    if as_json:
        print_json(call)
        return
    for line in callrows.every_field(call):
        say(line)


@app.command()
def gaps(workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """Print the call records of the last 24 hours that were lost: holes in the gateways' numbers."""
    found = connect(workspace, server).get("/calls/gaps", list[Gap])
    if as_json:
        print_json(found)
        return
    print_table(
        (">LOST", "NUMBERS", "BEFORE", "GATEWAY"),
        ((gap.lost, f"{gap.first}-{gap.last}", ago(gap.before_ms), gap.gateway_id) for gap in found),
        empty="No call record was lost.",
    )


@app.command()
def pairs(
    route: Annotated[Word, typer.Option("--route", metavar="ALIAS", help="Only pairs of this route.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many of the newest pairs.")] = 20,
    before: Annotated[Word, typer.Option("--before", metavar="ID", help="Only older ones: `next` of the page.")] = None,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Print users' calls beside their copies for a candidate, newest first. KEPT: whether what was said is kept."""
    found = connect(workspace, server).get("/calls/pairs", PairPage, route=route, limit=limit, before=before)
    if as_json:
        print_json(found)
        return
    print_table(
        ("ROUTE", "WHOSE", "ANSWERED BY", "ENDING", ">LATENCY", ">COST", "KEPT", "ID"),
        (row for pair in found.pairs for row in callrows.pair_rows(pair)),
        empty="There are no pairs: no route with `shadow` was called yet.",
    )
    if found.next is not None:
        say(f"Older ones: --before {found.next}")


@app.command()
def content(
    call_id: Annotated[str, typer.Argument(metavar="ID", help="The call's id, or how it ends (6 digits or more).")],
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Print what was said in one call, if its route keeps content. Who reads it is audited."""
    found = connect(workspace, server).get(f"/calls/{part(call_id)}/content", CallContent)
    if as_json:
        print_json(found)
        return
    pair = f", the shadow of {found.shadow_of}" if found.shadow_of else ""
    say(clean(f"{found.call_id}: {found.endpoint} on {found.route}, {date_text(found.at_ms)}{pair}"))
    say(f"It goes {ago(found.expires_at_ms)}.")
    for name, said in (("request", found.request), ("answer", found.answer)):
        text = said if isinstance(said, str) else msgspec.json.format(msgspec.json.encode(said)).decode()
        say(f"\n{name}:")
        for line in text.splitlines():
            say(clean(line))


@app.command()
def erase(
    subject: Annotated[
        str, typer.Option("--subject", metavar="WHO", help="Whom applications name as x-tidegate-unit, or as `user`.")
    ],
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Erase what was kept of one person's calls, and print a receipt. Call records stay; they hold no content."""
    found = connect(workspace, server).post("/contents/erase", Erasure, {"subject": subject})
    if as_json:
        print_json(found)
        return
    say(f"Erased the content of {found.erased} calls at {date_text(found.erased_at_ms)}.")
    say(f"The audit names the subject by its hash: {found.subject_hash}.")
    if found.unchecked:
        say(
            f"{found.unchecked} rows are sealed under a master key that is not here: whose they are cannot be told. "
            "Put the old key into TIDEGATE_MASTER_KEY_PREVIOUS and erase again, or let them expire."
        )


def _pages(remote: Remote, wanted: dict[str, str | None], limit: int, follow: bool) -> Iterator[CallPage]:
    """The newest calls, then whatever is stored since, for as long as somebody follows."""
    page = remote.get("/calls", CallPage, limit=limit, **wanted)
    yield page
    while follow:
        time.sleep(POLL_S)
        page = remote.get("/calls", CallPage, limit=1000, cursor=page.cursor, **wanted)
        yield page
