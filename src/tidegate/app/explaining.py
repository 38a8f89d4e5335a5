"""Why calls go where they go, over what is live: the newest Snapshot, the call log, and what this host's gateways say
of their upstreams' health.
"""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select

from tidegate.adapters.metrics.files import read_states
from tidegate.control.monitoring.service import Calls
from tidegate.control.policies.model import CallExplanation, Route, RouteExplanation
from tidegate.jobs.database import Database
from tidegate.jobs.snapshots import SNAPSHOTS
from tidegate.kernel.errors import NotFound
from tidegate.live.calls import CallRecord
from tidegate.live.explain import explain_call, explain_route
from tidegate.live.snapshot import KeyGrant, Snapshot, decode_snapshot

__all__ = ["Explaining", "health_of"]

PRODUCTION = "production"


class Explaining:
    """Reads and explains; changes nothing."""

    def __init__(self, db: Database, calls: Calls, run_dir: Path) -> None:
        self._db = db
        self._calls = calls
        self._run_dir = run_dir

    async def routes(self) -> tuple[Route, ...]:
        """Every route that is live, by alias."""
        snapshot = await self._snapshot()
        return tuple(snapshot.routes[alias] for alias in sorted(snapshot.routes))

    async def shown(self, alias: str) -> Route:
        """One route; raises NotFound."""
        snapshot = await self._snapshot()
        route = snapshot.routes.get(alias)
        if route is None:
            raise NotFound("route", alias, known=[*snapshot.routes], code="route_not_found")
        return route

    async def route(self, asked: str, environment: str | None = None, key: str | None = None) -> RouteExplanation:
        """The plan of a call of an alias or model, with a key (name or id) or without. Raises NotFound."""
        snapshot = await self._snapshot()
        grant = _grant(snapshot, key) if key is not None else None
        place = environment or (grant.environment if grant is not None else PRODUCTION)
        told = explain_route(snapshot, asked, place, grant, health_of(self._run_dir))
        if not told.steps and not told.excluded:
            known = [*snapshot.routes, *snapshot.deployments]
            raise NotFound("route", asked, known=known, code="route_not_found")
        return told

    async def call(self, call_id: str) -> CallExplanation:
        """Why a call (its id, or how it ends) went where it went. Raises NotFound, Conflict."""
        record = await self._calls.show(call_id)
        snapshot = await self._snapshot()
        grant = next((one for one in snapshot.keys.values() if one.key_id == record.key_id), None)
        return explain_call(record, _plan_now(snapshot, record, grant), grant.name if grant is not None else None)

    async def _snapshot(self) -> Snapshot:
        query = select(SNAPSHOTS.c.blob, SNAPSHOTS.c.sha256).order_by(SNAPSHOTS.c.generation.desc()).limit(1)
        async with self._db.read() as tx:
            row = (await tx.execute(query)).first()
        return decode_snapshot(row.blob, row.sha256) if row is not None else Snapshot()


def health_of(run_dir: Path) -> Mapping[str, str]:
    """What this host's living gateways say of each deployment: `breaker closed`, `breaker open in 2 of 4 gateways`."""
    found: dict[str, list[str]] = {}
    for state in read_states(run_dir):
        for name, word in state.breakers.items() if state.pid else ():
            found.setdefault(name, []).append(word)
    return {name: _together(words) for name, words in found.items()}


def _together(words: list[str]) -> str:
    counted = [(words.count(word), word) for word in ("open", "half_open") if word in words]
    if not counted:
        return "breaker closed"
    told = ", ".join(f"{word.replace('_', '-')} in {number}" for number, word in counted)
    return f"breaker {told} of {len(words)} gateways"


def _grant(snapshot: Snapshot, wanted: str) -> KeyGrant:
    for grant in snapshot.keys.values():
        if wanted in (grant.name, grant.key_id):
            return grant
    raise NotFound("key", wanted, known=[grant.name for grant in snapshot.keys.values()], code="key_not_found")


def _plan_now(snapshot: Snapshot, record: CallRecord, grant: KeyGrant | None) -> RouteExplanation | None:
    asked = record.route or record.model_requested
    if asked is None:
        return None
    told = explain_route(snapshot, asked, record.environment or PRODUCTION, grant)
    return told if told.steps or told.excluded else None
