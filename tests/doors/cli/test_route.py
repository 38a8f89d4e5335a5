"""`tidegate route`, `budget` and keys bound to regions, on the example that the documents walk through."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.house.tree import ROOT
from tests.support.control import make_workspace
from tests.support.served import Served, served_control
from tidegate.adapters.sqlite.counters import SqliteCounters
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.app.config import check_file
from tidegate.control.policies.model import parse_config
from tidegate.doors.cli.main import run
from tidegate.live.calls import CallRecord
from tidegate.live.ports import Line
from tidegate.live.windows import window_at

EXAMPLE = ROOT / "examples" / "fallback-and-budget.yaml"
GUIDE = ROOT / "docs" / "how-to" / "fallback-and-budget.md"


class Shell:
    """Runs commands in the workspace and keeps what they print."""

    def __init__(self, served: Served, capsys: pytest.CaptureFixture[str]) -> None:
        self.served = served
        self._capsys = capsys

    def __call__(self, *words: str, code: int = 0) -> str:
        self._capsys.readouterr()
        ended = run(words)
        shown = self._capsys.readouterr()
        assert ended == code, shown
        return shown.out + shown.err


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Served]]:
    workspace = make_workspace(tmp_path_factory.mktemp("route") / "home", config=EXAMPLE.read_text())
    with served_control(workspace) as served:
        yield workspace, served


@pytest.fixture
def shell(
    world: tuple[Path, Served], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Shell:
    workspace, served = world
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in [name for name in os.environ if name.startswith("TIDEGATE_")]:
        monkeypatch.delenv(name)
    return Shell(served, capsys)


def test_the_example_is_in_order(shell: Shell) -> None:
    config = parse_config(EXAMPLE.read_text(), EXAMPLE.name)
    assert config.routes["chat"].fallbacks == ("claude-haiku", "own-llama")
    assert check_file(EXAMPLE.read_text(), EXAMPLE.name)[1] == ()
    assert "is in order" in shell("config", "check", str(EXAMPLE))


def test_the_guide_shows_what_the_commands_print(shell: Shell) -> None:
    text = GUIDE.read_text()
    for words in (("route", "explain", "chat"), ("route", "explain", "chat-eu")):
        block = text.partition(f"$ tidegate {' '.join(words)}\n")[2].partition("```")[0]
        shown = re.sub(r"generation [0-9]+", "generation 1", shell(*words))
        assert block.rstrip() == shown.rstrip(), f"what `{' '.join(words)}` prints has changed"


def test_the_routes_are_listed(shell: Shell) -> None:
    listed = shell("route", "list")
    assert "claude-haiku, own-llama" in listed
    shown = shell("route", "show", "chat")
    assert "2 attempts" in shown
    assert "chat" in shell("route", "show", "chit", code=1)


def test_a_plan_tells_steps_candidates_prices_and_what_counts(shell: Shell) -> None:
    told = shell("route", "explain", "chat")
    assert "1. chat: the only one, up to 2 tries" in told
    assert "gpt-mini (gpt-4o-mini), region us, $0.15 in, $0.6 out for 1M tokens" in told
    assert "2. claude-haiku" in told
    assert "Counted by: requests-of-a-key, at-a-time, everything, support-team." in told


def test_a_key_of_a_region_sees_what_it_may_reach_and_why_not_more(shell: Shell) -> None:
    made = shell("keys", "create", "eu-app", "--region", "eu", "--tag", "team=support", "--tag", "project=x")
    assert "reach models of eu only" in made
    shown = shell("keys", "show", "eu-app")
    assert "regions      eu" in shown
    assert "project=x, team=support" in shown or "team=support, project=x" in shown
    assert "regions eu" in shell("keys", "list").replace("\n", " ")
    told = shell("route", "explain", "chat", "--key", "eu-app")
    assert "own-llama" in told.partition("Excluded")[0]
    assert "gpt-mini: its region is 'us', and only eu is allowed" in told
    assert "support-team" in told
    plan = shell("route", "explain", "chat", "--key", "eu-app", "--json")
    assert '"regions": [\n    "eu"\n  ]' in plan


def test_an_adapter_that_no_model_has_is_told(shell: Shell) -> None:
    told = shell("route", "explain", "chat:legal")
    assert "gpt-mini: it has no adapter 'legal'" in told
    assert "Refused: no model of 'chat:legal' has that adapter." in told


def test_an_alias_that_reads_like_a_call_is_an_alias(shell: Shell, world: tuple[Path, Served]) -> None:
    workspace, _ = world
    file = workspace / "tidegate.yaml"
    before = file.read_text()
    file.write_text(before.replace("\nroutes:\n", "\nroutes:\n  decade: {model: gpt-mini}\n", 1))
    shell("apply")
    try:
        assert "1. decade: the only one" in shell("route", "explain", "decade")
        assert "facade" in shell("route", "explain", "facade", code=1)
    finally:
        file.write_text(before)
        shell("apply")


def test_a_call_tells_why_it_went_where_it_went(shell: Shell) -> None:
    record = CallRecord(
        call_id="call_0123456789ab0000000000000000beef", gateway_id="gw_1", seq=1, started_at_ms=1, status=200,
        endpoint="chat.completions", ending="complete", latency_ms=812.0, environment="production",
        model_requested="chat", route="chat", deployment="claude-haiku", region="us", generation=1, attempts=3,
        trace="gpt-mini:503 > gpt-mini:timeout > claude-haiku:200", bound_nano_usd=5_000_000, cost_nano_usd=812_000,
        upstream_model="claude-haiku-4-5",
    )  # fmt: skip

    async def write() -> None:
        records = SqliteRecords(shell.served.control.settings.calls_db_file)
        await records.append([record, _shadow(record)])
        await records.close()

    shell.served.run(write())
    told = shell("route", "explain", record.call_id[-8:])
    assert "Attempt 1: gpt-mini: 503." in told
    assert "It fell back: gpt-mini -> claude-haiku." in told
    assert "fallback 1, claude-haiku" in told
    assert "Reserved at most $0.005; it cost $0.000812." in told
    assert "0000beef" in shell("calls", "tail")
    assert "0000cafe" not in shell("calls", "tail")
    assert "0000cafe" in shell("calls", "tail", "--origin", "all")
    assert "claude-haiku us x3" in shell("calls", "tail")


def test_budgets_are_listed_before_their_first_call(shell: Shell) -> None:
    listed = shell("budget", "list")
    assert "everything" in listed
    assert "$100.00" in listed
    assert "requests-of-a-key" not in listed
    assert "at-a-time" in shell("budget", "list", "--all")
    assert "support-team" in shell("budget", "show", "support-team")
    assert "everything" in shell("budget", "show", "everythin", code=1)


def test_what_gateways_have_spent_is_shown(shell: Shell) -> None:
    settings = shell.served.control.settings

    async def spend() -> None:
        now_ms = time.time_ns() // 1_000_000
        window = window_at("day", "UTC", now_ms)
        line = Line(
            counter="support-team", window=window.name, ends_at_ms=window.ends_at_ms, cap=5_000_000_000, generation=1,
            wanted=4_500_000_000, least=1,
        )  # fmt: skip
        counters = SqliteCounters(settings.counters_db_file)
        await counters.exchange("gw_1", 1, [line])
        spent = msgspec.structs.replace(line, settled=4_250_000_000, wanted=0)
        await counters.exchange("gw_1", 2, [spent])
        await counters.close()

    shell.served.run(spend())
    (state,) = msgspec.json.decode(shell("budget", "show", "support-team", "--json"))
    assert (state["settled"], state["held"], state["state"]) == (4_250_000_000, 250_000_000, "soft")
    row = next(line for line in shell("budget", "list").splitlines() if line.startswith("support-team"))
    for word in ("$4.25", "$0.25", "$5.00", "85%", "soft"):
        assert word in row


def _shadow(record: CallRecord) -> CallRecord:
    fields = {name: getattr(record, name) for name in CallRecord.__struct_fields__}
    fields |= {"call_id": "call_0123456789ab0000000000000000cafe", "seq": 2, "origin": "shadow"}
    return CallRecord(**fields | {"shadow_of": record.call_id})
