"""The commands that speak to control, against a control plane on a real port."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.control import ADMIN_TOKEN, MASTER_KEY, make_workspace
from tests.support.served import Served, served_control
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.app.notifiers import notifier_key
from tidegate.control.monitoring.model import CallRecord
from tidegate.doors.cli.audit import diff_lines
from tidegate.doors.cli.keys import parse_ttl
from tidegate.doors.cli.logins import logins_file
from tidegate.doors.cli.main import run
from tidegate.kernel.errors import Invalid


class Shell:
    """Runs commands in a workspace and keeps what they print."""

    def __init__(self, workspace: Path, served: Served, capsys: pytest.CaptureFixture[str]) -> None:
        self.workspace = workspace
        self.served = served
        self._capsys = capsys
        self.err = ""

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run one command; it must end with `code`, and keep to 80 columns unless it prints JSON."""
        self._capsys.readouterr()
        ended = run(arguments)
        shown = self._capsys.readouterr()
        self.err = shown.err
        assert ended == code, shown
        return shown.out

    def json(self, *arguments: str) -> Any:
        return msgspec.json.decode(self(*arguments, "--json"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Served]]:
    workspace = make_workspace(tmp_path_factory.mktemp("cli") / "home")
    with served_control(workspace) as served:
        yield workspace, served


@pytest.fixture
def shell(
    world: tuple[Path, Served], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Shell:
    workspace, served = world
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in [name for name in os.environ if name.startswith("TIDEGATE_")]:
        monkeypatch.delenv(name)
    return Shell(workspace, served, capsys)


def fits(text: str) -> bool:
    return all(len(line) <= 80 for line in text.splitlines())


def test_a_release_goes_out_and_comes_back(shell: Shell) -> None:
    assert "Nothing was released yet" in shell("release", "status")
    said = shell("release", "deploy", "greeting@1.0.0", "--env", "production", "--reason", "first")
    assert said.splitlines()[0] == "greeting in production: 1.0.0 is live for all traffic (release 1, deploy)."
    assert said.splitlines()[1] == "Way back: withdrawal. Git tag: release/production/greeting/1."
    shell("release", "deploy", "greeting@1.1.0", "--env", "production")
    status = shell("release", "status")
    assert fits(status)
    head, _, row = status.splitlines()
    assert head.split() == ["PROMPT", "ENV", "LIVE", "WEIGHT", "SINCE", "BY", "WAY", "BACK"]
    assert row.split()[:4] == ["greeting", "production", "1.1.0", "100%"]
    assert row.split()[-2:] == ["admin", "1.0.0"]
    assert "1.0.0 is live" in shell("release", "rollback", "greeting", "--env", "production", "-m", "worse")
    shell("release", "deploy", "greeting@1.2.0", "-e", "production")
    assert "1.0.0 is live" in shell("release", "revert", "greeting", "-e", "production")
    assert not (shell.workspace / "prompts/greeting/v1.2.0.yaml").exists()
    assert "nothing is live any more" in shell("release", "withdraw", "greeting", "--env", "production")
    assert "withdrawn" in shell("release", "status", "greeting", "--env", "production")
    history = shell("release", "history", "greeting", "--env", "production")
    assert fits(history)
    for word in ("deploy", "rollback", "revert", "withdraw", "worse", "nothing"):
        assert word in history
    line = shell.json("release", "history", "greeting", "--env", "production", "-n", "2")
    assert [one["kind"] for one in line] == ["withdraw", "revert"]
    assert "never released" in shell("release", "history", "farewell", "--env", "production")


def test_what_control_refuses_is_two_lines_and_exit_code_1(shell: Shell) -> None:
    assert shell("release", "deploy", "greting@1.0.0", "--env", "staging", code=1) == ""
    assert shell.err.splitlines()[0] == "error: There is no prompt named 'greting'."
    assert shell.err.splitlines()[1].startswith("mend: Did you mean greeting?")
    shell("release", "deploy", "greeting", "--env", "staging", code=1)
    assert "NAME@VERSION" in shell.err


def test_a_key_is_shown_once_with_an_example(shell: Shell) -> None:
    shell("release", "deploy", "farewell@1.0.0", "--env", "staging")
    said = shell("keys", "create", "app", "--env", "staging", "--tag", "team=web", "--ttl", "30d")
    secret = said.splitlines()[0]
    assert secret.startswith("tg-")
    assert said.count(secret) == 2
    assert "only time" in said
    assert "curl http://127.0.0.1:8080/v1/chat/completions" in said
    assert """-d '{"model":"prompt:farewell","variables":{"who":"..."}}'""" in said
    listed = shell("keys", "list")
    assert secret not in listed
    assert fits(listed)
    for word in ("app", secret[:7], "staging", "living", "in 29 d", "everything"):
        assert word in listed
    assert "expires now" in shell("keys", "expire", "app")
    assert "does not expire" in shell("keys", "expire", "app", "--in", "never")
    assert "expires in 11 h" in shell("keys", "expire", "app", "--in", "12h")
    assert "is revoked" in shell("keys", "revoke", "app")
    assert shell.json("keys", "list")[0]["revoked_at_ms"] is not None
    narrow = shell("keys", "create", "ci", "--prompt", "greeting", "--model", "fast", "--scope", "prompts")
    assert "curl" not in narrow
    assert '"model":"prompt:greeting","variables":{}' in shell("keys", "create", "own", "--prompt", "greeting")
    assert '"model":"spare","messages"' in shell("keys", "create", "raw", "--model", "spare", "--env", "dev")
    assert "models fast; prompts greeting" in " ".join(shell("keys", "list").split())
    made = shell.json("keys", "create", "json")
    assert made["secret"].startswith("tg-")
    for wrong in (["--tag", "team"], ["--ttl", "soon"], ["--scope", "root"]):
        shell("keys", "create", "wrong", *wrong, code=1)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000), ("4w", 2_419_200)]
)
def test_lengths_of_time(text: str, seconds: int) -> None:
    assert parse_ttl(text) == seconds
    with pytest.raises(Invalid):
        parse_ttl(f"{text}x")


