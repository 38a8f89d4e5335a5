"""The routes of call records: list and follow, show one, pairs, what was lost."""

from typing import Annotated

from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from tidegate.control.monitoring.model import CallFilter, CallPage, CallRecord, Gap, PairFilter, PairPage
from tidegate.doors.http.control.admission import Number, TheControl

__all__ = ["call", "calls", "gaps", "pairs", "wanted_calls"]


async def wanted_calls(
    key: FromQuery[str | None] = None,
    prompt: FromQuery[str | None] = None,
    version: FromQuery[str | None] = None,
    ending: FromQuery[str | None] = None,
    environment: FromQuery[str | None] = None,
    origin: FromQuery[str | None] = None,
) -> CallFilter:
    """The dependency `wanted`: which calls, by what they were; None means any."""
    return CallFilter(key=key, prompt=prompt, version=version, ending=ending, environment=environment, origin=origin)


async def calls(
    control: TheControl,
    wanted: NamedDependency[CallFilter],
    after: Number = None,
    before: Number = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
    cursor: FromQuery[str | None] = None,
) -> CallPage:
    """The newest calls that match, oldest first. `after` and `before` bound the start (Unix ms, exclusive).

    Hand the answer's `cursor` back to get what was stored since.
    """
    fields = {name: getattr(wanted, name) for name in ("key", "prompt", "version", "ending", "environment", "origin")}
    bounded = CallFilter(**fields, after=after, before=before, limit=limit)
    return await control.calls.follow(bounded, cursor)


async def call(control: TheControl, call_id: FromPath[str]) -> CallRecord:
    """Everything that is known of one call."""
    return await control.calls.show(call_id)


async def gaps(
    control: TheControl, since: Number = None, limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100
) -> tuple[Gap, ...]:
    """Call records that were lost, newest first; `since` in Unix ms, else the last 24 hours."""
    return await control.calls.gaps(since_ms=since, limit=limit)


async def pairs(
    control: TheControl,
    route: FromQuery[str | None] = None,
    before: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
) -> PairPage:
    """Users' calls beside their copies for a candidate, newest first. Hand back `next` as `before` for older ones."""
    return await control.pairs.list(PairFilter(route=route, before=before, limit=limit))
