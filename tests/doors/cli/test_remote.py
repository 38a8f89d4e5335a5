"""The way to control: which one is meant, and its errors as what they were on the other side."""

from pathlib import Path

import httpx
import msgspec
import pytest

from tidegate.doors.cli.logins import Login, logins_file, read_logins, write_login
from tidegate.doors.cli.remote import Remote, connect, part
from tidegate.kernel.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ProviderFailed,
    TidegateError,
    Unauthenticated,
    Unavailable,
)

TOKEN = "tgt-" + "0123456789" * 4


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    for name in ("TIDEGATE_SERVER", "TIDEGATE_TOKEN", "TIDEGATE_WORKSPACE", "TIDEGATE_ADMIN_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def remote(answer: httpx.Response | Exception) -> Remote:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        assert request.url.path.startswith("/api/v1/")
        return answer

    return Remote(Login("http://127.0.0.1:1", TOKEN), transport=httpx.MockTransport(handle))


def workspace(folder: Path, *, keys: bool = True) -> Path:
    (folder / ".tidegate").mkdir(parents=True)
    (folder / "tidegate.yaml").write_text("server: {control_port: 9999}\n")
    if keys:
        (folder / ".tidegate" / "keys.env").write_text(f"master_key={'m0n1o2p3q4' * 4}\nadmin_token={TOKEN}\n")
    return folder


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid), (401, Unauthenticated), (403, Forbidden), (404, NotFound), (409, Conflict), (503, Unavailable),
        (500, TidegateError),
    ],
)  # fmt: skip
def test_an_error_comes_back_as_what_it_was(status: int, kind: type[TidegateError]) -> None:
    body = {"error": {"code": "that_code", "message": "It went wrong.", "mend": "Do this.", "param": None}}
    with pytest.raises(TidegateError) as caught:
        remote(httpx.Response(status, json=body)).get("/keys", list[str])
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.message, caught.value.mend) == ("that_code", "It went wrong.", "Do this.")


@pytest.mark.parametrize("answer", [httpx.Response(404, html="<h1>nginx</h1>"), httpx.Response(200, text="hello")])
def test_something_else_that_answers_is_told_apart(answer: httpx.Response) -> None:
    with pytest.raises(ProviderFailed, match="not control's way"):
        remote(answer).get("/keys", list[str])


@pytest.mark.parametrize(
    ("error", "code"), [(httpx.ConnectError("no"), "control_unreachable"), (httpx.ReadTimeout("no"), "control_silent")]
)
def test_no_answer_is_unavailable(error: Exception, code: str) -> None:
    with pytest.raises(Unavailable) as caught:
        remote(error).get("/keys", list[str])
    assert caught.value.code == code
    assert TOKEN not in str(caught.value)


def test_names_are_one_part_of_a_path() -> None:
    assert part("a/b?c#d e") == "a%2Fb%3Fc%23d%20e"


def test_the_workspaces_own_control_is_found_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = workspace(tmp_path / "home") / "prompts"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert connect(None, None).server == "http://127.0.0.1:9999"
    monkeypatch.chdir(tmp_path)
    assert connect(tmp_path / "home", None).server == "http://127.0.0.1:9999"


def test_control_that_listens_everywhere_is_asked_on_loopback(tmp_path: Path) -> None:
    own = workspace(tmp_path / "home")
    for host, asked in (("0.0.0.0", "127.0.0.1"), ("'::'", "[::1]")):
        (own / "tidegate.yaml").write_text(f"server: {{control_port: 9999, control_host: {host}}}\n")
        assert connect(own, None).server == f"http://{asked}:9999"


def test_a_clone_without_keys_goes_where_one_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace(tmp_path / "clone", keys=False))
    with pytest.raises(NotFound, match="control plane") as caught:
        connect(None, None)
    assert "tidegate login" in caught.value.mend
    write_login(Login("https://first.example", TOKEN))
    write_login(Login("https://second.example", TOKEN))
    assert connect(None, None).server == "https://second.example"
    assert connect(None, "https://first.example/").server == "https://first.example"


def test_a_server_without_a_token_is_refused() -> None:
    with pytest.raises(Unauthenticated, match="no token for"):
        connect(None, "https://unknown.example")


def test_the_environment_names_server_and_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_SERVER", "https://env.example")
    monkeypatch.setenv("TIDEGATE_TOKEN", TOKEN)
    assert connect(None, None).server == "https://env.example"
    own = workspace(tmp_path / "home")
    assert connect(own, None).server == "http://127.0.0.1:9999"


def test_a_named_workspace_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="workspace"):
        connect(tmp_path, None)


def test_logins_are_for_their_owner_only() -> None:
    file = write_login(Login("https://a.example", TOKEN))
    assert file == logins_file()
    assert file.stat().st_mode & 0o777 == 0o600
    write_login(Login("https://a.example", "tgt-new"))
    assert [one.token for one in read_logins().logins] == ["tgt-new"]
    file.chmod(0o644)
    with pytest.raises(Invalid, match="read by others"):
        read_logins()
    file.chmod(0o600)
    file.write_bytes(b"{")
    with pytest.raises(Invalid, match="damaged"):
        read_logins()


def test_a_body_is_json() -> None:
    seen: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        assert request.headers["content-type"] == "application/json"
        seen.append(request.content)
        return httpx.Response(201, json={"ok": "ü"})

    login = Login("http://127.0.0.1:1", TOKEN)
    made = Remote(login, transport=httpx.MockTransport(handle)).post("/x", dict[str, str], {"reason": ""})
    assert made == {"ok": "ü"}
    assert msgspec.json.decode(seen[0]) == {"reason": ""}
