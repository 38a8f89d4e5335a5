"""What Prometheus reads of control: this host's gateways summed up, and control itself."""

import asyncio
from pathlib import Path

from tidegate.adapters.metrics.files import exposition, read_states, retire_dead
from tidegate.app.parts import Parts
from tidegate.jobs.snapshots import newest_generation
from tidegate.kernel.errors import TidegateError

__all__ = ["metrics_of"]


async def metrics_of(control: Parts) -> bytes:
    """Both expositions, one after the other; with the database away, what is known without it."""
    control.metered.show(leader=float(control.leader.leads), database_up=0.0)
    try:
        async with control.db.read() as tx:
            generation = await newest_generation(tx)
            now_ms = await control.db.now_ms(tx)
        waiting = await control.outbox.waiting(limit=1000)
    except TidegateError:
        pass
    else:
        oldest_s = (now_ms - waiting[0].at_ms) / 1000 if waiting else 0.0
        control.metered.show(
            database_up=1.0, generation=generation, outbox_waiting=len(waiting), outbox_oldest_seconds=oldest_s
        )
    return await asyncio.to_thread(_gateways, control.settings.run_dir) + control.metered.exposition()


def _gateways(folder: Path) -> bytes:
    if not folder.is_dir():
        return exposition(())
    retire_dead(folder)
    return exposition(read_states(folder))
