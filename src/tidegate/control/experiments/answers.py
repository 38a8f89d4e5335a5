"""Answers that people give instead of the rule. Pure."""

from tidegate.control.experiments.model import ANSWERS, Answer, Decision, Definition, Experiment
from tidegate.kernel.errors import Conflict, Invalid, NotFound

__all__ = ["check_answer", "forced", "not_running", "still_open"]


def check_answer(definition: Definition, answer: Answer | None, variant: str | None, reason: str) -> None:
    """Raise Invalid or NotFound unless the answer can be forced: with a reason, and with the variant to ship."""
    if answer is None:
        if variant is not None:
            raise Invalid("A variant is named, but no answer.", mend="Say `ship` as the answer too.", param="variant")
        return
    if answer not in ANSWERS:
        raise Invalid(f"{answer!r} is no answer.", mend=f"Choose from {', '.join(ANSWERS)}.", param="answer")
    if not reason:
        raise Invalid(
            "An answer that is not the rule's needs a reason.", mend="Say why: it is kept with the run.", param="reason"
        )
    names = [one.name for one in definition.treatments]
    if answer != "ship" and variant is not None:
        raise Invalid(f"`{answer}` names no variant.", mend="Leave the variant away.", param="variant")
    if answer == "ship" and variant is None and len(names) > 1:
        raise Invalid("Which variant?", mend=f"Name one: {', '.join(names)}.", param="variant")
    if variant is not None and variant not in names:
        raise NotFound("treatment", variant, known=names, param="variant")


def forced(definition: Definition, found: Decision, answer: Answer, variant: str | None, reason: str) -> Decision:
    """The decision of somebody who knows better than the rule, or cannot wait for it."""
    chosen = {"ship": variant or definition.treatments[0].name, "keep": definition.variants[0].name}.get(answer)
    return Decision(answer=answer, variant=chosen, why=f"Forced: {reason} (The rule said {found.answer}: {found.why})")


def still_open(name: str, found: Decision) -> Conflict:
    """Why there is nothing to decide yet, and what is missing."""
    missing = []
    if found.more_units is not None:
        missing.append(f"{found.more_units} more units")
    if found.about_days is not None:
        missing.append(f"about {found.about_days:.1f} days")
    wait = f"Wait: {', '.join(missing)}. " if missing else ""
    return Conflict(
        f"The rule of {name} has no answer yet: {found.why}",
        mend=f"{wait}Or force one with a reason: `tidegate experiment decide {name} --answer keep --reason TEXT`.",
        code="experiment_open",
    )


def not_running(experiment: Experiment) -> Conflict:
    """The run is over."""
    return Conflict(
        f"The experiment {experiment.definition.name} is not running: it is {experiment.state}.",
        mend=f"See `tidegate experiment status {experiment.definition.name}`.",
        code="experiment_over",
    )
