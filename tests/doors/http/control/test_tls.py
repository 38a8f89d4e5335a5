"""TLS at control: the process on a socket, and the commands that go to it."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.support.certificates import Authority
from tests.support.control import ADMIN_TOKEN, make_workspace, settings_for
from tests.support.databases import migrated_bytes
from tests.support.scripted_model import scripted_model
from tidegate.app.sockets import bind
from tidegate.app.supervisor.orders import Orders, given
from tidegate.control.identity.model import Actor
from tidegate.doors.cli.logins import Login, read_logins
from tidegate.doors.cli.main import run
from tidegate.doors.cli.remote import Remote, connect
from tidegate.doors.cli.trust import Trust, check_way
from tidegate.doors.http.tls import open_certificate
from tidegate.kernel.errors import Invalid, Unavailable
from tidegate.settings import Settings, load_settings

PROGRAM = (sys.executable, "-W", "error", "-m", "tidegate.doors.http.control")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def served(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace whose control process speaks TLS; its settings say where."""
    workspace = make_workspace(tmp_path_factory.mktemp("control") / "home")
    with control(workspace, *placed(authority, "control", workspace)):
        yield workspace


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    for name in ("SERVER", "TOKEN", "WORKSPACE", "ADMIN_TOKEN", "CONTROL_CA_FILE", "ALLOW_PLAIN_HTTP"):
        monkeypatch.delenv(f"TIDEGATE_{name}", raising=False)


def placed(authority: Authority, name: str, folder: Path) -> tuple[Path, Path]:
    """Issue a pair and put it where control looks, each file in one step."""
    cert, key = authority.issue(name)
    for file, end in ((key, "key"), (cert, "pem")):
        draft = folder / f"draft.{end}"
        shutil.copyfile(file, draft)
        os.replace(draft, folder / f"tls.{end}")
    return folder / "tls.pem", folder / "tls.key"


@contextmanager
def control(workspace: Path, cert: Path, key: Path) -> Iterator[None]:
    """A running control process; tidegate.yaml names its port and certificate, as an operator would write them."""
    settings = msgspec.structs.replace(settings_for(workspace), control_tls_cert=str(cert), control_tls_key=str(key))
    settings.control_db_file.write_bytes(migrated_bytes())
    with bind("127.0.0.1", 0) as sock, (workspace / "log").open("wb") as log:
        orders = Orders(process="control", settings=settings, socket_fd=sock.fileno(), first=True)
        child = subprocess.Popen(PROGRAM, env=given(orders, os.environ), pass_fds=(sock.fileno(),), stderr=log)
        port = sock.getsockname()[1]
    with (workspace / "tidegate.yaml").open("a") as file:
        file.write(f"server: {{control_port: {port}, control_tls_cert: {cert.name}, control_tls_key: {key.name}}}\n")
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert child.poll() is None, (workspace / "log").read_text()
            with suppress(httpx.HTTPError):
                unchecked = httpx.get(f"{address(workspace)}/readyz", verify=False, trust_env=False)  # noqa: S501
                if unchecked.status_code == 200:
                    break
            time.sleep(0.02)
        yield
    finally:
        child.terminate()
        assert child.wait(timeout=20) == 0


def address(workspace: Path) -> str:
    return load_settings(workspace, {}).control_url


