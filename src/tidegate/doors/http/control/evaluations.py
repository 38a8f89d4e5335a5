"""The routes of evaluations: keep a verdict, and find those that are kept."""

from typing import Annotated

from litestar.params import FromQuery, JSONBody, QueryParameter

from tidegate.control.evals.model import Recorded, Verdict
from tidegate.doors.http.control.admission import TheActor, TheControl

__all__ = ["evaluations", "record"]


async def evaluations(
    control: TheControl,
    prompt: FromQuery[str | None] = None,
    version: FromQuery[str | None] = None,
    content_hash: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=500)] = 50,
) -> tuple[Recorded, ...]:
    """Verdicts on versions, newest first."""
    return await control.evaluations.list(prompt, version, content_hash, limit)


async def record(control: TheControl, actor: TheActor, data: JSONBody[Verdict]) -> Recorded:
    """Keep what an evaluation found of a version: a rollout's offline stage asks for the newest."""
    return await control.evaluations.record(actor, data)
