"""Counters in memory: exact for the gateways of one process, forgotten with it."""

import time
from collections.abc import Callable, Sequence

from tidegate.live.ports import Line, Standing
from tidegate.live.tallies import Tally, apply

__all__ = ["MemoryCounters"]


class MemoryCounters:
    """See `live.ports.Counters`."""

    def __init__(self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.tallies: dict[tuple[str, str], Tally] = {}
        self._now_ms = now_ms
        self._answers: dict[str, tuple[int, tuple[Standing, ...]]] = {}

    async def exchange(self, gateway_id: str, seq: int, lines: Sequence[Line]) -> Sequence[Standing]:
        """See `live.ports.Counters`."""
        last, answer = self._answers.get(gateway_id, (0, ()))
        if seq == last:
            return answer
        now_ms = self._now_ms()
        for tally in self.tallies.values():
            part = tally.parts.get(gateway_id)
            if part is not None and part.expires_ms and part.lives_until_ms > now_ms:
                part.lives_until_ms = now_ms + part.expires_ms
        answer = tuple(apply(self._tally(line), gateway_id, line, now_ms) for line in lines)
        self._answers[gateway_id] = (seq, answer)
        return answer

    async def close(self) -> None:
        """Nothing to give back."""

    def _tally(self, line: Line) -> Tally:
        key = (line.counter, line.window)
        found = self.tallies.get(key)
        if found is None:
            found = self.tallies[key] = Tally(line.counter, line.window, line.ends_at_ms)
        return found
