"""The fields of OpenAI's responses, as much of them as can be said in chat.completions.

Fields: https://platform.openai.com/docs/api-reference/responses/create (read 2026-11). Reasoning items are left out,
which only the model that made them can read; so are `annotations` and `logprobs` of what was answered before.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

__all__ = [
    "Asked",
    "FilePart",
    "FunctionCall",
    "FunctionOutput",
    "ImagePart",
    "InputText",
    "MessageItem",
    "OutputText",
    "Part",
    "PlainText",
    "ReasoningItem",
    "RefusalPart",
    "TextFormat",
    "Tool",
]

Object = dict[str, Any]


class _Words(msgspec.Struct, forbid_unknown_fields=True):
    """An object of the request: an unknown field in it is refused."""


class InputText(_Words, tag="input_text"):
    """Text of the user's."""

    text: str
    prompt_cache_breakpoint: Object | None = None


class OutputText(_Words, tag="output_text"):
    """Text of the model's."""

    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None
    parsed: Any = None


class PlainText(_Words, tag="text"):
    """Text."""

    text: str


class RefusalPart(_Words, tag="refusal"):
    """Why the model would not answer."""

    refusal: str


class ImagePart(_Words, tag="input_image"):
    """A picture: a data URL or any other address, or a file's id."""

    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    prompt_cache_breakpoint: Object | None = None


class FilePart(_Words, tag="input_file"):
    """A file: a data URL, or an id."""

    file_data: str | None = None
    filename: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    detail: str | None = None
    prompt_cache_breakpoint: Object | None = None


Part = InputText | OutputText | PlainText | RefusalPart | ImagePart | FilePart


class MessageItem(_Words):
    """One message."""

    role: str
    content: str | list[Part]
    type: str = "message"
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class Direct(_Words, tag="direct"):
    """The model itself called, and no program of its."""


class FunctionCall(_Words):
    """A call that the model made; `arguments` are JSON in a string."""

    type: str
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: str | None = None
    parsed_arguments: Any = None
    caller: Direct | None = None
    namespace: None = None


class FunctionOutput(_Words):
    """What became of a call."""

    type: str
    call_id: str
    output: str | list[Part]
    id: str | None = None
    status: str | None = None
    caller: Direct | None = None


class ReasoningItem(msgspec.Struct):
    """The model's thoughts, in whatever shape."""

    type: str


class Tool(msgspec.Struct):
    """A tool; functions are the only kind that every upstream knows."""

    type: str
    name: str = ""
    description: str | None = None
    parameters: Object | None = None
    strict: bool | None = None


class TextFormat(_Words):
    """`text.format`."""

    type: str
    name: str | None = None
    schema: Object | None = None
    strict: bool | None = None
    description: str | None = None


class Text(_Words):
    """`text`."""

    format: TextFormat | None = None
    verbosity: str | None = None


class Reasoning(_Words):
    """`reasoning`; a summary is not made here, thoughts that the upstream tells are told whole."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class Asked(_Words):
    """A request."""

    input: str | list[msgspec.Raw]
    instructions: str | None = None
    tools: list[Tool] = []
    tool_choice: str | Object | None = None
    parallel_tool_calls: bool | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: float | None = None
    top_p: float | None = None
    service_tier: str | None = None
    user: str | None = None
    stream: bool = False
    store: bool = False
    background: bool = False
    truncation: str = "disabled"
    include: list[str] = []
    top_logprobs: int = 0
