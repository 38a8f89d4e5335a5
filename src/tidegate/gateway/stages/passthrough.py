"""The stages of a call that is passed on as it is: `Choose` finds its model and plan, `PassOn` sends it."""

import copy
import time
from collections.abc import Mapping
from urllib.parse import unquote

from tidegate.gateway.call import Call, Handler, Reply
from tidegate.gateway.events import Events
from tidegate.gateway.passthrough import (
    MODEL_HEADER,
    Body,
    Place,
    content_type,
    note_used,
    query_of,
    read_body,
    refusal,
)
from tidegate.gateway.ports import Exchange, Upstreams
from tidegate.gateway.routing.board import HealthBoard
from tidegate.gateway.routing.health import Health
from tidegate.gateway.routing.retries import RETRYABLE, may_be_billed, word_of
from tidegate.kernel.errors import Forbidden, Invalid, NotFound, ProviderFailed, TidegateError, Unavailable
from tidegate.live.plans import Candidate, Step, may_use
from tidegate.live.snapshot import Deployment

__all__ = ["Choose", "PassOn"]

MAX_NAME = 256
PASSED = (b"content-type", b"content-disposition", b"content-encoding")
NOT_CONNECTED = ("upstream_not_allowed", "upstream_not_resolved")

Attempt = tuple[Health, int, float]
"""Whose health it tells of, the number that `Health.begin` gave it, and when it began (time.perf_counter)."""


class Choose:
    """The model is named by the body, else by x-tidegate-model as header or query; the plan is that of any call."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = places

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        alias = _model(call)
        call.model_requested = alias[:MAX_NAME]
        grant = call.grant
        assert grant is not None
        if grant.models and not may_use(call.world.snapshot, grant.models, alias):
            raise Forbidden(
                f"The key {grant.name!r} may not use the model {alias[:MAX_NAME]!r}.",
                mend=f"It may use: {', '.join(grant.models)}.",
                code="model_not_allowed",
                param="model",
            )
        call.route = alias
        plan = call.plan = call.world.allowed_plan(alias, grant)
        if not any(_path(self._places, one.deployment, "") is not None for one in plan.candidates):
            raise _not_served(call)
        return await inner(call)


class PassOn:
    """Sends the call to the first candidate that is well, and to another one only when no connection came about: what
    an upstream may have begun is not begun again. Answers are read as they come, no faster than the client reads.
    """

    def __init__(self, places: Mapping[str, Place], upstreams: Upstreams, board: HealthBoard) -> None:
        self._places = places
        self._upstreams = upstreams
        self._board = board

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        plan = call.plan
        assert plan is not None
        body = read_body(call)
        last: TidegateError | None = None
        for step in plan.steps:
            for candidate in self._board.ordered(call, step):
                path = _path(self._places, candidate.deployment, call.request.path.removeprefix("/v1"))
                if path is None:
                    continue
                name = candidate.deployment.name
                why = self._board.of(name).blocked(self._board.clock(), candidate.deployment.max_parallel)
                if why is not None:
                    call.trace.append(f"{name}:{why}")
                    continue
                try:
                    return await self._try(call, step, candidate, (path, body))
                except ProviderFailed as error:
                    call.trace.append(f"{name}:{word_of(error)}")
                    if not _never_sent(call, error):
                        call.unsure += may_be_billed(error)
                        raise
                    last = error
        raise last or Unavailable(
            f"No deployment of {call.route!r} is free just now ({', '.join(call.trace)}).",
            mend="Try again in a moment.",
            code="upstreams_busy",
        )

    async def _try(self, call: Call, step: Step, candidate: Candidate, what: tuple[str, Body]) -> Reply:
        path, body = what
        target = call.world.targets[candidate.deployment.name]
        call.deployment = call.upstream_model = None
        if target.fault is not None:
            raise target.fault.with_traceback(None)
        call.deployment, call.upstream_model = candidate.deployment, candidate.upstream_model
        query, _ = query_of(call)
        if query:
            path = f"{path}{'&' if '?' in path else '?'}{query}"
        pieces = body.pieces(candidate.upstream_model)
        size = sum(len(piece) for piece in pieces)
        with_body = call.endpoint.method == "POST"
        head = target.head(
            call.endpoint.method, path, content_type(call) if with_body else "", size if with_body else None
        )
        call.attempts += 1
        health = self._board.of(candidate.deployment.name)
        began_s = time.perf_counter()
        trial = health.begin()
        try:
            patient = copy.copy(target)  # an image may take as long to begin as it takes
            patient.first_token_timeout_s = target.total_timeout_s
            exchange = await self._upstreams.send(patient, (head, *pieces), streaming=True)
            reply = await self._read(call, candidate, exchange, (health, trial, began_s))
        except ProviderFailed as error:
            self._board.broken(health, error, step.breaker, trial)
            raise
        except BaseException:
            health.left(trial)
            raise
        call.trace.append(f"{candidate.deployment.name}:{reply.status}")
        if reply.status in RETRYABLE:
            self._board.refused(health, reply, step.breaker, trial)
        elif reply.events is None:
            health.well(self._board.clock(), (time.perf_counter() - began_s) * 1000, trial)
        return reply

    async def _read(self, call: Call, candidate: Candidate, exchange: Exchange, attempt: Attempt) -> Reply:
        streamed = False
        try:
            status, headers = exchange.status, exchange.headers
            found = headers.get(b"x-request-id", b"")
            call.upstream_request_id = found.decode("latin-1")[:128] or None
            if not 200 <= status < 300:
                return refusal(call, candidate, status, headers, await exchange.whole())
            passed = [(name, headers[name]) for name in PASSED if name in headers]
            kind = headers.get(b"content-type", b"").lower()
            if kind.startswith(b"application/json") and not call.endpoint.name.endswith(".content"):
                body = await exchange.whole()
                note_used(call, body)
                return Reply(status, passed, body)
            streamed = True
            reader = _Passing(call)
            events = Events(exchange, reader)
            events.when_over(lambda error: self._over(reader, exchange, attempt))
            return Reply(status, passed, events=events)
        finally:
            if not streamed:
                exchange.release()

    def _over(self, reader: "_Passing", exchange: Exchange, attempt: Attempt) -> None:
        health, trial, began_s = attempt
        first_s = reader.call.first_token_s
        exchange.release()
        if reader.complete and first_s is not None:
            health.well(self._board.clock(), (first_s - began_s) * 1000, trial)
        else:
            health.left(trial)


class _Passing:
    """Reads nothing: notes when the first bytes and the last ones came."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.complete = False
        self.failure: ProviderFailed | None = None

    def feed(self, chunk: bytes) -> bytes:
        """See `Reader`."""
        if self.call.first_token_s is None:
            self.call.first_token_s = time.perf_counter()
        return chunk

    def end(self) -> bytes:
        """See `Reader`."""
        self.complete = self.call.whole = True
        return b""


