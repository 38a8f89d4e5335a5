"""Health: what this process has seen of one deployment, and whether it should be left alone for a while.

A circuit breaker after M. Nygard, Release It! (2007): closed; open after so many failures in a row, for a time that
doubles with each opening in a row up to OPEN_MAX_S; half-open, when one call alone may try. The latency is a moving
average whose weight fades with time, and which fades itself when nothing is heard, so that a slow one is tried again.
"""

import math

from tidegate.live.snapshot import Breaker

__all__ = ["CLOSED", "HALF_OPEN", "OPEN", "Health"]

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"
OPEN_MAX_S = 300.0
COOL_MAX_S = 60.0
MEMORY_S = 10.0


class Health:
    """One deployment's. Times in seconds of one monotonic clock, handed in."""

    __slots__ = ("cooling_until_s", "ewma_ms", "failures", "in_flight", "open_until_s", "openings", "seen_s", "trying")

    def __init__(self) -> None:
        self.in_flight = 0
        self.failures = 0
        self.openings = 0
        self.open_until_s = 0.0
        self.cooling_until_s = 0.0
        self.trying = False
        self.ewma_ms: float | None = None
        self.seen_s = 0.0

    def state(self, now_s: float) -> str:
        """CLOSED, OPEN or HALF_OPEN."""
        if not self.openings:
            return CLOSED
        return OPEN if now_s < self.open_until_s else HALF_OPEN

    def blocked(self, now_s: float, max_parallel: int | None) -> str | None:
        """Why it should not be called now, in a word; None: it may be."""
        if max_parallel is not None and self.in_flight >= max_parallel:
            return "full"
        if now_s < self.cooling_until_s:
            return "cooling"
        if self.openings and (self.trying or now_s < self.open_until_s):
            return "breaker_open"
        return None

    def begin(self) -> None:
        """A call is sent to it."""
        self.in_flight += 1
        if self.openings:
            self.trying = True

    def well(self, now_s: float, took_ms: float) -> None:
        """It answered, or refused the client for a fault of the client's: it is well."""
        self._end()
        self.failures = self.openings = 0
        if self.ewma_ms is None:
            self.ewma_ms = took_ms
        else:
            kept = math.exp(-(now_s - self.seen_s) / MEMORY_S)
            self.ewma_ms = self.ewma_ms * kept + took_ms * (1 - kept) if took_ms < self.ewma_ms else took_ms
        self.seen_s = now_s

    def failed(self, now_s: float, breaker: Breaker) -> None:
        """It failed."""
        tried = self.openings > 0
        self._end()
        self.failures += 1
        if tried and now_s < self.open_until_s:
            return  # a late failure of a call begun before it opened, or a try in need: it is known to be ill
        if tried or self.failures >= breaker.failures:
            self.openings += 1
            self.open_until_s = now_s + min(OPEN_MAX_S, breaker.open_s * 2 ** min(self.openings - 1, 20))

    def cool(self, now_s: float, for_s: float) -> None:
        """It asked to be left alone for so long."""
        self.cooling_until_s = max(self.cooling_until_s, now_s + min(for_s, COOL_MAX_S))

    def left(self) -> None:
        """The call was broken off by the client: that says nothing."""
        self._end()

    def probed_well(self, now_s: float, *, answered: bool) -> None:
        """A probe found it well. One that was `answered` closes the breaker; one that only connected says that a call
        may try.
        """
        if answered:
            self.failures = self.openings = 0
        elif self.openings:
            self.open_until_s = min(self.open_until_s, now_s)
        else:
            self.failures = 0

    def probed_ill(self, now_s: float, breaker: Breaker) -> None:
        """A probe failed: a failure like a call's, except that a breaker that is open stays so and waits no longer for
        it.
        """
        self.failures += 1
        if not self.openings and self.failures < breaker.failures:
            return
        self.openings = self.openings or 1
        self.open_until_s = max(self.open_until_s, now_s + breaker.open_s)

    def latency_ms(self, now_s: float) -> float:
        """The latency to expect, times the calls that would share it (peak EWMA, as in Finagle's load balancer)."""
        if self.ewma_ms is None:
            return 0.0
        return self.ewma_ms * math.exp(-(now_s - self.seen_s) / (6 * MEMORY_S)) * (self.in_flight + 1)

    def _end(self) -> None:
        self.in_flight -= 1
        self.trying = False