def test_the_key_of_a_webhook_is_for_its_receiver(shell: Shell) -> None:
    assert shell("keys", "webhook", "ops").strip() == notifier_key(MASTER_KEY, "ops")
    assert shell("keys", "webhook", "other").strip() != notifier_key(MASTER_KEY, "ops")


def test_a_user_logs_in_and_is_let_in_as_far_as_the_roles_go(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = shell("users", "create", "dora", "--role", "deployer", "--role", "editor")
    token = said.splitlines()[0]
    assert token.startswith("tgt-")
    assert "tidegate login" in said
    assert "editor, deployer" in shell("users", "list")
    monkeypatch.chdir(tmp_path)
    logged_in = shell("login", "--server", shell.served.url, "--token", token)
    assert f"Logged in to {shell.served.url} as dora" in logged_in
    assert token not in logged_in
    assert logins_file().stat().st_mode & 0o777 == 0o600
    shell("release", "status")
    shell("keys", "list", code=1)
    assert "key.manage" in shell.err
    assert "admin" in shell.err
    shell("login", "--server", shell.served.url, "--token", "tgt-wrong", code=1)
    shell("login", "--server", "control.example", "--token", "x", code=1)
    assert "is no address" in shell.err
    monkeypatch.chdir(shell.workspace)
    assert "dora is now reviewer" in shell("users", "roles", "dora", "--role", "reviewer")
    second = shell("users", "token", "dora").splitlines()[0]
    tokens = shell.json("users", "tokens", "dora")
    assert len(tokens) == 2
    assert second not in str(tokens)
    assert "is revoked" in shell("users", "revoke-token", tokens[0]["token_id"])
    assert "revoked" in shell("users", "tokens", "dora")
    assert "dora is disabled" in shell("users", "disable", "dora")
    assert "disabled now" in shell("users", "list")
    shell("users", "disable", "admin", code=1)


def test_a_token_may_come_from_stdin(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(shell.workspace / ".tidegate" / "token", "w+") as file:
        file.write(ADMIN_TOKEN + "\n")
        file.seek(0)
        monkeypatch.setattr("sys.stdin", file)
        assert shell.json("login", "--server", shell.served.url, "--token", "-")["user"] == "admin"


def call(seq: int, **fields: Any) -> CallRecord:
    values: dict[str, Any] = {
        "call_id": f"call_0123456789ab{seq:020x}", "gateway_id": "gw_cli", "seq": seq,
        "started_at_ms": time.time_ns() // 1_000_000, "endpoint": "chat.completions", "status": 200,
        "ending": "complete", "latency_ms": 120.0, "prompt": "greeting", "prompt_version": "1.1.0",
        "input_tokens": 12, "output_tokens": 34, "cost_nano_usd": 123_000, "ttft_ms": 45.0,
    }  # fmt: skip
    return CallRecord(**values | fields)


def append(shell: Shell, *calls: CallRecord) -> None:
    async def write() -> None:
        records = SqliteRecords(shell.served.control.settings.calls_db_file)
        await records.append(calls)
        await records.close()

    shell.served.run(write())


def test_calls_are_printed_the_newest_last(shell: Shell) -> None:
    assert shell("calls", "tail") == "There are no such calls yet.\n"
    assert shell("calls", "show") == "There are no calls yet.\n"
    assert shell("calls", "gaps") == "No call record was lost.\n"
    append(shell, call(1), call(2, ending="cut", cost_nano_usd=None), call(5, prompt="farewell"))
    tail = shell("calls", "tail")
    assert fits(tail)
    head, *lines = tail.splitlines()
    assert head.split() == ["TIME", "ENDING", "PROMPT/MODEL", "TOKENS", "COST", "TTFT", "LATENCY", "ID"]
    assert [line.split()[-1] for line in lines] == ["00000001", "00000002", "00000005"]
    for word in ("complete", "12/34", "$0.000123", "45ms", "120ms"):
        assert word in lines[0]
    assert "unknown" in lines[1]
    assert len(shell("calls", "tail", "--ending", "cut").splitlines()) == 2
    assert len(shell("calls", "tail", "-n", "1").splitlines()) == 2
    one = [msgspec.json.decode(line) for line in shell("calls", "tail", "--json").splitlines()]
    assert [record["seq"] for record in one] == [1, 2, 5]
    shown = shell("calls", "show", "00000002")
    assert "call_0123456789ab00000000000000000002" in shown
    assert "cut" in shown
    assert "farewell" in shell("calls", "show")
    assert shell.json("calls", "show", call(1).call_id)["seq"] == 1
    assert "3-4" in shell("calls", "gaps")
    shell("calls", "show", "ffffffff", code=1)
    assert "no call named" in shell.err


def test_pairs_are_printed_side_by_side(shell: Shell) -> None:
    user = call(40, gateway_id="gw_pairs", route="support", deployment="gpt-big")
    shadow = call(
        41, gateway_id="gw_pairs", route="support", deployment="gpt-small", origin="shadow", shadow_of=user.call_id,
        cost_nano_usd=7_499,
    )  # fmt: skip
    assert "no route with `shadow`" in shell("calls", "pairs", "--route", "support")
    append(shell, user, shadow)
    said = shell("calls", "pairs", "--route", "support")
    assert fits(said)
    for word in ("gpt-big", "gpt-small", "$0.000007", "00000028", "00000029", "no"):
        assert word in said
    page = shell.json("calls", "pairs", "--route", "support", "-n", "1")
    assert (page["pairs"][0]["user"]["call_id"], page["pairs"][0]["shadow"]["call_id"]) == (
        user.call_id, shadow.call_id,
    )  # fmt: skip
    assert f"--before {page['next']}" in shell("calls", "pairs", "-n", "1")
    assert shell.json("calls", "pairs", "--route", "support", "--before", page["next"]) == {"pairs": [], "next": None}


def test_secrets_and_content_are_sealed_anew(shell: Shell) -> None:
    assert shell.json("secrets", "rotate")["content"] == {"resealed": 0, "unopened": 0}
    assert "the content of 0 calls" in shell("secrets", "rotate")


def test_following_goes_on_until_it_is_stopped(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    append(shell, call(10))
    turns: list[float] = []

    def pause(seconds: float) -> None:
        turns.append(seconds)
        if len(turns) > 2:
            raise KeyboardInterrupt
        append(shell, call(10 + len(turns)))

    monkeypatch.setattr("tidegate.doors.cli.calls.time.sleep", pause)
    lines = shell("calls", "tail", "-f", "-n", "1", "--json", code=130).splitlines()
    assert [msgspec.json.decode(line)["seq"] for line in lines] == [10, 11, 12]


def test_the_audit_shows_what_was_different(shell: Shell) -> None:
    shell("release", "deploy", "farewell@1.1.0", "--env", "staging", "--reason", "nicer")
    said = shell("audit", "-n", "1")
    head, *lines = said.splitlines()
    assert head.endswith("admin  release.deploy  release/staging/farewell")
    assert "    version: 1.0.0 -> 1.1.0" in lines
    assert "    reason: nicer" in lines
    rows = shell.json("audit", "--subject", "release/staging/farewell")
    assert [row["action"] for row in rows] == ["release.deploy", "release.deploy"]
    assert shell.json("audit", "--before", str(rows[0]["audit_id"]))[0]["audit_id"] < rows[0]["audit_id"]


def test_a_diff_is_told_in_words() -> None:
    assert [*diff_lines({"before": {"a": 1, "b": 2}, "after": {"a": 1, "b": 3, "c": None}})] == [
        "b: 2 -> 3",
        "c: nothing",
    ]
    assert [*diff_lines({"after": ["editor", "admin"]})] == ["editor, admin"]
    assert [*diff_lines({"before": "enabled", "after": "disabled"})] == ["enabled -> disabled"]
    assert [*diff_lines({"changes": ["+ a: \x1b[31m1", "- b: 2"], "note": "", "x": {"y": 1}})] == [
        "+ a: 1",
        "- b: 2",
        'x: {"y":1}',
    ]


def test_without_control_the_command_says_how_to_start_it(shell: Shell, tmp_path: Path) -> None:
    home = make_workspace(tmp_path / "asleep")
    (home / "tidegate.yaml").write_text("server: {control_port: 1}\n")
    shell("--workspace", str(home), "release", "status", code=1)
    assert shell.err == (
        "error: Control does not answer at http://127.0.0.1:1.\n"
        "mend: Start it with `tidegate up`, or name another with --server URL.\n"
    )
