"""The CallRecord: everything that happened in one call, never what was said in it. The gateway writes it; control
reads it.
"""

import msgspec

__all__ = ["ENDINGS", "CallRecord"]

ENDINGS = ("complete", "cut", "timeout", "cancelled", "blocked", "refused", "failed")
"""How a call can end.

complete   the answer arrived whole                        cut        the upstream broke off after its answer began
timeout    the upstream was silent for too long            cancelled  the client went away
blocked    a guard stopped the answer                      refused    we said no before any upstream was asked
failed     the upstream gave an error instead of an answer
"""


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One call. Times in ms, money in nano-dollars; None means unknown (or: does not apply), never 0.

    `origin` is user, shadow, probe, eval or judge; a shadow copy names in `shadow_of` the call that it copies.
    `attempts` counts the requests made to upstreams, `trace` tells them in order (`name:outcome` joined by ` > `), for
    `tidegate route explain`. `bound_nano_usd` is what was reserved.

    A call in an experiment carries `experiment_id`, its `variant`, the unit that was assigned (`experiment_unit`) and
    the `propensity`: the probability with which the unit had to get this variant.

    `gateway_id` names one life of one gateway process and `seq` counts its records from 1 without a hole: a hole that
    is seen later is a record that was lost.
    """

    call_id: str
    gateway_id: str
    seq: int
    started_at_ms: int
    endpoint: str
    status: int
    ending: str
    latency_ms: float
    origin: str = "user"
    stream: bool = False
    environment: str | None = None
    key_id: str | None = None
    tags: dict[str, str] = {}
    unit: str | None = None
    model_requested: str | None = None
    prompt: str | None = None
    prompt_version: str | None = None
    release_id: str | None = None
    route: str | None = None
    deployment: str | None = None
    upstream_model: str | None = None
    upstream_request_id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cost_nano_usd: int | None = None
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    generation: int = 0
    cache_write_tokens: int | None = None
    bound_nano_usd: int | None = None
    attempts: int = 0
    trace: str | None = None
    region: str | None = None
    shadow_of: str | None = None
    experiment_id: str | None = None
    variant: str | None = None
    experiment_unit: str | None = None
    propensity: float | None = None
