"""Health: what this process has seen of one deployment, and whether it should be left alone for a while.

A circuit breaker after M. Nygard, Release It! (2007): closed; open after so many failures in a row, for a time that
doubles with each opening in a row up to OPEN_MAX_S; half-open, when one call alone may try, and its end alone decides:
calls begun before tell nothing new. The latency is a moving average whose weight fades with time, and which fades
itself when nothing is heard, so that a slow one is tried again.
"""

import math

from tidegate.live.snapshot import Breaker

__all__ = ["CLOSED", "HALF_OPEN", "OPEN", "UNASKED_COOL_S", "Health"]

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"
OPEN_MAX_S = 300.0
COOL_MAX_S = 60.0
UNASKED_COOL_S = 0.5
"""How long one is left alone that said 429 without saying for how long."""
MEMORY_S = 10.0


class Health:
    """One deployment's. Times in seconds of one monotonic clock, handed in.

    A call is counted in by `begin` and out by one of `well`, `failed`, `limited`, `left` and `unasked`, with what
    `begin` returned.
    `answered_total`, `failed_total`, `limited_total` and `left_total` count how calls ended since the process began.
    """

    __slots__ = (
        "answered_total",
        "cooling_until_s",
        "ewma_ms",
        "failed_total",
        "failures",
        "in_flight",
        "left_total",
        "limited_total",
        "open_until_s",
        "openings",
        "seen_s",
        "trials",
        "trying",
    )

    def __init__(self) -> None:
        self.in_flight = 0
        self.failures = 0
        self.openings = 0
        self.open_until_s = 0.0
        self.cooling_until_s = 0.0
        self.trials = 0
        self.trying = 0
        """The number of the trial that is under way; 0: none is."""
        self.answered_total = self.failed_total = self.limited_total = self.left_total = 0
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

    def begin(self) -> int:
        """A call is sent to it. Returns a number above 0 if it is the trial of a breaker that is not closed, else 0."""
        self.in_flight += 1
        if not self.openings or self.trying:
            return 0
        self.trials += 1
        self.trying = self.trials
        return self.trying

    def well(self, now_s: float, took_ms: float, trial: int = 0) -> None:
        """It answered, or refused the client for a fault of the client's: it is well."""
        self.answered_total += 1
        if self._end(trial) or not self.openings:
            self.failures = self.openings = 0
        if self.ewma_ms is None:
            self.ewma_ms = took_ms
        else:
            kept = math.exp(-(now_s - self.seen_s) / MEMORY_S)
            self.ewma_ms = self.ewma_ms * kept + took_ms * (1 - kept) if took_ms < self.ewma_ms else took_ms
        self.seen_s = now_s

    def failed(self, now_s: float, breaker: Breaker, trial: int = 0) -> None:
        """It failed."""
        self.failed_total += 1
        decides = self._end(trial)
        self.failures += 1
        if self.openings:
            if not decides or now_s < self.open_until_s:
                return  # a late failure of a call begun before it opened, or a try in need: it is known to be ill
        elif self.failures < breaker.failures:
            return
        self.openings += 1
        self.open_until_s = now_s + min(OPEN_MAX_S, breaker.open_s * 2 ** min(self.openings - 1, 20))

    def limited(self, now_s: float, asked_s: float | None, trial: int = 0) -> None:
        """It said 429: it lives, and is to be left alone for as long as it asked. No failure."""
        self.limited_total += 1
        self._end(trial)
        self.cool(now_s, UNASKED_COOL_S if asked_s is None else asked_s)

    def cool(self, now_s: float, for_s: float) -> None:
        """It asked to be left alone for so long."""
        self.cooling_until_s = max(self.cooling_until_s, now_s + min(for_s, COOL_MAX_S))

    def left(self, trial: int = 0) -> None:
        """The call was broken off by the client, or by our own end: that says nothing."""
        self.left_total += 1
        self._end(trial)

    def unasked(self, trial: int = 0) -> None:
        """It was not asked after all."""
        self._end(trial)

    def probed_well(self, now_s: float, *, answered: bool) -> None:
        """A probe found it well. One that was `answered` closes the breaker; one that only connected says that a call
        may try.
        """
        if answered:
            self.failures = self.openings = self.trying = 0
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

    def latency_ms(self, now_s: float) -> float | None:
        """The latency to expect, times the calls that would share it (peak EWMA, as in Finagle's load balancer). None:
        it never answered yet.
        """
        if self.ewma_ms is None:
            return None
        return self.ewma_ms * math.exp(-(now_s - self.seen_s) / (6 * MEMORY_S)) * (self.in_flight + 1)

    def _end(self, trial: int) -> bool:
        """Count a call out; True when it was the trial on which the breaker waits."""
        self.in_flight -= 1
        if not trial or trial != self.trying:
            return False
        self.trying = 0
        return True