def _model(call: Call) -> str:
    header = call.request.headers.get(MODEL_HEADER.encode(), b"").decode("latin-1")
    _, asked = query_of(call)
    model = read_body(call).model or header or unquote(asked)
    if model:
        return model
    if call.endpoint.names_model:
        raise Invalid("The field `model` is missing.", mend="Add it.", param="model", code="missing_required_parameter")
    raise Invalid(
        f"Nothing says at which model's upstream {call.endpoint.path} is asked for.",
        mend=f"Name a model in the header {MODEL_HEADER}, or in the query: ?{MODEL_HEADER}=NAME.",
        param=MODEL_HEADER,
        code="missing_required_parameter",
    )


def _path(places: Mapping[str, Place], deployment: Deployment, path: str) -> str | None:
    place = places.get(deployment.provider)
    return place(deployment, path) if place is not None else None


def _not_served(call: Call) -> NotFound:
    return NotFound(
        "endpoint",
        f"{call.endpoint.method} {call.endpoint.path} at the model {call.route!r}",
        mend="Only models of the providers openai and azure (its v1 API) have it; "
        "of this one are served: POST /v1/chat/completions, POST /v1/responses, POST /v1/messages.",
        code="unsupported_endpoint",
        param="model",
    )


def _never_sent(call: Call, error: ProviderFailed) -> bool:
    """Whether the request cannot have reached the upstream."""
    return call.deployment is None or error.code in NOT_CONNECTED or isinstance(error.__cause__, OSError)
