"""What every dialect does: reads a request's fields strictly, and reads what chat.completions answers."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Protocol

import msgspec

from tidegate.gateway.call import Call
from tidegate.gateway.providers.base import Reader
from tidegate.gateway.providers.chatanswers import bad_answer
from tidegate.gateway.providers.chatwords import unsupported
from tidegate.gateway.providers.eventlines import data_of, events_of
from tidegate.kernel.errors import Invalid, ProviderFailed

__all__ = [
    "UNREADABLE",
    "Answer",
    "Choice",
    "Said",
    "ToldReader",
    "ToolCall",
    "Writer",
    "answer_of",
    "asked_fields",
    "decoded",
    "is_openai",
    "object_of",
    "output_field",
    "raws",
]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_AT = re.compile(r"\$\.([\w.\[\]]+)")
Object = dict[str, Any]


class CalledFunction(msgspec.Struct):
    """A call's function, or more of it."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    """A call of a tool, or more of it."""

    index: int = 0
    id: str | None = None
    function: CalledFunction | None = None

    @property
    def name(self) -> str:
        """The function's name."""
        return (self.function.name if self.function is not None else None) or ""

    @property
    def arguments(self) -> str:
        """JSON, or a piece of it."""
        return (self.function.arguments if self.function is not None else None) or ""


class Said(msgspec.Struct):
    """A message, or a delta of one. Servers call thoughts `reasoning_content`, or `reasoning`, or both
    (https://docs.vllm.ai/en/latest/features/reasoning_outputs/, read 2026-11).
    """

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    tool_calls: list[ToolCall] | None = None

    @property
    def thoughts(self) -> str:
        """What the model thought."""
        if self.reasoning_content:
            return self.reasoning_content
        return self.reasoning if isinstance(self.reasoning, str) else ""


class Choice(msgspec.Struct):
    """A choice of an answer or a chunk. `stop_reason` is the word that vLLM stopped at."""

    message: Said | None = None
    delta: Said | None = None
    finish_reason: str | None = None
    stop_reason: Any = None


class OutputDetails(msgspec.Struct):
    """`completion_tokens_details`."""

    reasoning_tokens: int | None = None


class Counts(msgspec.Struct):
    """The one field of `usage` that no call notes."""

    completion_tokens_details: OutputDetails | None = None


class Answer(msgspec.Struct):
    """An answer or a chunk."""

    choices: list[Choice] | None = None
    usage: Counts | None = None

    @property
    def reasoning_tokens(self) -> int | None:
        """Tokens of the output that were thoughts."""
        details = self.usage.completion_tokens_details if self.usage is not None else None
        return details.reasoning_tokens if details is not None else None


_ANSWER = msgspec.json.Decoder(Answer)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def asked_fields(
    payload: Mapping[str, msgspec.Raw], own: Collection[str], left_out: Collection[str], what: str
) -> dict[str, msgspec.Raw]:
    """The fields that ask for something: those that are null ask for nothing, those of `left_out` never change what the
    answer says. Raises Invalid naming a field that is in neither.
    """
    found = {}
    for name, raw in payload.items():
        if bytes(raw) == b"null":
            continue
        if name in own:
            found[name] = raw
        elif name not in left_out:
            raise unsupported(
                f"This model's upstream does not speak {what}, and the field {name!r} cannot be said otherwise", name
            )
    return found


def decoded(decoder: msgspec.json.Decoder[Any], fields: Mapping[str, msgspec.Raw]) -> Any:
    """The fields in their shape; raises Invalid naming the place."""
    try:
        return decoder.decode(msgspec.json.encode(fields))
    except UNREADABLE as error:
        found = _AT.search(str(error))
        raise Invalid(
            f"The request cannot be said to this model's upstream: {error}.",
            mend="Mend the field, or ask for a model whose upstream takes it.",
            code="unsupported_field",
            param=found[1] if found else None,
        ) from error


def raws(fields: Mapping[str, object]) -> dict[str, msgspec.Raw]:
    """The fields that are not None, encoded one by one."""
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items() if value is not None}


def is_openai(call: Call) -> bool:
    """Whether the deployment is one of OpenAI's own models."""
    one = call.deployment
    return one is not None and (one.provider == "azure" or "//api.openai.com" in one.base_url)


def output_field(call: Call) -> str:
    """The field that bounds an answer's tokens: OpenAI's newer models refuse max_tokens, others know nothing else."""
    return "max_completion_tokens" if is_openai(call) else "max_tokens"


def answer_of(body: bytes) -> tuple[Answer, Choice]:
    """A whole answer and its one choice; raises ProviderFailed."""
    answer = _decoded_answer(body)
    if not answer.choices:
        raise bad_answer("an answer without a choice")
    return answer, answer.choices[0]


class Writer(Protocol):
    """Tells one answer in an endpoint's own events."""

    def begin(self) -> bytes:
        """The events before all others."""
        ...

    def note(self, choice: Choice) -> bytes:
        """One choice's delta as events."""
        ...

    def end(self, reasoning_tokens: int | None) -> bytes:
        """The events of a whole answer's end."""
        ...


class ToldReader:
    """Reads a stream by way of a reader of chat.completions, and has a Writer tell what that returns."""

    def __init__(self, call: Call, chat: Reader, writer: Writer) -> None:
        self._call = call
        self._chat = chat
        self._writer = writer
        self._begun = False
        self._reasoning: int | None = None
        self._broken = False

    @property
    def failure(self) -> ProviderFailed | None:
        """See `Reader`."""
        return self._chat.failure

    @property
    def complete(self) -> bool:
        """See `Reader`."""
        return self._chat.complete and not self._broken

    def feed(self, chunk: bytes) -> bytes:
        """See `Reader`."""
        block = self._chat.feed(chunk)
        try:
            return self._tell(block)
        except ProviderFailed:
            self._broken = True  # though the answer be complete, not all of it was told
            raise

    def end(self) -> bytes:
        """See `Reader`."""
        told = self._tell(self._chat.end())
        self._call.whole = True
        return told + self._writer.end(self._reasoning)

    def _tell(self, block: bytes) -> bytes:
        told = []
        if not self._begun:
            self._begun = True
            told.append(self._writer.begin())
        for event in events_of(block):
            data = data_of(event)
            if data and data != b"[DONE]":
                chunk = _decoded_answer(data)
                told += [self._writer.note(choice) for choice in chunk.choices or ()]
                if chunk.usage is not None:
                    self._reasoning = chunk.reasoning_tokens
        return b"".join(told)


def object_of(arguments: str) -> msgspec.Raw:
    """A call's arguments as the JSON object that they are; raises ProviderFailed."""
    words = arguments.strip() or "{}"
    try:
        _OBJECT.decode(words)
        return msgspec.Raw(words.encode())
    except (*UNREADABLE, UnicodeEncodeError) as error:
        raise bad_answer("the arguments of a call that are no JSON object") from error


def _decoded_answer(data: bytes) -> Answer:
    try:
        return _ANSWER.decode(data)
    except UNREADABLE as error:
        raise bad_answer(f"{len(data)} bytes that are no answer ({error})") from error
