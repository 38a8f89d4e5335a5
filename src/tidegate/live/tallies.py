"""Tallies: the arithmetic of shared counters, pure. Every store that keeps rows applies exactly this; Redis says the
same in Lua, and one suite holds all of them to it.
"""

import msgspec

from tidegate.live.ports import Line, Standing

__all__ = ["Part", "Tally", "apply"]


class Part(msgspec.Struct):
    """What one gateway process holds of a window. `expires_ms` 0: for as long as the window lasts; else it is gone when
    nothing was heard of the process until `lives_until_ms`.
    """

    held: int = 0
    expires_ms: int = 0
    lives_until_ms: int = 0


class Tally(msgspec.Struct):
    """One counter's window: what is settled, and what is out, by gateway process."""

    counter: str
    window: str
    ends_at_ms: int
    cap: int = 0
    generation: int = -1
    settled: int = 0
    parts: dict[str, Part] = {}

    def held(self, now_ms: int) -> int:
        """What is out in slices of living processes, and of dead ones whose slices do not expire."""
        return sum(part.held for part in self.parts.values() if not part.expires_ms or part.lives_until_ms > now_ms)


def apply(tally: Tally, gateway_id: str, line: Line, now_ms: int) -> Standing:
    """Change the tally as the line says; return how it stands."""
    part = tally.parts.setdefault(gateway_id, Part())
    if line.expires_s:
        if part.expires_ms and part.lives_until_ms <= now_ms:
            part.held = 0  # it was silent for too long: what it held has been given away
        part.expires_ms = round(line.expires_s * 1000)
        part.lives_until_ms = now_ms + part.expires_ms
    tally.settled += line.settled
    part.held = max(0, part.held - line.settled - line.returned)
    if line.generation >= tally.generation:
        tally.generation, tally.cap = line.generation, line.cap
    tally.ends_at_ms = max(tally.ends_at_ms, line.ends_at_ms)
    granted = 0
    if line.wanted > 0:
        room = tally.cap - tally.settled - tally.held(now_ms)
        if room >= max(line.least, 1):
            granted = min(line.wanted, room)
            part.held += granted
    held = tally.held(now_ms)
    return Standing(
        counter=line.counter,
        window=line.window,
        granted=granted,
        settled=tally.settled,
        held=held,
        cap=tally.cap,
        others_hold=held > part.held,
    )
