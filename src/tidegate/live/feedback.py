"""Feedback: a number that somebody gives to a call when it is over, under a name. The gateway takes it, control reads
it.
"""

import msgspec

__all__ = ["Feedback"]


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """One score of one call; never words. `value` is any finite number (yes and no are 1 and 0), `at_ms` when it came
    in (Unix ms). Of several under one name the last that came in time counts. `environment` and `key_id` are of who
    gave it: it counts for a call of the same environment only.
    """

    feedback_id: str
    call_id: str
    name: str
    value: float
    at_ms: int
    environment: str
    key_id: str
