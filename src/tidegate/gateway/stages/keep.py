"""Keeps what was said in some calls, where their route opted in; a call of any other route pays one look-up."""

from collections.abc import Awaitable

import msgspec

from tidegate.gateway.call import Call, Handler, Reply
from tidegate.gateway.ports import ContentLog
from tidegate.live.assignment import bucket
from tidegate.live.plans import ADAPTER
from tidegate.live.ports import Content
from tidegate.live.snapshot import Route

__all__ = ["MAX_BYTES", "Keep"]

OK = 200
SALT = "content"
MAX_BYTES = 1 << 20
"""Of the request, and of the answer; longer ones are not kept, and counted as dropped."""
DAY_MS = 86_400_000

_ENCODE = msgspec.json.Encoder().encode


class Keep:
    """Keeps whole answers of status 200 alone. The calls of users are sampled by their id; one that may be copied for a
    candidate is kept always, and so is its copy, so that the pair can be compared.
    """

    def __init__(self, contents: ContentLog) -> None:
        self._contents = contents

    def __call__(self, call: Call, inner: Handler) -> Awaitable[Reply]:
        route = call.world.routes.get(call.route or "") or _behind_adapter(call)
        if route is None or not route.content_bp or not _wanted(call, route):
            return inner(call)
        return self._kept(call, inner)

    async def _kept(self, call: Call, inner: Handler) -> Reply:
        reply = await inner(call)
        if reply.status != OK:
            return reply
        if reply.events is None:
            self._put(call, reply.body)
        else:
            gathered = _Gathered()
            reply.events.tap(gathered.add)
            reply.events.when_over(lambda error: self._over(call, gathered, error))
        return reply

    def _over(self, call: Call, gathered: "_Gathered", error: BaseException | None) -> None:
        """Keep what came to its end; clients leave at [DONE]."""
        if error is not None and (isinstance(error, Exception) or not call.whole):
            return
        if gathered.size > MAX_BYTES:
            self._contents.drop()
        else:
            self._put(call, b"".join(gathered.parts))

    def _put(self, call: Call, answer: bytes) -> None:
        payload = call.payload if call.variables is None else {**call.payload, "variables": call.variables}
        request = _ENCODE(payload)
        if len(request) > MAX_BYTES or len(answer) > MAX_BYTES:
            self._contents.drop()
            return
        days = call.world.snapshot.policy.content_retention_days
        self._contents.put(
            Content(
                call_id=call.call_id,
                at_ms=call.started_at_ms,
                expires_at_ms=call.started_at_ms + days * DAY_MS,
                route=call.route or "",
                endpoint=call.endpoint.name,
                request=request,
                answer=answer,
                subject=call.unit,
                shadow_of=call.shadow_of,
            )
        )


class _Gathered:
    """The blocks of a stream, up to MAX_BYTES; of a longer one nothing."""

    __slots__ = ("parts", "size")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, block: bytes) -> None:
        self.size += len(block)
        if self.size <= MAX_BYTES:
            self.parts.append(block)
        else:
            self.parts.clear()


def _behind_adapter(call: Call) -> Route | None:
    """The route of `ALIAS:ADAPTER`; None for a model that was asked for by its own name."""
    alias, separator, _ = (call.route or "").partition(ADAPTER)
    if not separator or call.route in call.world.deployments:
        return None
    return call.world.routes.get(alias)


def _wanted(call: Call, route: Route) -> bool:
    if call.origin == "user":
        return call.shadowed or bucket(SALT, call.call_id) < route.content_bp
    return call.origin == "shadow"
