"""Answers that people give instead of the rule, and what is missing for one of the rule's. Pure."""

import math

from tidegate.control.experiments.model import ANSWERS, Answer, Decision, Definition, Experiment
from tidegate.kernel.errors import Conflict, Invalid, NotFound
from tidegate.kernel.figures import about_text
from tidegate.kernel.plain import days_text, plural

__all__ = ["check_answer", "forced", "missing_text", "not_running", "still_open"]


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


def missing_text(found: Decision, unit: str) -> str:
    """How much is missing for an answer: `about 4,200 more users, 6 days`; empty when that is unknown."""
    days = days_text(found.about_days) if found.about_days is not None and math.isfinite(found.about_days) else ""
    if found.more_units is not None and found.more_units > 0:
        return ", ".join(filter(None, (f"about {about_text(found.more_units)} more {plural(unit)}", days)))
    return f"about {days} more" if days else ""


def still_open(definition: Definition, found: Decision) -> Conflict:
    """Why there is nothing to decide yet, and what is missing."""
    name, missing = definition.name, missing_text(found, definition.unit)
    wait = f"Wait: {missing}. " if missing else ""
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
