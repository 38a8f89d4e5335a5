"""The ports of the border. Adapters fill them for SQLite, PostgreSQL and memory; one test suite holds every adapter
to the same words.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec

from tidegate.live.calls import CallRecord
from tidegate.live.feedback import Feedback
from tidegate.live.snapshot import Snapshot

__all__ = ["Board", "Content", "Contents", "Counters", "Feedbacks", "Line", "Records", "Standing"]


class Board(Protocol):
    """Where the gateway reads what is live."""

    @property
    def fault(self) -> str | None:
        """Why the store cannot be read just now; None while it can."""
        ...

    async def latest(self) -> Snapshot | None:
        """The newest Snapshot, None when none was ever written; raises Unavailable when the store is away."""
        ...

    def changes(self, after: int) -> AsyncIterator[Snapshot]:
        """Yield every newer Snapshot as it appears (an intermediate one may be skipped, a lower generation never
        comes).

        Ends only when closed. Survives the store's absence: it waits and goes on.
        """
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...


class Records(Protocol):
    """Where the gateway leaves what happened."""

    async def append(self, batch: Sequence[CallRecord]) -> None:
        """Store the batch whole; a record that is there already (same gateway_id and seq) is not doubled. Raises
        Unavailable.
        """
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What one gateway process says of one counter's window in an exchange: what became of its slices since the last
    one, and what it wants.

    `settled` was spent, `returned` goes back unspent (negative: so much of `settled` was spent without a slice, which
    limits that do not block do). `wanted` is asked for, at least `least` of it or nothing; 0: nothing. `cap` is the one
    of the Snapshot of `generation`; the newest generation's cap holds. `ends_at_ms`: when the window ends. `expires_s`
    0: the slice of a dead process stays spent for its window (money, tokens, requests); above: it comes back when the
    process has been silent for so long (parallel calls).
    """

    counter: str
    window: str
    ends_at_ms: int
    cap: int
    generation: int
    settled: int = 0
    returned: int = 0
    wanted: int = 0
    least: int = 0
    expires_s: float = 0.0


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A counter's window after an exchange. `granted` is the new slice (0: refused); `settled` is spent for good,
    `held` is out in slices of all processes. settled + held <= cap always, but for limits that do not block.
    `others_hold`: some of `held` is another process's, so that waiting for a moment may help.
    """

    counter: str
    window: str
    granted: int
    settled: int
    held: int
    cap: int
    others_hold: bool = False


class Counters(Protocol):
    """Where all gateway processes share their limits and budgets. One verb, atomic over all that it is given."""

    async def exchange(self, gateway_id: str, seq: int, lines: Sequence[Line]) -> Sequence[Standing]:
        """Apply the lines in order (each on its own: one refused does not undo another) and return each one's standing.
        Without lines, a sign of life.

        Idempotent by (gateway_id, seq), seq counting 1, 2, 3, ...: asked again, after an answer was lost, it returns
        the same answer and changes nothing. Raises Unavailable when the store is away (nothing changed, or the same seq
        will tell), or has lost what it knew (`counters_lost`: closed until `tidegate budget rebuild`).
        """
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What was said in one call: the request's fields and the answer's bytes (JSON, or server-sent events), as sent.

    `subject` is whom it is about (the call's unit), for erasure. `shadow_of` pairs a shadow's content with the user's.
    """

    call_id: str
    at_ms: int
    expires_at_ms: int
    route: str
    endpoint: str
    request: bytes
    answer: bytes
    subject: str | None = None
    shadow_of: str | None = None


class Contents(Protocol):
    """Where the gateway leaves content, sealed; only for routes that opted in."""

    async def put(self, batch: Sequence[Content]) -> None:
        """Store the batch, sealed under the master key; a call_id that is there already is not doubled. Raises
        Unavailable.
        """
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...


class Feedbacks(Protocol):
    """Where the gateway leaves feedback."""

    async def put(self, batch: Sequence[Feedback]) -> None:
        """Store the batch, committed on return; a feedback_id that is there already is not doubled. Raises
        Unavailable.
        """
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...
