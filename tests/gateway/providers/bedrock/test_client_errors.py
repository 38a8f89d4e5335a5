"""What Bedrock refuses or breaks off, as OpenAI's own client is told it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.bedrock_fake import FakeBedrock, aws_error, converse_events, event_frame, framed
from tests.support.gateway import RunningGateway
from tests.support.wire import FIN, RST

ClientOf = Callable[[RunningGateway], OpenAI]
HI: Any = [{"role": "user", "content": "Hi"}]


# Errors.


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "ValidationException", openai.BadRequestError),
        (404, "ResourceNotFoundException", openai.NotFoundError),
        (429, "ThrottlingException", openai.RateLimitError),
        (429, "ModelNotReadyException", openai.RateLimitError),
        (500, "InternalServerException", openai.InternalServerError),
        (503, "ServiceUnavailableException", openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_keep_their_status(
    client: OpenAI, fake: FakeBedrock, stream: bool, status: int, kind: str, error: type[openai.APIStatusError]
) -> None:
    fake.then(aws_error(status, kind, "Not so."))
    with pytest.raises(error, match="Not so") as caught:
        client.chat.completions.create(model="gpt", messages=HI, stream=stream)
    assert (caught.value.status_code, caught.value.code) == (status, kind)


@pytest.mark.parametrize("wrong", [{"AWS_SECRET_ACCESS_KEY": "x"}, {"AWS_ACCESS_KEY_ID": "x"}])
def test_bad_credentials_are_our_fault_not_the_clients(
    client_of: ClientOf, fake: FakeBedrock, tmp_path: Path, wrong: Any
) -> None:
    with RunningGateway(fake.snapshot(), tmp_path, environ={**fake.environ, **wrong}) as gateway:
        client = client_of(gateway)
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="gpt", messages=HI)
    assert (caught.value.status_code, caught.value.code) == (502, "provider_auth")


def test_a_bad_bearer_key_is_our_fault_not_the_clients(client_of: ClientOf, tmp_path: Path) -> None:
    environ = {"AWS_BEARER_TOKEN_BEDROCK": "wrong"}
    with (
        FakeBedrock(bearer="ABSK-1") as fake,
        RunningGateway(fake.snapshot(), tmp_path, environ=environ) as gateway,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        client_of(gateway).chat.completions.create(model="gpt", messages=HI)
    assert (caught.value.status_code, caught.value.code) == (502, "provider_auth")


def test_missing_credentials_are_told(client_of: ClientOf, fake: FakeBedrock, tmp_path: Path) -> None:
    with RunningGateway(fake.snapshot(), tmp_path) as gateway:
        client = client_of(gateway)
        with pytest.raises(openai.InternalServerError, match="AWS_ACCESS_KEY_ID"):
            client.chat.completions.create(model="gpt", messages=HI)


# Cuts.

WHOLE = converse_events([{"text": "Hel"}, {"text": "lo"}])


@pytest.mark.parametrize("count", range(len(WHOLE)))
@pytest.mark.parametrize("end", [FIN, RST], ids=["fin", "rst"])
def test_a_cut_after_any_event_is_a_cut(
    client: OpenAI, gateway: RunningGateway, fake: FakeBedrock, count: int, end: Any
) -> None:
    fake.then(framed(b"".join(WHOLE[:count]), end=end))
    with pytest.raises((openai.APIError, openai.APIConnectionError)):
        list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert gateway.wait_record().error_code in ("provider_cut", "provider_unreachable")


def test_a_stream_that_ends_in_order_but_too_early_is_a_cut(
    client: OpenAI, gateway: RunningGateway, fake: FakeBedrock
) -> None:
    fake.then(framed(b"".join(WHOLE[:-1])))
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert gateway.wait_record().error_code == "provider_cut"


def test_an_exception_in_the_middle(client: OpenAI, gateway: RunningGateway, fake: FakeBedrock) -> None:
    broken = event_frame("throttlingException", {"message": "Too many."}, message_type="exception")
    fake.then(framed(b"".join([*WHOLE[:3], broken])))
    with pytest.raises(openai.APIError, match="Too many"):
        list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert gateway.wait_record().finish_reason is None
