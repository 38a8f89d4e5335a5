"""Calls without a door: for the tests of what happens to one inside."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import msgspec

from tests.support.scene import CHAT, snapshot_of
from tidegate.gateway.call import Call, Request
from tidegate.gateway.endpoints import find_endpoint
from tidegate.gateway.providers.base import Ask
from tidegate.gateway.world import World
from tidegate.kernel.ids import IdSource
from tidegate.live.calls import CallRecord
from tidegate.live.snapshot import Deployment, Snapshot

__all__ = ["a_call", "a_record", "an_ask", "pieces_of"]


def a_call(
    body: Mapping[str, Any] | None = None, *, path: str = "/v1/chat/completions", snapshot: Snapshot | None = None
) -> Call:
    """A call as the stage `send` sees it: its body read, everything else still to come."""
    body = dict(CHAT) if body is None else body
    request = Request("POST", path, {}, json.dumps(body).encode())
    world = World(snapshot or snapshot_of("http://127.0.0.1:1/v1"), {})
    call = Call(request, find_endpoint("POST", path), world, IdSource("call"))
    call.payload = msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])
    call.stream = bool(body.get("stream"))
    call.usage_wanted = bool((body.get("stream_options") or {}).get("include_usage"))
    return call


def an_ask(call: Call | None = None, deployment: Deployment | None = None) -> Ask:
    """The call as one upstream is asked it, in its endpoint's own words."""
    call = call or a_call()
    deployment = deployment or next(iter(call.world.deployments.values()))
    return Ask(call, call.endpoint.name, call.payload, deployment, deployment.upstream_model)


def a_record(seq: int = 1, **fields: Any) -> CallRecord:
    """A record of a call that went well."""
    base: dict[str, Any] = {
        "call_id": f"call_{seq}",
        "gateway_id": "gw_1",
        "seq": seq,
        "started_at_ms": 1_700_000_000_000 + seq,
        "endpoint": "chat.completions",
        "status": 200,
        "ending": "complete",
        "latency_ms": 12.5,
    }
    return CallRecord(**(base | fields))


async def pieces_of(pieces: Iterable[bytes], error: Exception | None = None) -> AsyncIterator[bytes]:
    """The pieces as an upstream's body, which may end with an error."""
    for piece in pieces:
        yield piece
    if error is not None:
        raise error
