"""The work of the scoring worker as plain values: what is to be scored, which calls, and how it went."""

from typing import Literal, TypeAlias

import msgspec

__all__ = ["DAY_MS", "Job", "Scorable", "Standing", "State", "Tried", "name_of"]

DAY_MS = 86_400_000

State: TypeAlias = Literal["claimed", "again", "scored", "failed"]
"""claimed: somebody is at it, or died of it; again: it failed for a while only; scored and failed are the end."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be scored: calls of a rollout (`rollout_id`), or of a route in every environment (`route`).

    `about` names it. `share_bp` of 10,000 of the calls whose content is kept, by each of the `scorers`, for at most
    `cap_nano_usd_per_day`. A score that comes more than `within_ms` after its call started is of no use.
    """

    about: str
    scorers: tuple[str, ...]
    share_bp: int
    cap_nano_usd_per_day: int
    within_ms: int
    rollout_id: str | None = None
    route: str | None = None


class Scorable(msgspec.Struct, frozen=True):
    """A call that ended well. `arm`: of a rollout stable or candidate, else empty."""

    call_id: str
    arm: str
    started_at_ms: int
    environment: str


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One scorer on one call, as it is kept. Money in nano-dollars; `cost_nano_usd` None: nothing, or unknown."""

    call_id: str
    scorer: str
    environment: str
    about: str
    arm: str
    at_ms: int
    state: State
    attempts: int = 1
    value: float | None = None
    error: str | None = None
    cost_nano_usd: int | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the scoring of something goes: by arm and scorer (under the name of its scores), how many calls were scored
    and with what mean, how many failed by the error's code, and what it has cost, since a time (Unix ms).
    """

    about: str
    arm: str
    scorer: str
    since_ms: int
    scored: int
    waiting: int
    mean: float | None
    failed: dict[str, int]
    cost_nano_usd: int


def name_of(scorer: str) -> str:
    """Under what name a scorer's scores are found: `faithfulness` of faithfulness@1.0.0, `regex` of regex:^yes, `judge`
    of {"judge":{"model":"big"}}.
    """
    if scorer.startswith("{"):
        scorer = next(iter(msgspec.json.decode(scorer, type=dict[str, object])), "")
    return scorer.partition("@")[0].partition(":")[0]
