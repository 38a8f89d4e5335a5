"""The Ledger: holds and settles in memory, and exchanges slices with the shared store in the background.

Exact across processes: money is held only from slices that the store gave out, and the store never gives out more
than the cap. A process that dies leaves its slices spent for their window. Exact given the bound: a call that costs
more than it could by its bound (a provider that counts otherwise, a price that changed) is settled in full and counted.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from tidegate.gateway.call import Call
from tidegate.gateway.ledger.holds import CallHold, Need
from tidegate.gateway.ledger.refusals import price_unknown, refused, told_on
from tidegate.gateway.ledger.rules import Kind, Rulebook
from tidegate.gateway.ledger.slices import Slice
from tidegate.kernel.errors import TidegateError, Unavailable
from tidegate.live.ports import Counters, Line
from tidegate.live.snapshot import LimitRule
from tidegate.live.windows import window_at

__all__ = ["Ledger"]

log = logging.getLogger(__name__)

REPORT_S = 0.1
NEAR_S = 0.02
AGAIN_S = 0.25
LIFE_S = 3.0
PATIENCE_S = 0.15
OVER_LOGGED_S = 60.0


class _Waiter:
    """A call that waits for slices: everything it needs, or nothing."""

    __slots__ = ("asked", "done", "needs", "until_s")

    def __init__(self, needs: list[Need], done: "asyncio.Future[None]", until_s: float) -> None:
        self.needs = needs
        self.done = done
        self.until_s = until_s
        self.asked = False
        """Whether the store was asked for all that it lacks, so that the standing tells of its chances."""

    def short(self) -> list[Need]:
        """What it needs and is not there."""
        return [(slice_, need) for slice_, need in self.needs if slice_.free < need]


class Ledger:
    """Fills `gateway.ports.Ledger`. Life: `adopt` each generation's rules, `start`, many `hold`, `stop`."""

    def __init__(
        self,
        counters: Counters,
        gateway_id: str,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.events: dict[str, dict[str, int]] = {}
        """By rule: how many calls were `refused`, and how many used more than their bound (`over_bound`)."""
        self.fault: str | None = None
        self._counters = counters
        self._gateway_id = gateway_id
        self._now_ms = now_ms
        self._patience_s = patience_s
        self._book = Rulebook((), 0)
        self._slices: dict[str, Slice] = {}
        self._epoch = 0
        self._ended: list[Slice] = []
        self._waiters: deque[_Waiter] = deque()
        self._seq = 0
        self._unanswered: tuple[list[Slice], list[Line], list[_Waiter]] | None = None
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._over_logged_s = 0.0
        self._told_s = 0.0
        self._stopping = False

    def adopt(self, rules: Sequence[LimitRule], generation: int) -> None:
        """These rules hold from now on. A slice whose rule is gone or changed is given back at once."""
        if generation <= self._book.generation and self._book.rules:
            return
        self._book = Rulebook(rules, generation)
        for counter, slice_ in list(self._slices.items()):
            if self._book.rules.get(slice_.rule.name) != slice_.rule:
                self._end(counter)

    def counts(self, call: Call) -> Kind:
        """See `gateway.ports.Ledger`."""
        return self._book.counted(call)

    async def hold(self, call: Call, nano_usd: int | None, tokens: int) -> CallHold:
        """See `gateway.ports.Ledger`."""
        now_ms, now_s = self._now_ms(), time.monotonic()
        kind = self._book.counted(call)
        if now_ms >= kind.until_ms or kind.epoch != self._epoch:
            self._find(kind, now_ms)
        amounts = (0, 1, tokens, nano_usd)
        needs: list[Need] = []
        enough = True
        for slice_ in kind.slices:
            need = amounts[slice_.holds]
            if need is None:
                raise price_unknown(slice_.rule)
            slice_.used_s = now_s
            needs.append((slice_, need))
            if slice_.free < need:
                enough = False
        if not enough:
            await self._wait_for(needs)
        else:
            for slice_, need in needs:
                slice_.free -= need
                slice_.held += need
        told_on(call, needs, now_ms)
        return CallHold(needs, (tokens, nano_usd or 0), self._touched, self._over)

    def start(self) -> None:
        """Begin to exchange."""
        self._task = asyncio.create_task(self._run(), name="ledger")

    async def stop(self) -> None:
        """Report and give back everything; call when no call is under way any more."""
        self._stopping = True
        self._wake.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await asyncio.wait({self._task})
            self._task.cancel()
        for counter in list(self._slices):
            self._end(counter)
        with contextlib.suppress(TidegateError, TimeoutError):
            async with asyncio.timeout(5):
                while self._unanswered is not None or self._ended:
                    await self._exchange()
        if self._ended or self._unanswered is not None:
            log.error("the last slices could not be given back; they stay spent for their windows: %s", self.fault)
        await self._counters.close()

    # The slices.

    def _find(self, kind: Kind, now_ms: int) -> None:
        """The slices of calls of this kind, for as long as none of them ends."""
        slices = []
        for rule, counter in kind.rules:
            slice_ = self._slices.get(counter)
            if slice_ is None or now_ms >= slice_.ends_at_ms:
                slice_ = self._open(rule, counter, now_ms)
            slices.append(slice_)
        kind.slices, kind.epoch = tuple(slices), self._epoch
        kind.until_ms = min((slice_.ends_at_ms for slice_ in slices), default=0)

    def _open(self, rule: LimitRule, counter: str, now_ms: int) -> Slice:
        if counter in self._slices:
            self._end(counter)
        slice_ = self._slices[counter] = Slice(rule, counter, window_at(rule.per, rule.time_zone, now_ms))
        return slice_

    def _end(self, counter: str) -> None:
        """The slice takes no new call; it is kept until its last one is settled and reported."""
        self._epoch += 1
        self._ended.append(self._slices.pop(counter))
        self._soon(NEAR_S)

    def _forget(self) -> None:
        """The store has lost the counters: slices that it does not know of are worth nothing any more. What calls under
        way will have cost is reported to the windows that were rebuilt.
        """
        for counter in list(self._slices):
            self._end(counter)
        for slice_ in self._ended:
            slice_.free = 0

    def _touched(self, needs: Sequence[Need]) -> None:
        if self._timer is None:
            self._soon(NEAR_S if any(slice_.left < slice_.rule.cap // 8 for slice_, _ in needs) else REPORT_S)

    def _count(self, slice_: Slice, what: str) -> None:
        counted = self.events.setdefault(slice_.rule.name, {})
        counted[what] = counted.get(what, 0) + 1

    def _over(self, slice_: Slice) -> None:
        self._count(slice_, "over_bound")
        now_s = time.monotonic()
        if now_s - self._over_logged_s > OVER_LOGGED_S:
            self._over_logged_s = now_s
            log.warning("a call used more of %s than its bound; it is settled in full", slice_.counter)

    # The waiting.

    async def _wait_for(self, needs: list[Need]) -> None:
        """Wait until all that is needed could be taken; raises Refused or Unavailable."""
        loop = asyncio.get_running_loop()
        waiter = _Waiter(needs, loop.create_future(), loop.time() + self._patience_s)
        self._waiters.append(waiter)
        self._wake.set()
        try:
            await waiter.done
        except asyncio.CancelledError:
            if waiter.done.done() and not waiter.done.cancelled() and waiter.done.exception() is None:
                for slice_, need in needs:  # it was served, and its client went away in the same moment
                    slice_.held -= need
                    slice_.free += need
            raise
        finally:
            with contextlib.suppress(ValueError):
                self._waiters.remove(waiter)

    def _serve(self) -> None:
        """Give the waiters, first come first served, what there is; refuse those whom waiting cannot help."""
        now_s = asyncio.get_running_loop().time()
        for waiter in list(self._waiters):
            if waiter.done.done():
                continue
            short = waiter.short()
            if not short:
                for slice_, need in waiter.needs:
                    slice_.free -= need
                    slice_.held += need
                waiter.done.set_result(None)
                continue
            over = next((pair for pair in short if _hopeless(*pair)), None) if waiter.asked else None
            if over is None and now_s >= waiter.until_s:
                over = short[0]
            if over is not None:
                slice_, need = over
                self._count(slice_, "refused")
                waiter.done.set_exception(refused(slice_, need, self._now_ms()))

    # The exchanging.

    def _soon(self, delay_s: float) -> None:
        if self._timer is None and not self._stopping:
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake.set()

    async def _run(self) -> None:
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LIFE_S if self._holds_places() else None):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._exchange()
            except Exception as error:
                if not isinstance(error, TidegateError):  # a bug must not leave every call waiting
                    log.exception("limits and budgets cannot be exchanged")
                self._fail(error)
                await asyncio.sleep(AGAIN_S)
                self._wake.set()
                continue
            self._serve()
            if self._waiters:
                await asyncio.sleep(NEAR_S / 2)
                self._wake.set()

    def _fail(self, error: Exception) -> None:
        """The store is away: who needs a new slice is refused, who has one goes on."""
        if self.fault is None:
            log.warning("limits and budgets cannot be shared just now: %s", error)
        self.fault = str(error)
        lost = isinstance(error, TidegateError) and error.code == "counters_lost"
        if lost:
            self._forget()
        for waiter in self._waiters:
            if not waiter.done.done():
                waiter.done.set_exception(
                    Unavailable(
                        "A limit or budget needs its store, which is away.",
                        mend="Try again; the operator finds why in /readyz.",
                        code="counters_lost" if lost else "budget_store_unavailable",
                    )
                )

    async def _exchange(self) -> None:
        """One exchange with the store, or the last one again when its answer never came."""
        if self._unanswered is None:
            said = self._lines()
            if not said[0] and not self._holds_places():
                return
            self._seq += 1
            self._unanswered = said
        slices, lines, asking = self._unanswered
        standings = await self._counters.exchange(self._gateway_id, self._seq, lines)
        self._unanswered = None
        self.fault = None
        for slice_, standing in zip(slices, standings, strict=True):
            slice_.standing = standing
            slice_.free += standing.granted
        for waiter in asking:
            waiter.asked = True

    def _lines(self) -> tuple[list[Slice], list[Line], list[_Waiter]]:
        """What is to be said of every slice that has something to say, and the waiters whom the answer is for."""
        now_s, now_ms = time.monotonic(), self._now_ms()
        wanting: dict[int, list[int]] = {}
        for waiter in self._waiters:
            for slice_, need in waiter.needs:
                wanting.setdefault(id(slice_), []).append(need)
        slices, lines = [], []
        for counter in [counter for counter, slice_ in self._slices.items() if now_ms >= slice_.ends_at_ms]:
            self._end(counter)
        for slice_, over in [*((one, True) for one in self._ended), *((one, False) for one in self._slices.values())]:
            needs = wanting.get(id(slice_), [])
            wanted, least, returning = _asked(slice_, needs)
            if not needs:
                returning = slice_.spare(now_s, over=over or self._stopping)
            if not (wanted and least) and not slice_.settled and not returning:
                continue
            line = slice_.line(self._book.generation, wanted if least else 0, least, returning=returning)
            slice_.said(returning)
            slices.append(slice_)
            lines.append(line)
        self._ended = [one for one in self._ended if one.held or one.free or one.settled or id(one) in wanting]
        if any(one.free or one.settled for one in self._slices.values()):
            self._soon(NEAR_S if any(one.left < one.rule.cap // 8 for one in self._slices.values()) else REPORT_S)
        wanted_of = {id(slice_) for slice_, line in zip(slices, lines, strict=True) if line.wanted}
        asking = [one for one in self._waiters if all(id(slice_) in wanted_of for slice_, _ in one.short())]
        return slices, lines, asking

    def _holds_places(self) -> bool:
        """Whether a slice is held that would be lost by silence."""
        return any(one.rule.unit == "parallel" and (one.free or one.held) for one in self._slices.values())


def _asked(slice_: Slice, needs: list[int]) -> tuple[int, int, int]:
    """How much to want, at least, and to give back first. A rest that serves nobody here goes back in the same breath:
    several processes, each with a rest too small for its own calls, would wait for one another.
    """
    short = [need for need in needs if need > slice_.free]
    if not short:
        return 0, 0, 0
    if len(short) == len(needs):
        return sum(needs), min(needs), slice_.free
    return sum(needs) - slice_.free, min(short) - slice_.free, 0


def _hopeless(slice_: Slice, need: int) -> bool:
    """Nobody else holds anything that could come back, and what is left is too little."""
    standing = slice_.standing
    if standing is None:
        return False
    return slice_.rule.cap - standing.settled < need or (not standing.others_hold and not slice_.held)
