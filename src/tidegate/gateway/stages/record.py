"""The outermost stage: gives every call its id and its one CallRecord, and turns errors into replies."""

import time
from types import MappingProxyType

from tidegate.gateway import anthropic_errors
from tidegate.gateway.bounds import cost_of, used_of
from tidegate.gateway.call import Call, Handler, Reply
from tidegate.gateway.openai_errors import error_event, error_reply, error_status
from tidegate.gateway.ports import Journal, Meters
from tidegate.kernel.errors import ProviderFailed, ProviderTimeout, TidegateError
from tidegate.live.calls import CallRecord

__all__ = ["Record"]

ANTHROPIC = "anthropic"
UNRECORDED = ("listing", "feedback")
STATUSES = MappingProxyType({"cancelled": 499, "timeout": 504})
EVENTS = b"text/event-stream"
USER = "user"
OWN = ("judge", "eval", "probe")


class Record:
    """Writes the record when the call is over: for a stream, when its last event was read, it broke, or the client
    left.
    """

    def __init__(self, journal: Journal, meters: Meters) -> None:
        self._journal = journal
        self._meters = meters

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        if call.endpoint.kind not in UNRECORDED:
            self._meters.in_flight += 1
        try:
            reply = await inner(call)
        except TidegateError as error:
            call.ending = _ending(call, error)
            call.error_code = error.code
            reply = _reply(call, error)
        except BaseException as error:
            call.ending = _left(call) if not isinstance(error, Exception) else "failed"
            call.error_code = type(error).__name__
            call.unsure += call.attempts > 0  # whatever was asked may be billed
            error.add_note(f"call_id={call.call_id}")  # for the log
            self._settle(call, STATUSES.get(call.ending, 500))
            raise
        self._sign(call, reply)
        if reply.events is None:
            self._settle(call, reply.status)
        else:
            reply.events.mend_with(lambda error: _last_event(call, reply, error))
            reply.events.when_over(lambda error: self._streamed(call, reply.status, error))
        return reply

    def _streamed(self, call: Call, status: int, error: BaseException | None) -> None:
        """Clients leave at [DONE], often before the last bytes behind it."""
        if error is not None:
            call.ending = _broken_off(call, error)
            if isinstance(error, TidegateError):
                call.error_code = error.code
            elif isinstance(error, Exception):
                call.error_code = type(error).__name__
                error.add_note(f"call_id={call.call_id}")
        self._settle(call, status)

    def _sign(self, call: Call, reply: Reply) -> None:
        headers = reply.headers
        headers.append((b"x-request-id", call.call_id.encode()))
        if call.endpoint.family == ANTHROPIC:
            headers.append((b"request-id", call.call_id.encode()))
        headers += call.reply_headers
        if call.prompt_version is not None:
            headers.append((b"x-tidegate-version", f"{call.prompt}@{call.prompt_version}".encode()))
        if call.enrolment is not None:
            enrolled = f"{call.enrolment.experiment.name}/{call.enrolment.variant.name}"
            headers.append((b"x-tidegate-experiment", enrolled.encode()))
        if call.placement is not None:
            headers.append((b"x-tidegate-rollout", call.placement.arm.name.encode()))
        if call.origin != USER and (cost := _cost(call)) is not None:
            headers.append((b"x-tidegate-cost-nano-usd", b"%d" % cost))
        if call.overridden:
            headers.append((b"x-tidegate-overridden", ", ".join(call.overridden).encode()))

    def _settle(self, call: Call, status: int) -> None:
        if call.endpoint.kind in UNRECORDED:
            return
        self._meters.in_flight -= 1
        if call.hold is not None:
            call.hold.settle(*used_of(call, status))
        record = _record(call, status, self._journal)
        self._journal.put(record)
        if call.origin not in OWN:  # meters tell of users
            self._meters.count(record)


def _has_events(reply: Reply) -> bool:
    return any(name == b"content-type" and value.startswith(EVENTS) for name, value in reply.headers)


def _reply(call: Call, error: TidegateError) -> Reply:
    if call.endpoint.family == ANTHROPIC:
        return anthropic_errors.error_reply(error, call.call_id)
    return error_reply(error)


