"""The fields of chat.completions and embeddings, as much of them as the providers with words of their own can be told.

Fields: https://platform.openai.com/docs/api-reference/chat/create (read 2026-11). `extra_content`, `reasoning_content`,
`top_k` and `cache_control` are no words of OpenAI's, but of its clients' with other upstreams.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

__all__ = ["Chat", "Embed", "Function", "JsonSchema", "Message", "Part", "Tool", "ToolCall"]

Object = dict[str, Any]
Count = Annotated[int, Meta(ge=1)]


class _Words(msgspec.Struct, forbid_unknown_fields=True):
    """An object of the request: an unknown field in it is refused."""


class ImageUrl(_Words):
    """`detail` is a hint and left out."""

    url: str
    detail: str | None = None


class InputAudio(_Words):
    """Base64 and its format (wav, mp3)."""

    data: str
    format: str


class FileBlock(_Words):
    """A file in the request as a data URL, or an id at the upstream."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(_Words):
    """One part of a message. `cache_control` marks where a prompt's cached beginning ends; OpenAI's own mark for it is
    left out.
    """

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | None = None
    input_audio: InputAudio | None = None
    file: FileBlock | None = None
    cache_control: Object | None = None
    prompt_cache_breakpoint: Object | None = None


class CalledFunction(_Words):
    """A call's function; `arguments` are JSON in a string."""

    name: str
    arguments: str = ""


class ToolCall(_Words):
    """A call that the model made. `extra_content` carries what its provider wants to see again."""

    id: str
    function: CalledFunction
    type: str = "function"
    index: int | None = None
    extra_content: Object | None = None


class Message(_Words):
    """One message. `name` is left out; clients send an answer's message back as it came, of which `annotations`,
    `reasoning_content` and `reasoning` are left out too.
    """

    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    extra_content: Object | None = None
    annotations: list[Object] | None = None
    function_call: None = None
    audio: None = None


class Function(_Words):
    """A function that the model may call. `strict` is left out where an upstream has no such word."""

    name: str
    description: str | None = None
    parameters: Object | None = None
    strict: bool | None = None


class Tool(_Words):
    """A tool; functions are the only kind that every upstream knows."""

    type: str
    function: Function | None = None
    cache_control: Object | None = None


class JsonSchema(_Words):
    """An answer's schema."""

    name: str
    description: str | None = None
    schema: Object | None = None
    strict: bool | None = None


class ResponseFormat(_Words):
    """`text`, `json_object` or `json_schema`."""

    type: str
    json_schema: JsonSchema | None = None


class Chat(_Words):
    """A request of chat.completions. `more` are the fields that a provider reads itself."""

    messages: list[Message]
    tools: list[Tool] = []
    tool_choice: str | Object | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: Annotated[int, Meta(ge=1, le=128)] = 1
    seed: int | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    reasoning_effort: str | None = None
    service_tier: str | None = None
    more: dict[str, Any] = {}

    @property
    def output_tokens(self) -> int | None:
        """The bound on the answer's tokens."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


class Embed(_Words):
    """A request of embeddings."""

    input: str | list[str]
    dimensions: Count | None = None
    encoding_format: str | None = None
