"""`tidegate eval dataset`: golden datasets that grow from traffic, and redaction; `tidegate eval scores`."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from tidegate.app.datasets_local import clean_file, dataset_file, grow, read_patterns
from tidegate.control.evals.growing.model import MOST_CASES, Drawn, Wanted, score_filter
from tidegate.control.evals.online.model import Standing
from tidegate.doors.cli.options import Json, Server, Workspace, folder_of, group
from tidegate.doors.cli.output import print_json, print_table, say
from tidegate.doors.cli.remote import connect
from tidegate.kernel.errors import Invalid
from tidegate.kernel.plain import count_of

__all__ = ["app", "scores"]

app = group("Golden datasets: add cases from calls, take out what points to a person.")

FIELDS = ("prompt", "version", "environment", "route", "key")
SAME = MappingProxyType({"env": "environment"})
ALWAYS = MappingProxyType({"ending": "complete", "origin": "user"})
NANO = 1_000_000_000

Own = Annotated[
    Path | None,
    typer.Option("--redact-with", metavar="FILE", help="Patterns of your own, too: YAML, a line `name: PATTERN` each."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="datasets/NAME.jsonl of the workspace, or a .jsonl file.")]


@app.command()
def add(
    name: Name,
    from_calls: Annotated[bool, typer.Option("--from-calls", help="Draw the cases from kept calls of users.")] = False,
    prompt: Annotated[str | None, typer.Option("--prompt", metavar="NAME", help="Only calls of this prompt.")] = None,
    version: Annotated[str | None, typer.Option("--version", metavar="X.Y.Z", help="Only of this version.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="FIELD=VALUE", help="Only calls of this environment, route or key; repeat it."),
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option("--score", metavar="NAME<0.5", help="Only calls whose score compares so; repeat it."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=MOST_CASES, help="The newest N of them.")
    ] = 50,
    expect_answers: Annotated[
        bool, typer.Option("--expect-answers", help="What was answered is what is expected from now on.")
    ] = False,
    redact_with: Own = None,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Add cases from calls behind those of a dataset, redacted, each once. Needs the right content.read."""
    if not from_calls:
        raise Invalid("Where from?", mend="Say --from-calls: the calls whose content is kept.", code="no_source")
    own = read_patterns(redact_with)
    file = dataset_file(name, folder_of(workspace) if not name.endswith(".jsonl") else Path())
    fields = _fields(where or ()) | {name: one for name, one in (("prompt", prompt), ("version", version)) if one}
    scores = tuple(score_filter(one) for one in score or ())
    given: dict[str, Any] = {**fields, "scores": scores, "answers": expect_answers, "limit": limit}
    wanted = Wanted(**given)
    drawn = connect(workspace, server).post("/evaluations/cases", Drawn, wanted)
    grown = grow(file, drawn.cases, own, expected=expect_answers)
    if as_json:
        print_json({"grown": grown, "looked_at": drawn.looked_at, "left_out": drawn.left_out,
                    "redactions": _sum(drawn.redactions, grown.redactions)})  # fmt: skip
        return
    say(f"{count_of(grown.added, 'case')} added to {grown.file}; it has {grown.cases:,} now.")
    if grown.known:
        say(f"{count_of(grown.known, 'case')} of {len(drawn.cases):,} were there already.")
    _tell_redacted(_sum(drawn.redactions, grown.redactions))
    _tell_left_out(drawn)
    if grown.added:
        say(f"Look them through before you commit them. sha256: {grown.sha256}")


@app.command()
def redact(
    name: Name,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to; else in place.")] = None,
    redact_with: Own = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Take out of a dataset what points to a person or opens a door; needs no server."""
    file = dataset_file(name, folder_of(workspace) if not name.endswith(".jsonl") else Path())
    cleaned = clean_file(file, out or file, read_patterns(redact_with))
    if as_json:
        print_json(cleaned)
        return
    say(f"{count_of(cleaned.cases, 'case')} written to {cleaned.file}. sha256: {cleaned.sha256}")
    _tell_redacted(cleaned.redactions)


def scores(workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """Print how the scoring of users' calls went in the last 24 hours."""
    found = connect(workspace, server).get("/evaluations/scores", list[Standing])
    if as_json:
        print_json(found)
        return
    print_table(
        ("WHAT", "ARM", "SCORER", ">MEAN", ">SCORED", ">WAITING", ">COST", "FAILED"),
        (
            (
                one.about,
                one.arm or "-",
                one.scorer,
                "-" if one.mean is None else f"{one.mean:.3f}",
                one.scored,
                one.waiting,
                f"${one.cost_nano_usd / NANO:.4f}",
                ", ".join(f"{count} {code}" for code, count in sorted(one.failed.items())) or "-",
            )
            for one in found
        ),
        empty="No call was scored: give a route `scoring`, or start a rollout with a scored gate.",
    )


def _fields(pairs: list[str] | tuple[()]) -> dict[str, str]:
    """`FIELD=VALUE` as fields of Wanted."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, is_pair, value = pair.partition("=")
        name = SAME.get(name.strip(), name.strip())
        if ALWAYS.get(name) == value.strip():
            continue  # no other call is kept
        if not is_pair or not value.strip() or name not in FIELDS:
            raise Invalid(
                f"--where {pair} says nothing that can be asked for.",
                mend=f"Write FIELD=VALUE with one of {', '.join(FIELDS)}; only calls that ended well are kept.",
                code="bad_filter",
            )
        found[name] = value.strip()
    return found


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def _tell_redacted(counts: Mapping[str, int]) -> None:
    told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    say(f"Redacted: {told}." if told else "Redacted: nothing was found. Names and the like are never found.")


def _tell_left_out(drawn: Drawn) -> None:
    words = {
        "not_kept": "whose content is not kept",
        "no_score": "without that score",
        "other_score": "with another score",
        "unreadable": "that hold no words",
    }
    told = ", ".join(f"{count:,} {words.get(why, why)}" for why, count in drawn.left_out.items() if count)
    if told:
        say(f"Left out of {drawn.looked_at:,} calls: {told}.")
