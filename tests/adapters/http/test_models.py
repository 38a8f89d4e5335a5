"""Asking a model server what it has: every way in which it can answer, told apart."""

import socket

import pytest

from tests.support.httpd import Answer, Asked, models_answer, serve
from tidegate.adapters.http.models import ask_models


def test_a_model_server_lists_its_models() -> None:
    with serve(lambda asked: models_answer("tiny-1", "tiny-2")) as url:
        assert ask_models(f"{url}/v1").models == ("tiny-1", "tiny-2")


def test_the_question_carries_the_key_and_the_headers() -> None:
    seen: list[Asked] = []

    def answer(asked: Asked) -> Answer:
        seen.append(asked)
        return models_answer()

    with serve(answer) as url:
        ask_models(f"{url}/v1/", api_key="secret", headers={"x-team": "blue"})
    assert seen[0].path == "/v1/models"
    assert seen[0].headers["authorization"] == "Bearer secret"
    assert seen[0].headers["x-team"] == "blue"


@pytest.mark.parametrize(
    ("said", "kind", "detail"),
    [
        (Answer(401), "unauthorized", "401"),
        (Answer(403), "unauthorized", "403"),
        (Answer(404), "not_found", "404"),
        (Answer(500), "failed", "500"),
        (Answer(302, headers={"location": "http://169.254.169.254/"}), "failed", "302"),
        (Answer(200, b"<html>hello</html>", "text/html; charset=utf-8"), "not_json", "text/html"),
        (Answer(200, b'{"data": [{"id"'), "not_json", "application/json"),
        (Answer(200, b'{"models": []}'), "not_json", "application/json"),
        (Answer(200, b"[" * 100_000), "not_json", "application/json"),
        (Answer(200, b" " * 5_000_000), "not_json", "without end"),
    ],
)
def test_other_answers_are_told_apart(said: Answer, kind: str, detail: str) -> None:
    with serve(lambda asked: said) as url:
        answer = ask_models(f"{url}/v1")
    assert answer.kind == kind
    assert detail in answer.detail
    assert answer.models == ()


def test_silence_has_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answer = ask_models(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", timeout_s=0.1)
    assert answer.kind == "unreachable"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/v1", "http://no-such-host.invalid/v1", "http://[::1/v1", "nonsense"]
)
def test_nobody_there_is_unreachable(url: str) -> None:
    answer = ask_models(url, timeout_s=1)
    assert answer.kind == "unreachable"
    assert answer.detail


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with serve(lambda asked: models_answer("tiny-1")) as url:
        assert ask_models(f"{url}/v1").models == ("tiny-1",)
