"""Slice: what this process has of one counter's window, and what it owes the shared store."""

from tidegate.live.ports import Line, Standing
from tidegate.live.snapshot import LimitRule
from tidegate.live.windows import Window

__all__ = ["MONEY", "NOTHING", "ONE", "TOKENS", "Slice"]

NOTHING, ONE, TOKENS, MONEY = range(4)
"""What a call takes from a slice; places in the tuple of its amounts, (0, 1, tokens, nano-dollars)."""
BP = 10_000

SHARES = 16
"""A slice is asked for at the cap's 16th part, and at an 8th of what is left: it shrinks as the cap nears."""
LEFT_SHARES = 8
PARALLEL_EXPIRES_S = 15.0
KEPT_S = 1.0
KEPT_NEAR_CAP_S = 0.02


class Slice:
    """One counter's window in this process. Conserved: free + held + settled is what was granted and not yet reported.

    `free` can be reserved, `held` is reserved by calls under way, `settled` is spent and not yet reported; `bare` is
    the part of `settled` that was spent without a slice. `standing` is what the store last said of all processes.

    A call holds the amount at `holds` and settles the one at `counts`; `soft_at` is how much is spent at the soft edge.
    """

    __slots__ = (
        "bare",
        "counter",
        "counts",
        "ends_at_ms",
        "free",
        "held",
        "holds",
        "rule",
        "settled",
        "soft_at",
        "standing",
        "used_s",
        "window",
    )

    def __init__(self, rule: LimitRule, counter: str, window: Window) -> None:
        self.rule = rule
        self.counter = counter
        self.window = window.name
        self.ends_at_ms = window.ends_at_ms
        self.counts = {"nano_usd": MONEY, "tokens": TOKENS, "requests": ONE}.get(rule.unit, NOTHING)
        self.holds = NOTHING if not rule.hard else self.counts or ONE
        self.soft_at = -(-rule.soft_bp * rule.cap // BP)
        self.free = 0
        self.held = 0
        self.settled = 0
        self.bare = 0
        self.used_s = 0.0
        self.standing: Standing | None = None

    @property
    def spent(self) -> int:
        """What all processes have settled, as far as this one knows."""
        return self.settled + (self.standing.settled if self.standing else 0)

    @property
    def left(self) -> int:
        """What the store could still give, as far as this process knows."""
        standing = self.standing
        return self.rule.cap if standing is None else max(0, self.rule.cap - standing.settled - standing.held)

    def settle(self, held: int, spent: int) -> bool:
        """End a hold of `held` (0 for a limit that does not block); True when more was spent than held."""
        self.held -= held
        over = spent - held
        if over <= 0:
            self.free -= over
        else:
            covered = min(over, max(0, self.free))
            self.free -= covered
            self.bare += over - covered
        self.settled += spent
        return over > 0

    def line(self, generation: int, wanted: int, least: int, *, returning: int) -> Line:
        """What to say to the store; the caller takes it out of the slice with `said` before it is sent."""
        share = min(self.rule.cap // SHARES, self.left // LEFT_SHARES)
        return Line(
            counter=self.counter,
            window=self.window,
            ends_at_ms=self.ends_at_ms,
            cap=self.rule.cap,
            generation=generation,
            settled=self.settled,
            returned=returning - self.bare,
            wanted=max(wanted, share) if wanted > 0 else 0,
            least=least,
            expires_s=PARALLEL_EXPIRES_S if self.rule.unit == "parallel" else 0.0,
        )

    def said(self, returning: int) -> None:
        """The line was made: what it reports is not owed any more."""
        self.free -= returning
        self.settled = 0
        self.bare = 0

    def spare(self, now_s: float, *, over: bool) -> int:
        """How much of `free` to give back now: all when the window is over or it lies idle; near the cap at once,
        since another process may be refused for it.
        """
        if self.free <= 0:
            return 0
        near = self.left < self.rule.cap // LEFT_SHARES
        kept_s = KEPT_NEAR_CAP_S if near else KEPT_S
        return self.free if over or now_s - self.used_s >= kept_s else 0
