"""What the leader does again and again, and what every control process does for itself."""

import asyncio
import logging

from tidegate.app.leader import Duty
from tidegate.app.parts import Parts
from tidegate.control.policies.model import Retention
from tidegate.control.prompts.codes import is_error
from tidegate.jobs.announcements import announce_once
from tidegate.jobs.snapshots import prune_snapshots
from tidegate.kernel.errors import Unavailable

__all__ = ["duties"]

log = logging.getLogger(__name__)

UNPACK_S = 0.5
DELIVER_S = 1.0
FOLLOW_S = 2.0
TELL_S = 2.0
BUDGETS_S = 2.0
EXPERIMENTS_S = 5.0
ROLLOUTS_S = 5.0
SCORING_S = 5.0
COUNT_S = 15.0
PRUNE_S = 60.0
DAY_MS = 24 * 3600 * 1000
OUTBOX_KEPT_MS = 7 * DAY_MS


def duties(control: Parts, committed: asyncio.Event) -> tuple[Duty, ...]:
    """The duties of a control process; `committed` is set after each of its own commits."""
    work = _Work(control)
    return (
        Duty("records", UNPACK_S, work.unpack),
        Duty("outbox", DELIVER_S, work.deliver, wake=committed),
        Duty("faults", TELL_S, work.tell_faults),
        Duty("budgets", BUDGETS_S, work.tell_budgets),
        Duty("experiments", EXPERIMENTS_S, work.look_at_experiments),
        Duty("rollouts", ROLLOUTS_S, work.look_at_rollouts),
        Duty("scoring", SCORING_S, work.score),
        Duty("retention", PRUNE_S, work.prune),
        Duty("prompts", FOLLOW_S, work.follow, everywhere=True),
        Duty("losses", COUNT_S, work.count_losses, everywhere=True),
    )


class _Work:
    """Each method is one round: it looks at the world and makes its move."""

    def __init__(self, control: Parts) -> None:
        self._control = control
        self._told: set[tuple[str, str]] = set()

    async def deliver(self) -> None:
        """Do the errands that are due, until none is."""
        while await self._control.outbox.deliver():
            pass

    async def unpack(self) -> None:
        """Bring what the gateways have left into the call log."""
        await self._control.calls.unpack()

    async def follow(self) -> None:
        """Follow the configuration and the prompts' repository."""
        control = self._control
        await control.refresh()
        before = control.followed.scan
        scan = await control.followed.look()
        errors = [fault for fault in scan.faults if is_error(fault.code)]
        control.metered.show(prompt_faults=len({fault.file for fault in errors}))
        if before is None or [*map(str, before.faults)] != [*map(str, scan.faults)]:
            for fault in errors:
                log.warning("a prompt file is not served: %s", fault)
        if control.followed.away is not None:
            raise Unavailable(control.followed.away, code="remote_away")

    async def tell_faults(self) -> None:
        """Announce each broken prompt file once."""
        scan = self._control.followed.scan
        for fault in scan.faults if scan is not None else ():
            if not is_error(fault.code) or (fault.file, fault.message) in self._told:
                continue
            detail = {"code": fault.code, "line": fault.line, "message": fault.message, "mend": fault.mend}
            payload = {"event": "prompt.fault", "subject": fault.file, "detail": detail}
            async with self._control.db.write() as tx:
                await announce_once(tx, at_ms=await self._control.db.now_ms(tx), payload=payload)
            self._told.add((fault.file, fault.message))

    async def tell_budgets(self) -> None:
        """Tell of budgets that have passed their soft edge or are exhausted, each once for its window."""
        await self._control.spend.tell()

    async def look_at_experiments(self) -> None:
        """Give bandits the weights that are due, and stop experiments whose guardrails are breached."""
        await self._control.experiments.tick()

    async def look_at_rollouts(self) -> None:
        """Make the moves of rollouts that are due, under the lease of now."""
        await self._control.rollouts.tick(self._control.leader.guard)

    async def score(self) -> None:
        """Score some calls of users, and of candidates."""
        await self._control.scoring.round()

    async def prune(self) -> None:
        """Keep call records, errands and snapshots within their bounds."""
        control = self._control
        async with control.db.write() as tx:
            now_ms = await control.db.now_ms(tx)
            await prune_snapshots(tx)
        await control.outbox.prune(now_ms - OUTBOX_KEPT_MS)
        retention = control.config.retention if control.config is not None else Retention()
        gone = await control.calls.prune(now_ms, retention)
        if gone.by_age or gone.by_size:
            log.info("retention: %d calls went by age, %d by size", gone.by_age, gone.by_size)
        await control.scoring.prune(now_ms - retention.calls_days * DAY_MS)
        over = await control.contents.prune(now_ms)
        if over:
            log.info("retention: the content of %d calls went by age", over)

    async def count_losses(self) -> None:
        """Count the call records that never arrived."""
        self._control.metered.show(records_lost=await self._control.calls.count_lost())
