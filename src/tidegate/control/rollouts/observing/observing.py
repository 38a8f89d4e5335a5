"""The verbs over what a rollout's calls tell: windows are judged once, when they are over, and kept; evidence is made
of what is kept. Any process may look, at any time: a window is judged from the call log alone, so that all find the
same.
"""

import asyncio
from collections.abc import Sequence

from tidegate.control.gates.model import Verdict
from tidegate.control.monitoring.stretches.model import Stretch
from tidegate.control.rollouts.model import Evidence, Rollout
from tidegate.control.rollouts.observing import store
from tidegate.control.rollouts.observing.heavy import judged, weighed
from tidegate.control.rollouts.observing.model import Cell, Kind, Span, Weighed, due_windows, settle_ms
from tidegate.control.rollouts.observing.ports import RolloutLog
from tidegate.jobs.database import Database

__all__ = ["Observing"]

AT_ONCE = 50_000
"""So many calls are read at a time, or those of one window."""

SLICES = 40
"""So many readings at one look; the next one goes on from there."""

KEPT = 64


class _Known:
    """What was read of a rollout: all cells of the windows before `mark`, and what they say."""

    def __init__(self) -> None:
        self.mark = 0
        self.cells: list[Cell] = []
        self.weighed: Weighed | None = None


class Observing:
    """Fills `rollouts.ports.Observer`."""

    def __init__(self, db: Database, log: RolloutLog, *, at_once: int = AT_ONCE, slices: int = SLICES) -> None:
        self._db = db
        self._log = log
        self._at_once = at_once
        self._slices = slices
        self._known: dict[tuple[str, Kind], _Known] = {}

    async def observe(self, rollout: Rollout, now_ms: int) -> Evidence:
        """Judge the windows that are over, and say what all of them tell of the rollout in its stage. Raises
        Unavailable.
        """
        kind = _kind(rollout)
        if kind is None:
            return Evidence(at_ms=now_ms, stage=rollout.stage)
        await self._judge(rollout, kind, now_ms)
        known = await self._read(rollout, kind)
        found = await self._weigh(rollout, kind, known)
        candidate = [one for one in known.cells if one.arm == 1]
        return Evidence(
            at_ms=now_ms,
            breached=found.breached,
            holds=found.holds,
            warned=found.warned,
            units=_units_in_stage(rollout, kind, candidate),
            seen_at_ms=max((one.newest_ms for one in candidate), default=None),
            split_p=found.split_p,
            verdict=found.verdict,
            stage=rollout.stage,
        )

    async def verdict(self, rollout: Rollout) -> Verdict:
        """What the gates say of all that was judged: of users where there were any, else of copies. Raises
        Unavailable.
        """
        known = await self._read(rollout, "canary")
        kind: Kind = "canary" if known.cells or rollout.weight_bp else "shadow"
        if kind == "shadow":
            known = await self._read(rollout, kind)
        return (await self._weigh(rollout, kind, known)).verdict

    async def _judge(self, rollout: Rollout, kind: Kind, now_ms: int) -> None:
        """Judge and keep the windows that are due, some at a time."""
        due = due_windows(rollout.plan, rollout.started_at_ms, now_ms)
        async with self._db.read() as tx:
            first = await store.mark(tx, rollout.rollout_id, kind)
        for _ in range(self._slices):
            if first >= due:
                return
            span = Span(rollout.started_at_ms, first, await self._until(rollout, first, due))
            stretch = _stretch(rollout, span)
            rolled = await (self._log.users(stretch) if kind == "canary" else self._log.copies(stretch))
            cells = await asyncio.to_thread(judged, rollout, kind, rolled, span)
            async with self._db.write() as tx:
                ours = await store.add(tx, (rollout.rollout_id, kind), (span.first, span.until), cells)
                first = span.until if ours else await store.mark(tx, rollout.rollout_id, kind)

    async def _until(self, rollout: Rollout, first: int, due: int) -> int:
        """The window before which to stop this time: not many more calls than AT_ONCE, and one window at least."""
        edge_ms = await self._log.edge_ms(_stretch(rollout, Span(rollout.started_at_ms, first, due)), self._at_once)
        if edge_ms is None:
            return due
        reached = (edge_ms + rollout.plan.observe_s * 1000 - rollout.started_at_ms) // (rollout.plan.window_s * 1000)
        return min(max(first + 1, reached), due)

    async def _read(self, rollout: Rollout, kind: Kind) -> _Known:
        """What is kept, of which only what is new is read."""
        key = (rollout.rollout_id, kind)
        if key not in self._known and len(self._known) >= KEPT:
            self._known.clear()
        known = self._known.setdefault(key, _Known())
        async with self._db.read() as tx:
            mark = await store.mark(tx, rollout.rollout_id, kind)
            if mark > known.mark:
                more = await store.since(tx, rollout.rollout_id, kind, known.mark)
                new = [one for one in more if one.window >= known.mark]  # another look may have been faster
                if new:
                    known.cells.extend(new)
                    known.weighed = None
                known.mark = max(known.mark, mark)
        return known

    async def _weigh(self, rollout: Rollout, kind: Kind, known: _Known) -> Weighed:
        if known.weighed is None:
            known.weighed = await asyncio.to_thread(weighed, rollout, kind, tuple(known.cells))
        return known.weighed


def _kind(rollout: Rollout) -> Kind | None:
    """Whose calls tell of it now; None while there are none."""
    if rollout.weight_bp:
        return "canary"
    return "shadow" if rollout.shadow_bp or rollout.now_in.kind == "shadow" else None


def _stretch(rollout: Rollout, span: Span) -> Stretch:
    """The calls that are needed to judge the windows: those of units that are judged in them."""
    plan, window_ms = rollout.plan, rollout.plan.window_s * 1000
    return Stretch(
        rollout_id=rollout.rollout_id,
        from_ms=span.started_at_ms + span.first * window_ms - plan.observe_s * 1000,
        until_ms=span.started_at_ms + span.until * window_ms,
        settle_ms=settle_ms(plan),
        once=plan.unit == "request",
    )


def _units_in_stage(rollout: Rollout, kind: Kind, candidate: Sequence[Cell]) -> int:
    """How many of the candidate's units were judged since the stage began, under its share."""
    window_ms = rollout.plan.window_s * 1000
    share_bp = rollout.weight_bp if kind == "canary" else 0
    return sum(
        one.judged
        for one in candidate
        if one.share_bp == share_bp and rollout.started_at_ms + (one.window + 1) * window_ms > rollout.entered_at_ms
    )
