"""How `tidegate experiment` tells of one run: where it stands, what happened to it, what is to be done afterwards."""

from collections.abc import Mapping

from tidegate.control.experiments.model import Experiment, Happening, Shown, Variant
from tidegate.control.releases.model import Release
from tidegate.doors.cli.output import ago, clean, print_table, say, share_text

__all__ = ["next_steps", "print_shown", "shares_text", "winner_of"]


def print_shown(shown: Shown) -> None:
    """The run's variants, then its events, oldest first."""
    run = shown.experiment
    definition = run.definition
    say(f"{definition.name} in {definition.environment}: {run.state}, on {definition.subject}, by {definition.unit}.")
    say(f"Layer {definition.layer}, {share_text(run.from_bp)} to {share_text(run.to_bp)}; rule: {definition.rule}.")
    if run.decision is not None:
        won = f" {run.decision.variant}" if run.decision.variant else ""
        say(f"Answer: {run.decision.answer}{won}. {clean(run.decision.why)}")
    say()
    rows = [
        (variant.name, share_text(weight), _version(variant), variant.model or "-")
        for variant, weight in zip(definition.variants, run.weights_bp, strict=True)
    ]
    print_table(("VARIANT", ">SHARE", "PROMPT", "MODEL"), rows, empty="")
    say()
    print_table(
        ("EVENT", "WHEN", "BY", "WHAT"), (_row(run, one) for one in shown.events), empty="Nothing happened yet."
    )


def shares_text(run: Experiment, weights_bp: tuple[int, ...] | None = None) -> str:
    """`control 50%, treatment 50%`."""
    weights = weights_bp or run.weights_bp
    paired = zip(run.definition.variants, weights, strict=True)
    return ", ".join(f"{variant.name} {share_text(weight)}" for variant, weight in paired)


def winner_of(over: Experiment) -> Variant | None:
    """The variant that was shipped, None when none was."""
    decision = over.decision
    if decision is None or decision.answer != "ship":
        return None
    return next((one for one in over.definition.variants if one.name == decision.variant), None)


def next_steps(over: Experiment, release: Release | None) -> list[str]:
    """What is still to be done when a run is over, a line each."""
    winner, environment = winner_of(over), over.definition.environment
    if winner is None:
        return ["What is live is served to everybody again."]
    lines = []
    if release is not None:
        lines.append(f"{release.prompt} {release.version} is live in {environment} (release {release.number}).")
    elif winner.prompt is not None:
        lines.append(f"Deploy it: `tidegate release deploy {_version(winner)} --env {environment}`.")
    if winner.model is not None:
        where = "the prompt's next version" if winner.prompt is not None else "tidegate.yaml"
        lines.append(f"It asked for the model {winner.model}: write that into {where}, or nobody gets it.")
    return lines


def _version(variant: Variant) -> str:
    return f"{variant.prompt}@{variant.version}" if variant.prompt is not None else "-"


def _row(run: Experiment, happening: Happening) -> tuple[str, ...]:
    return happening.kind, ago(happening.at_ms), happening.actor, _detail(run, happening.detail)


def _detail(run: Experiment, detail: Mapping[str, object]) -> str:
    weights = detail.get("weights_bp")
    if isinstance(weights, list) and len(weights) == len(run.weights_bp):
        return shares_text(run, tuple(map(int, weights)))
    said = [str(detail[name]) for name in ("answer", "why", "reason") if detail.get(name)]
    return ": ".join(["forced", *said] if detail.get("forced") else said) or "-"
