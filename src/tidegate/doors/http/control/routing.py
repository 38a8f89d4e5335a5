"""The routes of routing: which aliases there are, what a call would do, and why one went where it went."""

from litestar.params import FromPath, FromQuery

from tidegate.control.policies.model import CallExplanation, Route, RouteExplanation
from tidegate.doors.http.control.admission import TheControl

__all__ = ["explain_call", "plan", "route", "routes"]


async def routes(control: TheControl) -> tuple[Route, ...]:
    """Every route that is live, by alias."""
    return await control.explaining.routes()


async def route(control: TheControl, alias: FromPath[str]) -> Route:
    """One route as it is live."""
    return await control.explaining.shown(alias)


async def plan(
    control: TheControl,
    alias: FromPath[str],
    environment: FromQuery[str | None] = None,
    key: FromQuery[str | None] = None,
) -> RouteExplanation:
    """What a call of this alias or model would do: its steps, candidates, and what is excluded and why."""
    return await control.explaining.route(alias, environment, key)


async def explain_call(control: TheControl, call_id: FromPath[str]) -> CallExplanation:
    """Why one call went where it went."""
    return await control.explaining.call(call_id)