def test_control_speaks_tls_1_3_and_http_1_only(served: Path, authority: Authority) -> None:
    place = ("127.0.0.1", httpx.URL(address(served)).port or 0)
    context = ssl.create_default_context(cafile=str(authority.ca))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(place, 5) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as wire:
        assert (wire.version(), wire.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(place, 5) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_a_login_remembers_whom_to_trust(
    served: Path, authority: Authority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile(authority.ca, tmp_path / "ca.pem")
    words = ("login", "--server", address(served), "--token", ADMIN_TOKEN)
    assert run(words) == 1
    assert "is not trusted" in capsys.readouterr().err
    assert read_logins().newest() is None
    assert run((*words, "--ca-file", "ca.pem")) == 0
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")
    assert connect(None, None).get("/whoami", Actor).roles == ("admin",)


def test_a_certificate_that_nobody_vouches_for_gets_no_token(served: Path, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger")
    for trust in (Trust(), Trust(stranger.ca)):
        with pytest.raises(Unavailable) as refused:
            Remote(Login(address(served), ADMIN_TOKEN), trust).get("/whoami", Actor)
        assert refused.value.code == "control_untrusted"
        assert "--ca-file" in refused.value.mend


def test_the_environment_names_whom_to_trust(
    served: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_SERVER", address(served))
    monkeypatch.setenv("TIDEGATE_TOKEN", ADMIN_TOKEN)
    monkeypatch.setenv("TIDEGATE_CONTROL_CA_FILE", str(authority.ca))
    assert connect(None, None).get("/whoami", Actor).name
    monkeypatch.setenv("TIDEGATE_CONTROL_CA_FILE", str(served / "none.pem"))
    with pytest.raises(Invalid) as refused:
        connect(None, None)
    assert refused.value.code == "bad_ca_file"


def test_in_its_own_workspace_a_command_takes_that_certificate_and_no_other(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_workspace(tmp_path / "home")
    with control(workspace, *placed(authority, "own", workspace)):
        assert connect(workspace, None).get("/whoami", Actor).roles == ("admin",)
        monkeypatch.setenv("TIDEGATE_CONTROL_TLS_CERT", str(authority.issue("another")[0]))
        with pytest.raises(Unavailable, match="not trusted"):
            connect(workspace, None).get("/whoami", Actor)
        monkeypatch.delenv("TIDEGATE_CONTROL_TLS_CERT")
        before = ssl.get_server_certificate(("127.0.0.1", httpx.URL(address(workspace)).port or 0))
        placed(authority, "renewed", workspace)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if ssl.get_server_certificate(("127.0.0.1", httpx.URL(address(workspace)).port or 0)) != before:
                break
            time.sleep(0.1)
        assert connect(workspace, None).get("/whoami", Actor).roles == ("admin",)


def test_plain_http_to_a_server_that_speaks_tls_is_told_so(served: Path) -> None:
    with pytest.raises(Unavailable) as refused:
        Remote(Login(address(served).replace("https", "http"), ADMIN_TOKEN)).get("/whoami", Actor)
    assert "https://" in refused.value.mend


def test_https_to_a_server_without_tls_is_told_so() -> None:
    with scripted_model() as plain, pytest.raises(Unavailable) as refused:
        Remote(Login(plain.url.removesuffix("/v1").replace("http", "https"), ADMIN_TOKEN)).get("/whoami", Actor)
    assert refused.value.code == "control_speaks_no_tls"
    assert "http://" in refused.value.mend


@pytest.mark.parametrize("server", ["http://control.example:8081", "http://10.0.0.5:8081", "http://127.0.0.1.example"])
def test_a_token_goes_nowhere_else_in_the_clear(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Invalid) as refused:
        Remote(Login(server, ADMIN_TOKEN))
    assert refused.value.code == "token_in_clear"
    assert ADMIN_TOKEN not in str(refused.value)
    assert run(("login", "--server", server, "--token", ADMIN_TOKEN)) == 1
    monkeypatch.setenv("TIDEGATE_ALLOW_PLAIN_HTTP", "1")
    assert Remote(Login(server, ADMIN_TOKEN)).server == server


@pytest.mark.parametrize(
    "server", ["http://127.0.0.1:8081", "http://localhost:1", "http://[::1]:1", "https://a.example"]
)
def test_loopback_and_tls_need_no_leave(server: str) -> None:
    check_way(server, {})


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="control_tls_key"):
        open_certificate(Settings(workspace=tmp_path, control_tls_cert="a.pem"), "control")
    with pytest.raises(Invalid, match="control_tls_cert"):
        open_certificate(Settings(workspace=tmp_path, control_tls_cert="a", control_tls_key="b"), "control")
