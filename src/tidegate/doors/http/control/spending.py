"""The routes of spending: where budgets and limits stand, and rebuild their counters."""

from litestar.params import FromPath

from tidegate.control.spend.model import BudgetState
from tidegate.doors.http.control.admission import TheActor, TheControl

__all__ = ["budget", "budgets", "rebuild"]


async def budgets(control: TheControl) -> tuple[BudgetState, ...]:
    """Where every limit and budget stands now, in the file's order."""
    return await control.spend.list()


async def budget(control: TheControl, name: FromPath[str]) -> tuple[BudgetState, ...]:
    """Every counter of one limit or budget, the most spent first."""
    return await control.spend.show(name)


async def rebuild(control: TheControl, actor: TheActor) -> tuple[BudgetState, ...]:
    """Set the counters of the present windows to what the call log says, for a store that has lost them."""
    return await control.spend.rebuild(actor)