def _last_event(call: Call, reply: Reply, error: TidegateError) -> bytes | None:
    """A break becomes an error event without [DONE]: a cut answer never looks like a whole one. What is no stream of
    events breaks off.
    """
    if call.endpoint.kind == "passthrough" and not _has_events(reply):
        return None
    if call.endpoint.family == ANTHROPIC:
        return anthropic_errors.error_event(error, call.call_id)
    return error_event(error)


def _broken_off(call: Call, error: BaseException) -> str:
    """How a stream ended that did not come to its end."""
    if isinstance(error, TidegateError):
        return "timeout" if isinstance(error, ProviderTimeout) else "cut"
    if isinstance(error, Exception):
        return "failed"
    return "complete" if call.whole else _left(call)


def _left(call: Call) -> str:
    """How a call ended that nobody waits for any more."""
    return "timeout" if call.overdue else "cancelled"


def _ending(call: Call, error: TidegateError) -> str:
    if isinstance(error, ProviderTimeout):
        return "timeout"
    if error.code == "provider_cut":
        return "cut"
    if isinstance(error, ProviderFailed) or error_status(error) >= 500:
        return "failed"
    return "refused"


def _record(call: Call, status: int, journal: Journal) -> CallRecord:
    latency_s = time.perf_counter() - call.started_s
    usage, deployment, grant = call.usage, call.deployment, call.grant
    inputs = outputs = cached = written = cost = None
    if usage is not None and deployment is not None:
        inputs, outputs, cached = usage.input_tokens, usage.output_tokens, usage.cached_input_tokens
        written = usage.cache_write_tokens
        cost = _cost(call)
    ttft_ms = tpot_ms = None
    if call.first_token_s is not None:
        ttft_ms = (call.first_token_s - call.started_s) * 1000
        if outputs is not None and outputs > 1 and call.last_token_s is not None:
            tpot_ms = (call.last_token_s - call.first_token_s) * 1000 / (outputs - 1)
    experiment_id, variant, unit, propensity = _exposure(call)
    return CallRecord(
        call_id=call.call_id,
        gateway_id=journal.gateway_id,
        seq=journal.next_seq(),
        started_at_ms=call.started_at_ms,
        endpoint=call.endpoint.name,
        status=status,
        ending=call.ending,
        latency_ms=latency_s * 1000,
        stream=call.stream,
        environment=grant.environment if grant else None,
        key_id=grant.key_id if grant else None,
        tags=call.tags,
        unit=call.unit,
        model_requested=call.model_requested,
        prompt=call.prompt,
        prompt_version=call.prompt_version,
        release_id=call.release_id,
        route=call.route,
        deployment=deployment.name if deployment else None,
        upstream_model=call.upstream_model,
        upstream_request_id=call.upstream_request_id,
        input_tokens=inputs,
        output_tokens=outputs,
        cached_input_tokens=cached,
        cost_nano_usd=cost,
        ttft_ms=ttft_ms,
        tpot_ms=tpot_ms,
        finish_reason=call.finish_reason,
        error_code=call.error_code,
        generation=call.world.generation,
        origin=call.origin,
        cache_write_tokens=written,
        bound_nano_usd=call.bound_nano_usd,
        attempts=call.attempts,
        trace=" > ".join(call.trace) if call.trace else None,
        region=deployment.region or None if deployment else None,
        shadow_of=call.shadow_of,
        experiment_id=experiment_id,
        variant=variant,
        experiment_unit=unit,
        propensity=propensity,
    )


def _cost(call: Call) -> int | None:
    """What the call has cost; None while or where that is unknown."""
    return cost_of(call) if call.usage is not None and call.deployment is not None else None


def _exposure(call: Call) -> tuple[str | None, str | None, str | None, float | None]:
    """Of which experiment or rollout the call is a use, in which arm, by whom, and how probably."""
    enrolment, placement = call.enrolment, call.placement
    if enrolment is not None:
        return enrolment.experiment.experiment_id, enrolment.variant.name, enrolment.unit, enrolment.propensity
    if placement is not None and placement.release.rollout is not None:
        dealt = placement.propensity if call.shadow_of is None else None  # to a copy nobody was assigned
        return placement.release.rollout.rollout_id, placement.arm.name, placement.unit, dealt
    return None, None, None, None
