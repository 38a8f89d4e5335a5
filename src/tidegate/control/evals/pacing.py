"""Turns: how fast a provider is asked, how long to wait before asking again, and when to stop. No wait is in what is
timed.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from tidegate.control.evals.asking import may_pass, tokens_of
from tidegate.kernel.complete import Ask, Complete, Said
from tidegate.kernel.errors import TidegateError

__all__ = ["Bucket", "Halt", "Halted", "Pacer", "Patient", "backoff_s"]

BURST_S = 1.0


class Halted(Exception):
    """Nothing more is to be asked."""


class Halt:
    """Asked once, nothing new is begun; what is under way may end, unless it is cut off. `why` is empty until then."""

    def __init__(self) -> None:
        self.why = ""
        self.cut_off: Callable[[], None] = lambda: None
        """Ends what is under way; set by whoever has it under way."""
        self._asked = asyncio.Event()

    def ask(self, why: str) -> None:
        """Stop; the first reason stays."""
        self.why = self.why or why
        self._asked.set()

    async def sleep(self, seconds: float) -> None:
        """Wait; raises Halted as soon as it is asked to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            return
        raise Halted

    def check(self) -> None:
        """Raises Halted when it was asked to stop."""
        if self.why:
            raise Halted


class Bucket:
    """At most `per_minute` of something, with a burst of one second's worth. A turn is reserved when it is asked for,
    so that turns come in the order of asking; one that is larger than a burst waits longer and is never refused.
    """

    def __init__(self, per_minute: float) -> None:
        self._rate_s = per_minute / 60
        self._next_s = float("-inf")

    def wait_s(self, amount: float, now_s: float) -> float:
        """Reserve, and return how long to wait."""
        start_s = max(self._next_s, now_s - BURST_S)
        self._next_s = start_s + amount / self._rate_s
        return max(0.0, start_s - now_s)

    def give_back(self, amount: float) -> None:
        """Of what was reserved, so much was not used (negative: so much more was)."""
        self._next_s -= amount / self._rate_s


class Pacer:
    """All calls of a run take their turns here. `rpm` and `tpm`: requests and tokens a minute, None for no limit."""

    def __init__(
        self,
        rpm: float | None = None,
        tpm: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._requests = Bucket(rpm) if rpm else None
        self._tokens = Bucket(tpm) if tpm else None
        self._clock = clock
        self._sleep = sleep
        self._held_until_s = float("-inf")
        self.waited_s = 0.0

    @property
    def counts_tokens(self) -> bool:
        """Whether `turn` needs to know how many tokens a call will take."""
        return self._tokens is not None

    async def turn(self, tokens: float = 0.0) -> None:
        """Wait for a turn."""
        if self._requests is None and self._tokens is None and self._held_until_s < 0:
            return
        now_s = self._clock()
        wait_s = self._held_until_s - now_s
        if self._requests is not None:
            wait_s = max(wait_s, self._requests.wait_s(1, now_s))
        if self._tokens is not None:
            wait_s = max(wait_s, self._tokens.wait_s(tokens, now_s))
        if wait_s > 0:
            self.waited_s += wait_s
            await self._sleep(wait_s)

    def settle(self, reserved: float, used: float | None) -> None:
        """What a call has used, once it is known."""
        if self._tokens is not None and used is not None:
            self._tokens.give_back(reserved - used)

    def hold_back(self, seconds: float) -> None:
        """The provider said when to come back: nobody asks before."""
        self._held_until_s = max(self._held_until_s, self._clock() + seconds)


class Patient:
    """Fills `kernel.complete.Complete`: waits for turns, and asks again what may pass. `retried` is told of each try
    again, with the error and what was asked.
    """

    def __init__(
        self,
        complete: Complete,
        pacer: Pacer,
        halt: Halt,
        *,
        retries: int = 4,
        base_s: float = 0.5,
        retried: Callable[[TidegateError, Ask], None] = lambda _error, _ask: None,
    ) -> None:
        self._complete = complete
        self._pacer = pacer
        self._halt = halt
        self._retries = retries
        self._base_s = base_s
        self._retried = retried
        self._draw = random.Random()  # spreads waits, guards nothing

    async def complete(self, ask: Ask) -> Said:
        """Ask. Raises as `Complete`, for the last try; and Halted instead of waiting when the run is to stop."""
        attempt = 0
        while True:
            attempt += 1
            reserved = tokens_of(ask) if self._pacer.counts_tokens else 0
            self._halt.check()
            await self._pacer.turn(reserved)
            try:
                said = await self._complete.complete(ask)
            except TidegateError as error:
                wait_s = may_pass(error)
                if wait_s is None or attempt > self._retries:
                    raise
                self._retried(error, ask)
                if wait_s:
                    self._pacer.hold_back(wait_s)
                await self._halt.sleep(backoff_s(attempt, wait_s, self._draw, base_s=self._base_s))
                continue
            if said.input_tokens is not None and said.output_tokens is not None:
                self._pacer.settle(reserved, said.input_tokens + said.output_tokens)
            return said

    async def close(self) -> None:
        """The one that is asked is closed by who opened it."""


def backoff_s(attempt: int, retry_after_s: float | None, draw: random.Random, *, base_s: float = 0.5) -> float:
    """How long to wait before try `attempt` + 1 (counted from 1): drawn from [0, min(30, base * 2^attempt)], so that
    many do not come back at once, and never before the provider said.
    """
    return max(retry_after_s or 0.0, draw.uniform(0, min(30.0, base_s * 2.0**attempt)))
