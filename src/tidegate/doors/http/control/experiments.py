"""The routes of experiments: start, see, analyse, decide, stop, and who gets what."""

import msgspec
from litestar.params import FromPath, FromQuery, JSONBody

from tidegate.control.experiments.model import Analysis, Answer, Assignment, Experiment, Preview, Shown, Started
from tidegate.doors.http.control.admission import TheActor, TheControl

__all__ = [
    "Answered",
    "Start",
    "Stop",
    "analysis",
    "assignment",
    "decide",
    "experiment",
    "experiments",
    "preview",
    "start",
    "stop",
]


class Start(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The definition's YAML; `file` is the name that faults show."""

    text: str
    file: str = "experiment.yaml"


class Stop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, for the audit."""

    reason: str = ""


class Answered(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without `answer` the rule's own holds. One that is given needs a reason, and `variant` where several could be
    shipped."""

    reason: str = ""
    answer: Answer | None = None
    variant: str | None = None


async def experiments(control: TheControl, environment: FromQuery[str | None] = None) -> tuple[Experiment, ...]:
    """Every run of an experiment, newest first."""
    return await control.experiments.status(environment)


async def start(control: TheControl, actor: TheActor, data: JSONBody[Start]) -> Started:
    """Start an experiment from its YAML."""
    return await control.experiments.start(actor, data.text, data.file)


async def preview(control: TheControl, data: JSONBody[Start]) -> Preview:
    """What would start: the definition with what the last days' calls tell, and their traffic."""
    return await control.experiments.preview(data.text, data.file)


async def experiment(control: TheControl, name: FromPath[str]) -> Shown:
    """The newest run of this name, and what happened to it."""
    return await control.experiments.show(name)


async def analysis(control: TheControl, name: FromPath[str]) -> Analysis:
    """Everything found so far: the rule's answer, the evidence, the guardrails, the split."""
    return await control.experiments.analyze(name)


async def decide(control: TheControl, actor: TheActor, name: FromPath[str], data: JSONBody[Answered]) -> Experiment:
    """End a run by its rule's answer, or by one that is given with a reason."""
    return await control.experiments.decide(actor, name, data.reason, answer=data.answer, variant=data.variant)


async def stop(control: TheControl, actor: TheActor, name: FromPath[str], data: JSONBody[Stop]) -> Experiment:
    """End a run without an answer."""
    return await control.experiments.stop(actor, name, data.reason)


async def assignment(control: TheControl, name: FromPath[str], unit: FromQuery[str]) -> Assignment:
    """What a unit gets, or would get; asking enrols nobody."""
    return await control.experiments.peek(name, unit)
