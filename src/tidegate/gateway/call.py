"""The words of the gateway: Request (in), Reply (out), and Call, which one request fills on its way through the
stages.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from tidegate.gateway.endpoints import Endpoint
from tidegate.gateway.events import Events
from tidegate.kernel.errors import TidegateError
from tidegate.kernel.ids import IdSource
from tidegate.live.experiments import Enrolment
from tidegate.live.plans import Plan
from tidegate.live.rollouts import Placement
from tidegate.live.snapshot import Deployment, KeyGrant

if TYPE_CHECKING:
    from tidegate.gateway.ports import Hold
    from tidegate.gateway.world import World

__all__ = ["JSON_HEADER", "Call", "Handler", "Reply", "Request", "Stage", "Usage"]

JSON_HEADER = (b"content-type", b"application/json")


class Request:
    """One HTTP request, as a door read it. Header names are lower-case; `fault` is set when the door could not read
    all of it.
    """

    __slots__ = ("body", "fault", "headers", "method", "path", "query")

    def __init__(
        self,
        method: str,
        path: str,
        headers: dict[bytes, bytes],
        body: bytes = b"",
        query: str = "",
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.query = query
        self.fault: TidegateError | None = None


class Reply:
    """One HTTP reply: a whole `body`, or `events` to be sent as they come (then `body` is empty).

    Whoever takes the events must pour them, or read them and call `aclose()`: the call is settled there.
    """

    __slots__ = ("body", "events", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: list[tuple[bytes, bytes]],
        body: bytes = b"",
        events: Events | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.events = events


class Usage:
    """What the upstream said it used; None is what it did not say."""

    __slots__ = ("cache_write_tokens", "cached_input_tokens", "input_tokens", "output_tokens")

    def __init__(
        self,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_input_tokens: int | None = None,
        cache_write_tokens: int | None = None,
    ) -> None:
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.cached_input_tokens = cached_input_tokens
        self.cache_write_tokens = cache_write_tokens


class Call:
    """One call on its way. The World is pinned at entry, so that no request sees two worlds. Stages fill in what they
    learn.

    `payload` holds the body's fields in the words of the endpoint that was asked. `plan` (resolve) says where the call
    may go, `enrolment` its place in an experiment, `placement` the one in a rollout, `deployment` (send) where it went;
    `trace` gathers one word for each attempt. `hold` (admit) is what was reserved for it; whoever ends the call settles
    it. `unsure` counts the attempts that failed and may be billed all the same. `shadowed`: a copy for a candidate may
    follow; a copy whose time is over is `overdue`. `variables`: all that the caller gave to a prompt, where it gave no
    more than them. `reply_headers` go onto the reply, whatever becomes of it.
    """

    __slots__ = (
        "attempts",
        "bound_nano_usd",
        "bound_tokens",
        "call_id",
        "deployment",
        "ending",
        "endpoint",
        "enrolment",
        "error_code",
        "extended",
        "finish_reason",
        "first_token_s",
        "grant",
        "hold",
        "last_token_s",
        "model_requested",
        "origin",
        "overdue",
        "overridden",
        "payload",
        "placement",
        "plan",
        "prompt",
        "prompt_version",
        "release_id",
        "reply_headers",
        "request",
        "route",
        "shadow_of",
        "shadowed",
        "started_at_ms",
        "started_s",
        "stream",
        "tags",
        "trace",
        "unit",
        "unsure",
        "upstream_model",
        "upstream_request_id",
        "usage",
        "usage_wanted",
        "variables",
        "whole",
        "world",
    )

    def __init__(self, request: Request, endpoint: Endpoint, world: "World", ids: IdSource) -> None:
        self.started_s = time.perf_counter()
        self.started_at_ms = time.time_ns() // 1_000_000
        self.call_id = ids.next(self.started_at_ms)
        self.request = request
        self.endpoint = endpoint
        self.world = world
        self.grant: KeyGrant | None = None
        self.payload: dict[str, msgspec.Raw] = {}
        self.variables: msgspec.Raw | None = None
        self.stream = False
        self.usage_wanted = False
        self.tags: dict[str, str] = {}
        self.unit: str | None = None
        self.model_requested: str | None = None
        self.prompt: str | None = None
        self.prompt_version: str | None = None
        self.release_id: str | None = None
        self.enrolment: Enrolment | None = None
        self.placement: Placement | None = None
        self.route: str | None = None
        self.plan: Plan | None = None
        self.deployment: Deployment | None = None
        self.upstream_model: str | None = None
        self.attempts = 0
        self.unsure = 0
        self.extended = 0
        self.trace: list[str] = []
        self.hold: Hold | None = None
        self.bound_nano_usd: int | None = None
        self.bound_tokens = 0
        self.reply_headers: list[tuple[bytes, bytes]] = []
        self.origin = "user"
        self.shadow_of: str | None = None
        self.shadowed = False
        self.overdue = False
        self.overridden: tuple[str, ...] = ()
        self.upstream_request_id: str | None = None
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.first_token_s: float | None = None
        self.last_token_s: float | None = None
        self.whole = False
        self.ending = "complete"
        self.error_code: str | None = None


Handler = Callable[[Call], Awaitable[Reply]]
Stage = Callable[[Call, Handler], Awaitable[Reply]]
