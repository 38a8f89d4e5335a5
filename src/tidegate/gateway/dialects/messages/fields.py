"""The fields of Anthropic's messages, as much of them as can be said in chat.completions.

Fields: https://docs.anthropic.com/en/api/messages (read 2026-11). `citations`, a document's `context` and a call's
`caller` are left out; so are thinking blocks, which only the model that made them can read.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

__all__ = [
    "Asked",
    "Base64Source",
    "Block",
    "DocumentBlock",
    "ImageBlock",
    "TextBlock",
    "TextSource",
    "Thinking",
    "Tool",
    "ToolChoice",
    "ToolResult",
    "ToolUse",
    "Turn",
    "UrlSource",
]

Object = dict[str, Any]


class _Words(msgspec.Struct, forbid_unknown_fields=True):
    """An object of the request: an unknown field in it is refused."""


class Base64Source(_Words, tag="base64"):
    """Bytes in the request."""

    media_type: str
    data: str


class UrlSource(_Words, tag="url"):
    """Bytes elsewhere."""

    url: str


class TextSource(_Words, tag="text"):
    """Plain text."""

    data: str
    media_type: str = "text/plain"


class TextBlock(_Words, tag="text"):
    """Text."""

    text: str
    cache_control: Object | None = None
    citations: list[Object] | None = None


class ImageBlock(_Words, tag="image"):
    """A picture."""

    source: Base64Source | UrlSource
    cache_control: Object | None = None


class DocumentBlock(_Words, tag="document"):
    """A PDF, or text."""

    source: Base64Source | TextSource
    title: str | None = None
    context: str | None = None
    citations: Object | None = None
    cache_control: Object | None = None


class ToolUse(_Words, tag="tool_use"):
    """A call that the model made."""

    id: str
    name: str
    input: msgspec.Raw
    cache_control: Object | None = None
    caller: Object | None = None
    toolset_name: None = None


class ToolResult(_Words, tag="tool_result"):
    """What became of a call."""

    tool_use_id: str
    content: str | list[TextBlock | ImageBlock | DocumentBlock] | None = None
    is_error: bool | None = None
    cache_control: Object | None = None
    toolset_name: None = None


class ThinkingBlock(_Words, tag="thinking"):
    """The model's thoughts."""

    thinking: str
    signature: str = ""


class RedactedThinking(_Words, tag="redacted_thinking"):
    """Thoughts that are not told."""

    data: str


Block = TextBlock | ImageBlock | DocumentBlock | ToolUse | ToolResult | ThinkingBlock | RedactedThinking


class Turn(_Words):
    """One message."""

    role: str
    content: str | list[Block]


class Tool(_Words):
    """A tool of the caller's own. How its input is streamed never changes what it says."""

    name: str
    input_schema: Object
    description: str | None = None
    type: str | None = None
    strict: bool | None = None
    cache_control: Object | None = None
    eager_input_streaming: bool | None = None
    defer_loading: Literal[False] = False
    allowed_callers: list[Literal["direct"]] | None = None


class ToolChoice(_Words):
    """Whether tools may or must be called."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool = False


class Metadata(_Words):
    """Who is served."""

    user_id: str | None = None


class Thinking(_Words):
    """Whether and how much the model thinks before it answers."""

    type: str
    budget_tokens: int = 0
    display: str | None = None


class Format(_Words):
    """The answer's JSON schema."""

    type: str
    schema: Object


class OutputConfig(_Words):
    """The answer's shape, and how much is done for it."""

    effort: str | None = None
    format: Format | None = None


class Edit(msgspec.Struct):
    """One way to shorten a conversation."""

    type: str


class ContextManagement(_Words):
    """How a conversation that grows long is shortened."""

    edits: list[Edit] = []


class Asked(_Words):
    """A request."""

    messages: list[Turn]
    max_tokens: Annotated[int, Meta(ge=1)]
    system: str | list[TextBlock] | None = None
    tools: list[Tool] = []
    tool_choice: ToolChoice | None = None
    stop_sequences: list[str] = []
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: Metadata | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    service_tier: str | None = None
    speed: str | None = None
    context_management: ContextManagement | None = None
    stream: bool = False
