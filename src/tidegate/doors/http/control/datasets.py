"""The routes of what calls give to evaluations: cases drawn from kept content, and how scoring goes."""

from litestar.params import JSONBody

from tidegate.control.evals.growing.model import Drawn, Wanted
from tidegate.control.evals.online.model import Standing
from tidegate.doors.http.control.admission import Number, TheActor, TheControl

__all__ = ["cases", "scores"]


async def cases(control: TheControl, actor: TheActor, data: JSONBody[Wanted]) -> Drawn:
    """Draw the newest kept calls that match as cases of a dataset, redacted; who reads them is written down first."""
    return await control.drawing.draw(actor, data)


async def scores(control: TheControl, since: Number = None) -> tuple[Standing, ...]:
    """How the scoring of calls goes, by what, arm and scorer; `since` in Unix ms, else the last 24 hours."""
    return tuple(await control.scoring.standing(since))
