"""The port by which judges, evaluations, probes and shadows ask a model. Bound in process for the command line, over
HTTP with an internal key in control.
"""

from typing import Any, Protocol

import msgspec

__all__ = ["Ask", "Complete", "Said"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One question. Either `messages` (chat, OpenAI's roles; content as text or parts) or `text` (a completion).

    `model` is an alias or a model's name; `settings` are request fields in OpenAI's names (temperature, max_tokens,
    response_format, tools, ...). `origin` is eval, judge or probe: such calls are metered, and are no user's.
    """

    model: str
    messages: tuple[dict[str, Any], ...] = ()
    text: str | None = None
    settings: dict[str, Any] = {}
    origin: str = "eval"
    timeout_s: float = 60.0


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. Money in nano-dollars, times in ms without any wait for a turn; None where unknown, never 0."""

    text: str
    finish_reason: str | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano_usd: int | None = None
    latency_ms: float | None = None
    call_id: str | None = None
    upstream_model: str | None = None


class Complete(Protocol):
    """Where models are asked."""

    async def complete(self, ask: Ask) -> Said:
        """Ask once, and return what was said. Raises a TidegateError: Invalid or NotFound for what cannot be asked,
        RateLimited, ProviderFailed, ProviderTimeout, Unavailable for what went wrong."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
