"""TLS at the gateway's doors: what clients get, what is refused, and how certificates change under them."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.support.certificates import Authority
from tests.support.gateway import RunningGateway, until
from tests.support.http1 import get, post
from tests.support.platforms import clean_environ, make_workspace, running, tidegate
from tests.support.processes import eventually
from tests.support.scene import CHAT, Start
from tests.support.scripted_model import scripted_model
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import answer, chat, chat_events, stream
from tidegate.doors.http import tls as tls_module
from tidegate.doors.http.bounds import Limits
from tidegate.doors.http.tls import open_certificate
from tidegate.kernel.errors import Invalid
from tidegate.settings import Settings, load_settings


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def pair(authority: Authority, tmp_path: Path) -> tuple[Path, Path]:
    """The files that a gateway is told of; tests may replace them."""
    return placed(authority, "first", tmp_path)


@pytest.fixture
def served(start: Start, pair: tuple[Path, Path]) -> RunningGateway:
    return start(tls=pair)


def placed(authority: Authority, name: str, folder: Path) -> tuple[Path, Path]:
    """Issue a pair and put it where the gateway looks, each file in one step."""
    cert, key = authority.issue(name)
    for file, end in ((key, "key"), (cert, "pem")):
        draft = folder / f"draft.{end}"
        shutil.copyfile(file, draft)
        os.replace(draft, folder / f"tls.{end}")
    return folder / "tls.pem", folder / "tls.key"


def trusting(authority: Authority, **versions: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.ca))
    for name, version in versions.items():
        setattr(context, name, version)
    return context


@contextlib.contextmanager
def connected(port: int, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    plain = socket.create_connection(("127.0.0.1", port), 5)
    with plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
        yield secured


def name_served(port: int, authority: Authority) -> str:
    with connected(port, trusting(authority)) as wire:
        shown = wire.getpeercert()
    assert shown is not None
    return str(shown["subject"]).partition("'commonName', '")[2].partition("'")[0]


def test_openai_s_client_speaks_to_it(served: RunningGateway, upstream: ScriptedUpstream, authority: Authority) -> None:
    upstream.say(answer(chat("Hello")), stream(chat_events(("a", "b"))))
    with openai.OpenAI(
        api_key="sk-test", base_url=served.base_url, max_retries=0,
        http_client=openai.DefaultHttpxClient(verify=trusting(authority), trust_env=False),
    ) as client:  # fmt: skip
        whole = client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "Hi"}])
        assert whole.choices[0].message.content == "Hello"
        parts = client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "Hi"}], stream=True)
        assert "".join(part.choices[0].delta.content or "" for part in parts if part.choices) == "ab"


def test_it_speaks_tls_1_3_and_http_1_only(served: RunningGateway, authority: Authority) -> None:
    context = trusting(authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with connected(served.port, context) as wire:
        assert (wire.version(), wire.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
    old = trusting(authority, maximum_version=ssl.TLSVersion.TLSv1_2)
    with pytest.raises(ssl.SSLError), connected(served.port, old):
        pass


def test_who_speaks_no_tls_is_not_answered(served: RunningGateway) -> None:
    with socket.create_connection(("127.0.0.1", served.port), 5) as wire:
        wire.sendall(get("/healthz"))
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP/1.1 200" not in wire.recv(1000)


def test_a_refused_client_reads_why_and_is_parted_from(
    start: Start, pair: tuple[Path, Path], authority: Authority
) -> None:
    gateway = start(tls=pair, limits=Limits(sweep_s=0.05, linger_s=0.2))
    with connected(gateway.port, trusting(authority)) as wire:
        wire.sendall(b"GET http://elsewhere/ HTTP/1.1\r\nhost: a\r\n\r\n")
        said = b"".join(iter(lambda: wire.recv(1000), b""))
    assert said.startswith(b"HTTP/1.1 400 ")


def test_a_changed_certificate_is_taken_up_and_open_connections_stay(
    served: RunningGateway,
    authority: Authority,
    pair: tuple[Path, Path],
    upstream: ScriptedUpstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls_module, "LOOK_S", 0.0)
    with connected(served.port, trusting(authority)) as before:
        assert name_served(served.port, authority) == "first"
        placed(authority, "second", pair[0].parent)
        until(lambda: name_served(served.port, authority) == "second")
        upstream.say(answer(chat("Still here")))
        before.sendall(post("/v1/chat/completions", CHAT))
        assert b" 200 OK" in before.recv(1000)


def test_a_broken_certificate_does_not_replace_a_good_one(
    served: RunningGateway, authority: Authority, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_module, "LOOK_S", 0.0)
    pair[0].write_text("half a certif")
    time.sleep(0.2)
    assert name_served(served.port, authority) == "first"
    placed(authority, "third", pair[0].parent)
    until(lambda: name_served(served.port, authority) == "third")


def test_a_stop_ends_streams_whole(served: RunningGateway, authority: Authority, upstream: ScriptedUpstream) -> None:
    upstream.say(stream(chat_events(("a", "b", "c")), pace_s=0.05))
    with connected(served.port, trusting(authority)) as wire:
        wire.sendall(post("/v1/chat/completions", {**CHAT, "stream": True}))
        first = wire.recv(1000)
        served.told()
        assert (first + b"".join(iter(lambda: wire.recv(1000), b""))).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    served.stop()


@pytest.mark.parametrize(
    ("cert", "key", "code"),
    [
        ("tls.pem", "", "invalid_setting"),
        ("", "tls.key", "invalid_setting"),
        ("none.pem", "none.key", "bad_certificate"),
    ],
)
def test_what_cannot_be_served_is_refused_at_the_start(cert: str, key: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        open_certificate(Settings(workspace=tmp_path, gateway_tls_cert=cert, gateway_tls_key=key))
    assert refused.value.code == code


def test_a_key_of_another_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    cert, _ = authority.issue("one")
    _, key = authority.issue("two")
    with pytest.raises(Invalid, match="TLS cannot be served"):
        open_certificate(Settings(workspace=tmp_path, gateway_tls_cert=str(cert), gateway_tls_key=str(key)))


def test_the_settings_give_the_address(tmp_path: Path) -> None:
    environ = {"TIDEGATE_GATEWAY_TLS_CERT": "a.pem", "TIDEGATE_GATEWAY_TLS_KEY": "a.key"}
    assert load_settings(tmp_path, environ).gateway_url == "https://127.0.0.1:8080"
    assert load_settings(tmp_path, {}).gateway_url == "http://127.0.0.1:8080"


@pytest.mark.slow
def test_the_whole_platform_comes_up_with_two_processes_on_one_socket(authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue("platform")
    environ = {
        f"TIDEGATE_{side}_TLS_{part}": str(file)
        for side in ("GATEWAY", "CONTROL")
        for part, file in (("CERT", cert), ("KEY", key))
    }
    with scripted_model() as model:
        workspace = make_workspace(tmp_path / "shop", model.url, model.name)
        with running(workspace, "--gateways", "2", environ=environ) as platform:
            assert platform.up.text.count("https://127.0.0.1") == 2
            port = str(httpx.URL(platform.control).port)
            asked = subprocess.run(
                tidegate("keys", "list"), cwd=workspace, env=clean_environ(TIDEGATE_CONTROL_PORT=port, **environ),
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert (asked.returncode, asked.stderr) == (0, "")
            address = platform.gateway.replace("http://", "https://")
            context = trusting(authority)

            def both_ready() -> bool:  # `up` asks one of the two; the other may be a moment later
                asked = [httpx.get(f"{address}/readyz", verify=context, trust_env=False) for _ in range(8)]
                return all(one.status_code == httpx.codes.OK for one in asked)

            eventually(both_ready)
