"""The gateway's own pipeline in this process, for evaluations and judges: the models of tidegate.yaml, asked as an
application's calls are, with nothing of users' in it: no budgets, limits, shadows, experiments or kept contents.

The engine's own turns and tries take the place of a route's: one try, no fallback to another model than the one that is
evaluated, no breaker.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.app.secrets import Opener
from tidegate.app.targets import Targets
from tidegate.gateway.bounds import bound_of
from tidegate.gateway.call import JSON_HEADER, Call, Handler, Reply, Request
from tidegate.gateway.endpoints import find_endpoint
from tidegate.gateway.pipeline import fold
from tidegate.gateway.providers.anthropic.provider import AnthropicProvider
from tidegate.gateway.providers.azure.provider import AzureProvider
from tidegate.gateway.providers.base import Provider
from tidegate.gateway.providers.bedrock.provider import BedrockProvider
from tidegate.gateway.providers.gemini.provider import GeminiProvider
from tidegate.gateway.providers.openai.provider import OpenAIProvider
from tidegate.gateway.providers.vertex.provider import VertexProvider
from tidegate.gateway.stages.record import Record
from tidegate.gateway.stages.resolve import Resolve
from tidegate.gateway.stages.send import Send
from tidegate.gateway.upstream.pool import Pool
from tidegate.gateway.world import World
from tidegate.kernel.complete import Ask, Said
from tidegate.kernel.errors import Invalid, ProviderFailed, ProviderTimeout, Refused, TidegateError
from tidegate.kernel.ids import IdSource
from tidegate.live.calls import CallRecord
from tidegate.live.snapshot import Breaker, Deployment, KeyGrant, Retry, Route, Snapshot
from tidegate.settings import Settings

__all__ = ["PipelineComplete", "for_evaluations"]

CHAT = find_endpoint("POST", "/v1/chat/completions")
TEXT = find_endpoint("POST", "/v1/completions")
NEVER = 2**31
OK = 200
LATER = (408, 425)
LIMITED = 429
FAILED = 500
QUOTA = "insufficient_quota"


class _Message(msgspec.Struct):
    content: str | list[Any] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []


class _Refusal(msgspec.Struct):
    message: str = ""


class _Refused(msgspec.Struct):
    error: _Refusal | str = ""


_ANSWER = msgspec.json.Decoder(_Answer)
_REFUSED = msgspec.json.Decoder(_Refused)


def for_evaluations(snapshot: Snapshot) -> Snapshot:
    """The world without what would blur an evaluation: see the module."""
    routes = {
        alias: msgspec.structs.replace(
            route, fallbacks=(), retry=Retry(attempts=1), breaker=Breaker(failures=NEVER), shadow=None, content_bp=0
        )
        for alias, route in snapshot.routes.items()
    }
    alone = {
        name: Route(alias=name, deployment=name, retry=Retry(attempts=1), breaker=Breaker(failures=NEVER))
        for name in snapshot.deployments
        if name not in routes
    }
    return msgspec.structs.replace(
        snapshot, routes={**routes, **alone}, limits=(), releases={}, experiments={}, keys={}, prompts={}
    )


class _Ledger:
    """Takes the records of this process's calls: each is read once, by whoever asked."""

    gateway_id = "eval"

    def __init__(self) -> None:
        self.records: dict[str, CallRecord] = {}
        self._seq = 0

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def put(self, record: CallRecord) -> None:
        self.records[record.call_id] = record


class _Quiet:
    """Meters that nobody reads."""

    def __init__(self) -> None:
        self.in_flight = 0

    def count(self, record: CallRecord) -> None:
        """Evaluations are no users' calls."""


