"""`tidegate route`: which aliases there are, where a call would go, and why one went where it went."""

import re
from typing import Annotated

import typer

from tidegate.control.policies.model import CallExplanation, CandidateView, Route, RouteExplanation
from tidegate.doors.cli.options import Json, Server, Workspace, group
from tidegate.doors.cli.output import clean, print_json, print_table, say, share_text
from tidegate.doors.cli.remote import connect, part
from tidegate.kernel.errors import NotFound

__all__ = ["app"]

app = group("See where calls go, and why.")

_CALL = re.compile(r"^(call_[0-9a-f]+|[0-9a-f]{6,32})$")
_ALIAS = typer.Argument(metavar="ALIAS", help="A name under `routes`.")


@app.command("list")
def list_routes(workspace: Workspace = None, server: Server = None, as_json: Json = False) -> None:
    """List every route that is live."""
    found = connect(workspace, server).get("/routes", list[Route])
    if as_json:
        print_json(found)
        return
    print_table(
        ("ALIAS", "STRATEGY", "MODELS", "FALLBACKS", "REGIONS", "ENVIRONMENTS"),
        (
            (
                one.alias,
                one.strategy if one.choices else "-",
                ", ".join(choice.deployment for choice in one.choices) or one.deployment,
                ", ".join(one.fallbacks) or "-",
                ", ".join(one.regions) or "all",
                ", ".join(f"{place}: {model}" for place, model in one.by_environment.items()) or "-",
            )
            for one in found
        ),
        empty="There are no routes. Write one under `routes` in tidegate.yaml, then `tidegate apply`.",
    )


@app.command()
def show(
    alias: Annotated[str, _ALIAS], workspace: Workspace = None, server: Server = None, as_json: Json = False
) -> None:
    """Print everything that one route says."""
    found = connect(workspace, server).get(f"/routes/{part(alias)}", Route)
    if as_json:
        print_json(found)
        return
    say(f"{found.alias}: {found.strategy if found.choices else 'one model'}")
    for choice in found.choices:
        say(f"  {choice.deployment}  weight {choice.weight}, priority {choice.priority}")
    if not found.choices:
        say(f"  {found.deployment}")
    for place, model in found.by_environment.items():
        say(f"in {place}: {model}")
    retry, breaker = found.retry, found.breaker
    for name, value in (
        ("fallbacks", ", ".join(found.fallbacks) or "none"),
        ("regions", ", ".join(found.regions) or "all"),
        ("retry", f"{retry.attempts} attempts, {retry.base_ms}-{retry.max_ms} ms apart, at most {retry.budget:.0%}"),
        ("breaker", f"opens for {breaker.open_s:g} s after {breaker.failures} failures in a row"),
        ("content", f"{share_text(found.content_bp)} of calls are kept"),
    ):
        say(f"{name:<10} {clean(value)}")
    if found.shadow is not None:
        candidate = found.shadow.deployment or f"version {found.shadow.version}"
        say(f"{'shadow':<10} {share_text(found.shadow.share_bp)} of calls, copied to {clean(candidate)}")


@app.command()
def explain(
    target: Annotated[str, typer.Argument(metavar="ALIAS|CALL", help="An alias or model; or a call's id, or its end.")],
    key: Annotated[str | None, typer.Option("--key", metavar="NAME", help="With this key (name or id).")] = None,
    environment: Annotated[
        str | None, typer.Option("--env", "-e", metavar="NAME", help="In this environment; else the key's.")
    ] = None,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Tell where a call of an alias would go and why; or, with a call's id, why that one went where it went."""
    remote = connect(workspace, server)
    plan = None
    try:
        plan = remote.get(f"/routes/{part(target)}/plan", RouteExplanation, environment=environment, key=key)
    except NotFound as missing:
        if missing.code != "route_not_found" or not _CALL.match(target):
            raise
    if plan is None:
        told = remote.get(f"/calls/{part(target)}/explanation", CallExplanation)
        if as_json:
            print_json(told)
            return
        for line in told.lines:
            say(clean(line))
        return
    if as_json:
        print_json(plan)
        return
    _print_plan(plan)


def _print_plan(plan: RouteExplanation) -> None:
    whose = f" with the key {plan.key}" if plan.key else ""
    bound = f", bound to {', '.join(plan.regions)}" if plan.regions else ""
    say(clean(f"{plan.asked} in {plan.environment}{whose}{bound} (generation {plan.generation})"))
    for number, step in enumerate(plan.steps, 1):
        say()
        tries = "tried once" if step.attempts == 1 else f"up to {step.attempts} tries"
        say(clean(f"{number}. {step.alias}: {step.choice}, {tries}"))
        for one in step.candidates:
            say(clean(f"     {_candidate(one, alone=len(step.candidates) == 1)}"))
    if plan.excluded:
        say()
        say("Excluded:")
        for out in plan.excluded:
            say(clean(f"     {out.deployment}: {out.why}"))
    say()
    if plan.refused is not None:
        say(clean(f"Refused: {plan.refused}."))
    say(clean(f"Counted by: {', '.join(plan.limits) or 'no limit and no budget'}."))
    if plan.shadow is not None:
        say(clean(f"Shadow: {plan.shadow}."))


def _candidate(one: CandidateView, *, alone: bool) -> str:
    parts = [one.deployment] if one.upstream_model == one.deployment else [f"{one.deployment} ({one.upstream_model})"]
    parts += [f"{one.share:.0%}"] if one.share is not None and not alone else []
    parts += [f"priority {one.priority}"] if one.priority else []
    parts += [
        f"region {one.region}" if one.region else "no region",
        f"price {one.price}" if one.price == "unknown" else one.price,
    ]
    parts += [one.health] if one.health is not None else []
    return ", ".join(parts)
