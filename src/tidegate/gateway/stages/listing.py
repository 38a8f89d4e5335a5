"""Answers from the Snapshot alone: the models that a key may call, and the prompts that are live for it."""

import asyncio
import contextlib
import re
from urllib.parse import parse_qs

import msgspec

from tidegate.gateway.call import JSON_HEADER, Call, Handler, Reply
from tidegate.kernel.errors import NotFound
from tidegate.live.plans import may_use
from tidegate.live.prompts import LivePrompt, LivePrompts, told_to
from tidegate.live.snapshot import KeyGrant, LiveRelease

__all__ = ["Listing"]

WAIT = re.compile(rb"\bwait=(\d{1,4})\b")
MAX_WAIT_S = 60


class Listing:
    """GET /v1/models, /v1/models/{name}, /v1/prompts."""

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        assert call.grant is not None
        if call.endpoint.name == "prompts":
            await _news(call)
            return _prompts(call, call.grant)
        models = _models(call, call.grant)
        if call.endpoint.name == "models":
            return _json({"object": "list", "data": models})
        name = call.request.path.removeprefix("/v1/models/")
        for model in models:
            if model["id"] == name:
                return _json(model)
        raise NotFound(
            "model", name[:256], known=[str(model["id"]) for model in models], param="model", code="model_not_found"
        )


def _models(call: Call, grant: KeyGrant) -> list[dict[str, object]]:
    world = call.world
    found = [model for name in world.names for model in world.with_adapters(name, grant.environment)]
    names = [name for name in dict.fromkeys(found) if not grant.models or may_use(world.snapshot, grant.models, name)]
    live = world.snapshot.releases.get(grant.environment, {})
    prompts = [f"prompt:{name}" for name in live if not grant.prompts or name in grant.prompts]
    created = world.snapshot.written_at_ms // 1000
    return [{"id": name, "object": "model", "created": created, "owned_by": "tidegate"} for name in [*names, *prompts]]


async def _news(call: Call) -> None:
    """`Prefer: wait=SECONDS` (RFC 7240) with If-None-Match: hold the answer until something newer is live, or the
    time is up.
    """
    match = WAIT.search(call.request.headers.get(b"prefer", b""))
    wait_s = min(int(match[1]), MAX_WAIT_S) if match else 0
    if not wait_s or call.request.headers.get(b"if-none-match") != _etag(call):
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            await call.world.superseded.wait()
    newest = call.world
    while newest.successor is not None:
        newest = newest.successor
    if call.grant in newest.keys.values():
        call.world = newest  # else the key changed: 304, so that its owner asks again and is identified anew


def _etag(call: Call) -> bytes:
    return b'"%d"' % call.world.generation


def _prompts(call: Call, grant: KeyGrant) -> Reply:
    world = call.world
    etag = _etag(call)
    if call.request.headers.get(b"if-none-match") == etag:
        return Reply(304, [(b"etag", etag)])
    wanted = set(parse_qs(call.request.query).get("name", ()))
    live = world.snapshot.releases.get(grant.environment, {})
    prompts = {
        name: _prompt(call, grant, release)
        for name, release in live.items()
        if (not grant.prompts or name in grant.prompts) and (not wanted or name in wanted)
    }
    holdout_bp = world.snapshot.policy.holdout_bp
    body = msgspec.json.encode(LivePrompts(world.generation, grant.environment, prompts, holdout_bp))
    return Reply(200, [JSON_HEADER, (b"etag", etag)], body)


def _prompt(call: Call, grant: KeyGrant, release: LiveRelease) -> LivePrompt:
    world, name = call.world, release.prompt
    versions = {arm.version: world.prompt(name, arm.version)[0] for arm in release.arms}
    running = world.experiments.get(grant.environment, {}).get(f"prompt:{name}", ())
    experiments = []
    for experiment in told_to(grant, running):
        asked = {variant.version for variant in experiment.variants} - {None}
        carried = {version: one for version, one in world.snapshot.prompts[name].items() if version in asked}
        if len(carried) == len(asked):  # one that cannot be served must not keep all prompts from the client
            versions |= carried
            experiments.append(experiment)
    if release.rollout is not None:  # of copies a client need know nothing
        unit = msgspec.structs.replace(release.rollout, shadow=None)
        release = msgspec.structs.replace(release, rollout=unit)
    return LivePrompt(release, versions, tuple(experiments))


def _json(value: object) -> Reply:
    return Reply(200, [JSON_HEADER], msgspec.json.encode(value))
