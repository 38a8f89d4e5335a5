"""Asks models through the gateway over HTTP, with a key of the platform's own: how control's judges speak."""

import time
from typing import Any

import httpx
import msgspec

from tidegate.kernel.complete import Ask, Said
from tidegate.kernel.errors import (
    Forbidden,
    Invalid,
    ProviderFailed,
    ProviderTimeout,
    Refused,
    TidegateError,
    Unauthenticated,
    Unavailable,
)

__all__ = ["HttpComplete"]

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
COST = "x-tidegate-cost-nano-usd"


class _Message(msgspec.Struct):
    content: str | list[Any] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None
    model: str | None = None


class _Error(msgspec.Struct):
    message: str = ""
    code: str | int | None = None


class _Refusal(msgspec.Struct):
    error: _Error


_ANSWER = msgspec.json.Decoder(_Answer)
_REFUSAL = msgspec.json.Decoder(_Refusal)


class HttpComplete:
    """Fills `kernel.complete.Complete`. `base_url` is the gateway's address, without a path."""

    def __init__(self, base_url: str, api_key: str, *, verify: bool | str = True) -> None:
        headers = {"Authorization": f"Bearer {api_key}"}
        self._url = base_url
        self._client = httpx.AsyncClient(base_url=base_url, headers=headers, trust_env=False, verify=verify)

    async def complete(self, ask: Ask) -> Said:
        """See `Complete`."""
        body: dict[str, Any] = {**ask.settings, "model": ask.model}
        if ask.text is not None:
            body["prompt"] = ask.text
        else:
            body["messages"] = list(ask.messages)
        began_s = time.perf_counter()
        headers = {"x-tidegate-origin": ask.origin, "content-type": "application/json"}
        try:
            response = await self._client.post(
                TEXT if ask.text is not None else CHAT,
                content=msgspec.json.encode(body),
                headers=headers,
                timeout=ask.timeout_s,
            )
        except httpx.TimeoutException as error:
            raise ProviderTimeout(
                f"{ask.model} did not answer within {ask.timeout_s:g} s.", mend="Ask a faster model, or wait longer."
            ) from error
        except httpx.HTTPError as error:
            raise Unavailable(
                f"The gateway at {self._url} cannot be reached: {str(error) or type(error).__name__}.",
                mend="Is it running? `tidegate doctor` tells.",
                code="gateway_unreachable",
            ) from error
        if response.status_code != httpx.codes.OK:
            raise _refused(response)
        return _said(response, (time.perf_counter() - began_s) * 1000)

    async def close(self) -> None:
        """See `Complete`."""
        await self._client.aclose()


def _said(response: httpx.Response, latency_ms: float) -> Said:
    try:
        answer = _ANSWER.decode(response.content)
        choice = answer.choices[0]
    except (msgspec.DecodeError, IndexError) as error:
        raise ProviderFailed("The answer has no choice that can be read.", code="provider_bad_answer") from error
    message, usage, cost = choice.message or _Message(), answer.usage or _Usage(), response.headers.get(COST, "")
    return Said(
        text=choice.text if choice.text is not None else _words(message.content),
        finish_reason=choice.finish_reason,
        tool_calls=tuple(message.tool_calls or ()),
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cost_nano_usd=int(cost) if cost.isdigit() else None,
        latency_ms=latency_ms,
        call_id=response.headers.get("x-request-id"),
        upstream_model=answer.model,
    )


def _words(content: str | list[Any] | None) -> str:
    """An answer's words; of parts, those that are text."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content or ""


def _refused(response: httpx.Response) -> TidegateError:
    """The gateway's error, as the error that it was."""
    status = response.status_code
    try:
        error = _REFUSAL.decode(response.content).error
        message, code = error.message, str(error.code or "")
    except msgspec.DecodeError:
        message, code = f"The gateway answered {status}.", ""
    kinds: dict[int, type[TidegateError]] = {400: Invalid, 401: Unauthenticated, 403: Forbidden, 404: Invalid}
    if status == httpx.codes.TOO_MANY_REQUESTS:
        after = response.headers.get("retry-after", "")
        return Refused(message, retry_after_s=float(after) if after.isdigit() else None, code=code)
    if status == httpx.codes.SERVICE_UNAVAILABLE:
        return Unavailable(message, code=code)
    if status == httpx.codes.GATEWAY_TIMEOUT:
        return ProviderTimeout(message, code=code)
    if status in kinds:
        return kinds[status](message, code=code)
    return ProviderFailed(message, status=status, code=code)
