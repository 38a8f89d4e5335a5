"""What is asked of the call records, and what is found, as plain values."""

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.kernel.errors import Invalid
from tidegate.kernel.ids import made_at_ms
from tidegate.live.calls import ENDINGS, CallRecord
from tidegate.live.contents import Resealed

__all__ = [
    "HOUR_MS",
    "LIST_LIMIT",
    "CallContent",
    "CallFilter",
    "CallPage",
    "CallRecord",
    "Cursor",
    "Erasure",
    "Gap",
    "Life",
    "Pair",
    "PairFilter",
    "PairPage",
    "Pruned",
    "Resealed",
    "decode_cursor",
    "encode_cursor",
    "next_cursor",
    "starting_points",
    "unborn_gaps",
]

HOUR_MS = 3_600_000
"""Longer than a call may last."""

LIST_LIMIT = 1000
CURSOR_LIMIT = 16_384


class CallFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls; None means any. `after` and `before` bound the start (Unix ms, exclusive); `origin` is user, shadow,
    probe, eval or judge.
    """

    after: int | None = None
    before: int | None = None
    key: str | None = None
    prompt: str | None = None
    version: str | None = None
    ending: str | None = None
    environment: str | None = None
    origin: str | None = None
    limit: int = 50

    def __post_init__(self) -> None:
        if self.ending is not None and self.ending not in ENDINGS:
            raise Invalid(
                f"No call ends as {self.ending!r}.", mend=f"Choose from {', '.join(ENDINGS)}.", param="ending"
            )
        if not 1 <= self.limit <= LIST_LIMIT:
            raise Invalid(f"A list holds 1 to {LIST_LIMIT} calls.", mend="Page with before=.", param="limit")


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of one life of one gateway process: its first and last record, with their starts (Unix ms)."""

    gateway_id: str
    first_seq: int
    first_ms: int
    last_seq: int
    last_ms: int


class Cursor(msgspec.Struct, frozen=True):
    """How far a follower has read: the newest `seq` it knows of each gateway that was alive in the hour before `at_ms`.

    Records are stored when a call ends, so no time of a call says what is new; but each gateway's records come in the
    order of their `seq`. Hence a cursor by gateway misses nothing and shows nothing twice.
    """

    at_ms: int
    seen: dict[str, int]


class CallPage(msgspec.Struct, frozen=True):
    """Some calls, and the cursor from which to follow."""

    calls: tuple[CallRecord, ...]
    cursor: str


class PairFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which pairs: of one route, or of all; `before` is the `next` of the page before. None means any."""

    route: str | None = None
    before: str | None = None
    limit: int = 50

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= LIST_LIMIT:
            raise Invalid(f"A list holds 1 to {LIST_LIMIT} pairs.", mend="Page with before=.", param="limit")


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A user's call and its copy for a candidate. `user` is None when its record is gone (retention, or lost). Whether
    what was said in each is still kept: only then can the two answers be compared.
    """

    user: CallRecord | None
    shadow: CallRecord
    user_kept: bool
    shadow_kept: bool


class PairPage(msgspec.Struct, frozen=True):
    """Some pairs, newest first, and what to ask for older ones by; None when there are none."""

    pairs: tuple[Pair, ...]
    next: str | None


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Records that never arrived: `first` to `last` of a gateway, and when the calls beside them started (Unix ms)."""

    gateway_id: str
    first: int
    last: int
    after_ms: int | None
    before_ms: int

    @property
    def lost(self) -> int:
        return self.last - self.first + 1


class CallContent(msgspec.Struct, frozen=True, kw_only=True):
    """What was said in one call. `request` and `answer` are JSON as values; a stream's answer is its events as text.
    `subject` is whom it is about; `shadow_of` the user's call of which this is a copy. Times in Unix ms.
    """

    call_id: str
    at_ms: int
    expires_at_ms: int
    route: str
    endpoint: str
    request: Any
    answer: Any
    subject: str | None = None
    shadow_of: str | None = None


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt of an erasure: how many calls' content went, and when (Unix ms). `subject_hash` is the keyed hash by
    which the audit names the subject; `unchecked` rows were sealed under a master key that is not here.
    """

    subject_hash: str
    erased: int
    unchecked: int
    erased_at_ms: int


class Pruned(msgspec.Struct, frozen=True):
    """How many records went because of their age, and because of the size of the whole."""

    by_age: int
    by_size: int


def next_cursor(lives: tuple[Life, ...], at_ms: int, read: Mapping[str, int] | None = None) -> Cursor:
    """The cursor of somebody who has read every life to its end, those in `read` only to that `seq`."""
    ends = {life.gateway_id: life.last_seq for life in lives if life.last_ms >= at_ms - HOUR_MS}
    return Cursor(at_ms, ends | dict(read or {}))


def starting_points(cursor: Cursor, lives: tuple[Life, ...]) -> tuple[tuple[str, int, int], ...]:
    """Where to read on: (gateway, after this seq, not started before this time), where there is something new."""
    since_ms = cursor.at_ms - HOUR_MS
    points: list[tuple[str, int, int]] = []
    for life in lives:
        seen = cursor.seen.get(life.gateway_id)
        if seen is not None and life.last_seq > seen:
            points.append((life.gateway_id, seen, 0))
        elif seen is None and life.last_ms >= since_ms:
            points.append((life.gateway_id, 0, since_ms))
    return tuple(points)


def unborn_gaps(lives: tuple[Life, ...]) -> tuple[Gap, ...]:
    """Lives that began when all records were kept already, and whose first ones are missing all the same.

    A gateway's id tells when its life began. What began before the oldest kept record may have been pruned.
    """
    oldest_ms = min((life.first_ms for life in lives), default=0)
    return tuple(
        Gap(gateway_id=life.gateway_id, first=1, last=life.first_seq - 1, after_ms=None, before_ms=life.first_ms)
        for life in lives
        if life.first_seq > 1 and (made_at_ms(life.gateway_id) or 0) > oldest_ms + HOUR_MS
    )


def encode_cursor(cursor: Cursor) -> str:
    """The cursor as one word for a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def decode_cursor(text: str) -> Cursor:
    """Read a cursor back; raises Invalid for anything that is none."""
    try:
        if len(text) > CURSOR_LIMIT:
            raise ValueError("too long")
        found: object = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(found, Mapping):
            raise ValueError("no object")
        return msgspec.convert(found, Cursor)
    except (ValueError, msgspec.DecodeError) as error:
        raise Invalid(
            "The cursor is not one of ours.",
            mend="Begin without a cursor, then hand back the one you get.",
            param="cursor",
        ) from error
