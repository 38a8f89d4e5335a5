"""`tidegate release start` and what follows, against a control plane on a real port."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.cli.test_commands import Shell, fits
from tests.support.control import make_workspace
from tests.support.rolling import Scripted, canary, evaluated, led, short_plan, with_plan
from tests.support.served import Served, served_control
from tidegate.control.identity.model import SYSTEM
from tidegate.control.rollouts.model import Stage

OFFLINE = Stage(name="offline", kind="offline", max_hold_s=3600)
APPROVAL = Stage(name="approval", kind="approval", approvers=("reviewer",), max_hold_s=3600)
PLAN = short_plan(OFFLINE, APPROVAL, canary(5, min_units=100), canary(25), canary(100, max_hold_s=None))
HERE = ("greeting", "--env", "production")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Served]]:
    workspace = make_workspace(tmp_path_factory.mktemp("cli") / "home")
    with served_control(workspace) as served:
        yield workspace, served


@pytest.fixture
def shell(
    world: tuple[Path, Served], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Shell]:
    workspace, served = world
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in [name for name in os.environ if name.startswith("TIDEGATE_")]:
        monkeypatch.delenv(name)
    one = Shell(workspace, served, capsys)
    one("release", "deploy", "greeting@1.0.0", "--env", "production")
    yield one
    one("release", "withdraw", *HERE)


@pytest.fixture
def seen(shell: Shell) -> Scripted:
    return with_plan(shell.served.control, PLAN)


def look(shell: Shell) -> None:
    """The leader looks once."""
    shell.served.run(shell.served.control.rollouts._ticking.round(led))


def approved(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> str:
    """A reviewer approves, with a token of their own."""
    control = shell.served.control
    names = [one.name for one in shell.served.run(control.identity.list_users(SYSTEM))]
    name = f"rita-{len(names)}"
    _, token = shell.served.run(control.identity.create_user(SYSTEM, name, ["reviewer"]))
    with monkeypatch.context() as patched:
        patched.setenv("TIDEGATE_TOKEN", token)
        return shell("release", "approve", *HERE, "--note", "reads well")


@pytest.mark.usefixtures("seen")
def test_a_rollout_from_its_start_to_its_end(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    said = shell("release", "start", "greeting@1.1.0", "--env", "production")
    assert "greeting in production: 1.1.0 takes over from 1.0.0: under way in offline" in said
    assert "Waits for: a passed evaluation." in said
    assert "release status greeting --env production --follow" in said
    listed = shell("release", "status")
    assert fits(listed.partition("\n\n")[0])
    assert "See `tidegate release status greeting --env production`." in listed
    shell.served.run(evaluated(shell.served.control))
    look(shell)
    waiting = shell("release", "status", *HERE)
    assert fits(waiting)
    assert "Approve it: `tidegate release approve greeting --env production`." in " ".join(waiting.split())
    shell("release", "approve", *HERE, code=1)
    assert "admin wrote or started" in shell.err
    assert "under way in 5%" in approved(shell, monkeypatch)
    look(shell)
    assert "100 users" in shell("release", "status", *HERE)
    look(shell)
    look(shell)
    over = shell("release", "status", *HERE)
    assert "1.1.0     100%" in over
    log = shell("release", "status", *HERE, "--follow")
    assert [line.partition("%  ")[2].partition(" (")[0] for line in log.splitlines()] == [
        "started", "waits", "advanced", "advanced", "advanced", "promoted",
    ]  # fmt: skip
    history = shell("release", "history", *HERE, "--rollout")
    assert fits(history)
    assert "approved by rita" in " ".join(history.split())


def test_a_breach_is_explained_in_words(shell: Shell, seen: Scripted) -> None:
    with_plan(shell.served.control, short_plan(), seen)
    shell("release", "start", "greeting@1.1.0", "--env", "production", "--reason", "friendlier")
    assert "Started: friendlier" in shell("release", "status", *HERE)
    seen.says(breached=("error_rate",), holds=())
    look(shell)
    assert "rolled back" in shell("release", "why", *HERE)
    assert shell.json("release", "why", *HERE)["evidence"]["breached"] == ["error_rate"]
    shell("release", "status", *HERE, "--follow", code=1)
    lines = shell("release", "status", *HERE, "--follow", "--json", code=1).splitlines()
    assert len(lines) == 2, "an event, a line"


@pytest.mark.usefixtures("seen")
def test_a_person_steers(shell: Shell) -> None:
    with_plan(shell.served.control, short_plan(canary(5), canary(25, min_units=10**6), canary(100, max_hold_s=None)))
    shell("release", "start", "greeting@1.1.0", "--env", "production")
    look(shell)
    assert "25%" in shell("release", "status", *HERE)
    assert "Back to 5% by admin: slow." in shell("release", "rebalance", *HERE, "--percent", "5", "-m", "slow")
    assert "paused in 5%" in shell("release", "pause", *HERE, "--reason", "lunch")
    paused = shell("release", "status", *HERE)
    assert "Go on: `tidegate release resume greeting --env production`" in " ".join(paused.split())
    assert "under way in 5%" in shell("release", "resume", *HERE)
    assert "Extended by 2 hours by admin" in shell("release", "extend", *HERE, "--for", "2h")
    shell("release", "promote", *HERE, code=1)
    assert "needs a reason" in shell.err
    assert "1.1.0 has taken over from 1.0.0" in shell("release", "promote", *HERE, "-m", "we know enough")
    back = shell("release", "rollback", *HERE, "-m", "no")
    assert "1.0.0 is live for all traffic" in back


@pytest.mark.usefixtures("seen")
def test_what_is_refused_says_what_to_do(shell: Shell, tmp_path: Path) -> None:
    shell("release", "start", "greeting", "--env", "production", code=1)
    assert "NAME@VERSION" in shell.err
    shell("release", "start", "farewell@1.1.0", "--env", "production", code=1)
    assert "release deploy farewell@1.1.0 --env production" in shell.err
    shell("release", "start", "greeting@1.1.0", "--env", "production", "--plan", str(tmp_path / "none.yaml"), code=1)
    assert "none.yaml" in shell.err
    shell("release", "status", "--follow", code=1)
    assert "rollout under way" in shell.err
    shell("release", "start", "greeting@1.1.0", "--env", "production")
    shell("release", "deploy", "greeting@1.2.0", "--env", "production", code=1)
    assert "--supersede" in shell.err
    assert "1.2.0 is live" in shell("release", "deploy", "greeting@1.2.0", "--env", "production", "--supersede")


@pytest.mark.usefixtures("seen")
def test_another_model_under_the_same_version(shell: Shell) -> None:
    said = shell("release", "start", "greeting", "--model", "spare", "--env", "production")
    assert "1.0.0 on spare takes over from 1.0.0" in said
    (arm,) = shell.json("release", "rollback", *HERE)["arms"]
    assert (arm["version"], arm["model"]) == ("1.0.0", None)


def test_a_drill_walks_the_way_back_and_leaves_all_as_it_was(shell: Shell) -> None:
    shell("release", "deploy", "greeting@1.0.0", "--env", "staging")
    said = shell("release", "drill", "greeting", "--version", "1.1.0")
    assert fits(said)
    rows = [line.split() for line in said.splitlines()]
    assert [row[:2] for row in rows if row and row[0] in ("live", "back")] == [["live", "1.1.0"], ["back", "1.0.0"]]
    assert "The way back of greeting 1.1.0 in staging can be walked." in said
    assert "1.0.0" in shell("release", "status", "greeting", "--env", "staging")
    again = shell.json("release", "drill", "greeting", "--version", "1.0.0")
    assert [one["step"] for one in again["steps"]] == ["back", "live"], "what is live goes away and comes again"
    shell("release", "drill", "greeting", code=1)
    assert "--version" in shell.err
    shell("release", "withdraw", "greeting", "--env", "staging")
