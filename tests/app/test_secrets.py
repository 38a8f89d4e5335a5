"""Sealed secrets in a gateway: opened for the upstream that they are bound to, shown to nobody else."""

from pathlib import Path

import msgspec
import pytest

from tests.support.asking import ask_chat, fetch
from tests.support.gateway import until
from tests.support.scene import Start, changed, snapshot_of
from tests.support.scene import start as start
from tests.support.scene import upstream as upstream
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import answer
from tidegate.adapters.vault.vault import Vault
from tidegate.live.snapshot import Sealed, Snapshot
from tidegate.settings import Settings

MASTER = "0123456789abcdef0123456789abcdef"
OLD = "fedcba9876543210fedcba9876543210"
VALUE = "sk-very-secret-0815-4711"
ENVIRON = {"TIDEGATE_MASTER_KEY": MASTER}  # a gateway needs no admin token


@pytest.fixture
def transport() -> str:
    return "raw"


def sealed_world(url: str, sealed: Sealed | None) -> Snapshot:
    rows = {"openai": sealed} if sealed else {}
    return msgspec.structs.replace(snapshot_of(url, secret="openai"), sealed=rows)  # a name


def seal(value: str, *keys: str) -> Sealed:
    return Vault(*(keys or (MASTER,))).seal("secrets", "openai", value.encode())


def test_the_upstream_gets_the_key_and_no_file_or_answer_does(
    start: Start, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    running = start(sealed_world(upstream.url, seal(VALUE)), environ=ENVIRON)
    upstream.say(answer({"error": {"message": "Wrong key."}}, status=401))
    bodies = [ask_chat(running).body, ask_chat(running).body, fetch(running, "/metrics").body]
    assert upstream.last.headers["authorization"] == f"Bearer {VALUE}"
    until(Settings(workspace=tmp_path).snapshot_file.exists)
    running.stop()
    bodies += [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    bodies.append(msgspec.json.encode(running.records.stored))
    assert all(VALUE.encode() not in body for body in bodies)


def test_a_redirect_is_not_followed_and_carries_nothing(start: Start, upstream: ScriptedUpstream) -> None:
    with ScriptedUpstream() as other:
        running = start(sealed_world(upstream.url, seal(VALUE)), environ=ENVIRON)
        for status in (301, 302, 303, 307, 308):
            upstream.say(answer({}, status=status, headers=(("Location", f"{other.url}/chat/completions"),)))
            assert ask_chat(running).status >= 400
        assert other.connections == 0


def test_a_secret_set_anew_is_used_at_once_and_rotation_fails_no_call(start: Start, upstream: ScriptedUpstream) -> None:
    environ = {**ENVIRON, "TIDEGATE_MASTER_KEY_PREVIOUS": OLD}
    running = start(snapshot := sealed_world(upstream.url, seal(VALUE, OLD)), environ=environ)
    assert ask_chat(running).status == 200
    for value in (VALUE, "sk-another-value"):
        running.push(snapshot := changed(snapshot, sealed={"openai": seal(value)}))
        assert ask_chat(running).status == 200
        assert upstream.last.headers["authorization"] == f"Bearer {value}"


@pytest.mark.parametrize(
    ("sealed", "environ", "code"),
    [
        (None, ENVIRON, "secret_missing"),
        (seal(VALUE, OLD), ENVIRON, "sealed_key_unknown"),
        (msgspec.structs.replace(seal(VALUE), ciphertext=b"x" * 40), ENVIRON, "sealed_corrupt"),
        (seal(VALUE), {}, "key_file"),
    ],
)
def test_without_its_secret_a_model_is_not_called(
    start: Start, upstream: ScriptedUpstream, sealed: Sealed | None, environ: dict[str, str], code: str
) -> None:
    running = start(sealed_world(upstream.url, sealed), environ=environ)
    reply = ask_chat(running)
    assert (reply.status, reply.error["code"]) == (502, code)
    assert VALUE.encode() not in reply.body
    assert not upstream.received