class PipelineComplete:
    """Fills `kernel.complete.Complete`. Made inside of the running loop; `environment` decides where a route has a
    deployment of its own for one.
    """

    def __init__(self, snapshot: Snapshot, settings: Settings, environ: Mapping[str, str], environment: str) -> None:
        providers: dict[str, Provider] = {
            "openai": OpenAIProvider(),
            "anthropic": AnthropicProvider(),
            "azure": AzureProvider(),
            "bedrock": BedrockProvider(),
            "gemini": GeminiProvider(),
            "vertex": VertexProvider(),
        }
        self._pool = Pool(asyncio.get_running_loop())
        snapshot = for_evaluations(snapshot)
        self._world = World(snapshot, Targets(providers, Opener(settings, environ), self._pool).of(snapshot, None))
        self._grant = KeyGrant(key_id="eval", name="eval", environment=environment)
        self._ids = IdSource("call")
        self._ledger = _Ledger()
        self._errors: dict[str, TidegateError] = {}
        stages = (Record(self._ledger, _Quiet()), self._noting, Resolve(), Send(providers, {}, self._pool))
        self._handler = fold(stages)

    async def complete(self, ask: Ask) -> Said:
        """See `Complete`."""
        call = self._call(ask)
        try:
            async with asyncio.timeout(ask.timeout_s):
                reply = await self._handler(call)
        except TimeoutError as error:
            self._ledger.records.pop(call.call_id, None)
            raise ProviderTimeout(
                f"{ask.model} did not answer within {ask.timeout_s:g} s.", mend="Give it more time: --timeout."
            ) from error
        record = self._ledger.records.pop(call.call_id)
        fault = self._errors.pop(call.call_id, None)
        if fault is not None:
            raise fault
        if reply.status != OK:
            raise _refusal(reply, record)
        return _said(reply, record)

    def deployments(self, model: str) -> tuple[Deployment, ...]:
        """Who may answer for an alias or model; raises NotFound, or Forbidden where nobody may."""
        plan = self._world.allowed_plan(model, self._grant)
        return tuple(one.deployment for one in plan.candidates)

    def bound(self, ask: Ask) -> int | None:
        """What an ask can cost at most, in nano-dollars; None where a price, or the most that may be answered, is
        unknown.
        """
        plan = self._world.allowed_plan(ask.model, self._grant)
        most = plan.ceiling.output_tokens
        if most is None and not {"max_tokens", "max_completion_tokens"} & ask.settings.keys():
            return None
        call = self._call(ask)
        call.payload = msgspec.json.decode(call.request.body, type=dict[str, msgspec.Raw])
        return bound_of(call, plan, most or 0).nano_usd

    async def close(self) -> None:
        """See `Complete`."""
        await self._pool.close()

    def _call(self, ask: Ask) -> Call:
        body: dict[str, Any] = {**ask.settings, "model": ask.model}
        if ask.text is not None:
            body["prompt"] = ask.text
        else:
            body["messages"] = ask.messages
        endpoint = CHAT if ask.text is None else TEXT
        request = Request(endpoint.method, endpoint.path, dict((JSON_HEADER,)), msgspec.json.encode(body))
        call = Call(request, endpoint, self._world, self._ids)
        call.origin, call.grant = ask.origin, self._grant
        return call

    async def _noting(self, call: Call, inner: Handler) -> Reply:
        """A stage: errors are handed to whoever asked as they are, not as bodies."""
        try:
            return await inner(call)
        except TidegateError as error:
            self._errors[call.call_id] = error
            raise


def _said(reply: Reply, record: CallRecord) -> Said:
    try:
        choice = _ANSWER.decode(reply.body).choices[0]
    except (msgspec.DecodeError, IndexError) as error:
        raise ProviderFailed(
            "The answer has no choice that can be read.", mend="Try again.", code="provider_bad_answer"
        ) from error
    message = choice.message or _Message()
    return Said(
        text=choice.text if choice.text is not None else _text(message.content),
        finish_reason=choice.finish_reason,
        tool_calls=tuple(message.tool_calls or ()),
        input_tokens=record.input_tokens,
        output_tokens=record.output_tokens,
        cost_nano_usd=record.cost_nano_usd,
        latency_ms=record.latency_ms,
        call_id=record.call_id,
        upstream_model=record.upstream_model,
    )


def _text(content: str | list[Any] | None) -> str:
    """An answer's words; of parts, those that are text."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content or ""


def _refusal(reply: Reply, record: CallRecord) -> TidegateError:
    """An upstream's own refusal."""
    try:
        said = _REFUSED.decode(reply.body).error
    except msgspec.DecodeError:
        said = reply.body[:200].decode(errors="replace")
    message, code = said if isinstance(said, str) else said.message, record.error_code or ""
    if reply.status == LIMITED:
        wait_s = None if code == QUOTA else _retry_after_s(reply)
        return Refused(f"The model's provider says: {message}", retry_after_s=wait_s, code=code)
    if reply.status >= FAILED or reply.status in LATER:
        return ProviderFailed(f"The model answered {reply.status}: {message}", status=reply.status, code=code)
    return Invalid(f"The model refused the request: {message}", mend="Mend the prompt's settings.", code=code)


def _retry_after_s(reply: Reply) -> float:
    """When the provider wants to be asked again; 0 when it says nothing, or a date."""
    said = dict(reply.headers).get(b"retry-after", b"")
    try:
        return max(0.0, float(said))
    except ValueError:
        return 0.0
