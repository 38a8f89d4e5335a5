"""`tidegate prompt` as users and editors see it."""

import io
import json
from pathlib import Path

import pytest

from tests.support.promptfiles import fragment_text, prompt_text
from tests.support.repositories import Workbench
from tidegate.adapters.git.repository import GitRepository
from tidegate.control.releases.model import Release
from tidegate.doors.cli import prompt as commands
from tidegate.doors.cli.main import run
from tidegate.live.assignment import BUCKETS
from tidegate.live.snapshot import Arm

ONE = "prompts/greeting/v1.0.0.yaml"
TWO = "prompts/greeting/v1.1.0.yaml"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    bench = Workbench(tmp_path / "ws")
    bench.commit("first", {"tidegate.yaml": "routes: {chat: {}}\n", ONE: prompt_text()}, author="Ada")
    bench.commit("second", {TWO: prompt_text(version="1.1.0", says="Hi {{ name }}!")}, author="Grace")
    monkeypatch.chdir(bench.folder)
    monkeypatch.delenv("TIDEGATE_WORKSPACE", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    return bench


@pytest.fixture
def tidegate(bench: Workbench, capsys: pytest.CaptureFixture[str]):
    """Run a command line; gives the exit code, standard output and standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["prompt", *arguments])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


def test_lint_prints_lines_that_editors_can_jump_to_and_exits_with_1(tidegate, bench: Workbench) -> None:
    assert tidegate("lint") == (0, "2 files checked: all good.\n", "")
    bench.write({TWO: prompt_text(version="1.1.0", says="{{ nmae }} " + "long words " * 30)})
    code, out, err = tidegate("lint")
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == f"{TWO}:10:7: error param_undeclared: The variable `nmae` is used, and not declared."
    assert lines[1] == "    mend: Did you mean `name`?"
    assert lines[2].startswith(f"{TWO}:15:5: error param_unused: ")
    assert lines[-1] == "2 files checked: 2 errors, 0 warnings."
    assert tidegate("lint", ONE)[0] == 0


def test_lint_paths_are_those_from_the_current_folder(
    tidegate, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write({ONE: "name: ["})
    monkeypatch.chdir(bench.folder / "prompts" / "greeting")
    assert tidegate("lint")[1].startswith("v1.0.0.yaml:2:1: error yaml_syntax: ")
    monkeypatch.chdir("/")
    code, out, _ = tidegate("lint", "--workspace", str(bench.folder))
    assert (code, out.splitlines()[0].split(":")[0]) == (1, str(bench.folder / ONE).lstrip("/"))


def test_lint_warnings_alone_exit_with_0(tidegate, bench: Workbench) -> None:
    bench.write({ONE: prompt_text().replace("model_id: chat", "model_id: caht")})
    code, out, _ = tidegate("lint")
    assert code == 0
    assert "warning model_unknown" in out
    assert "0 errors, 1 warning." in out


def test_lint_as_json(tidegate, bench: Workbench) -> None:
    bench.write({ONE: "name: ["})
    code, out, _ = tidegate("lint", "--json")
    report = json.loads(out)
    assert code == 1
    assert (report["errors"], report["files"], report["root"]) == (1, 2, str(bench.folder))
    assert report["faults"][0] == {
        "file": ONE,
        "line": 2,
        "column": 1,
        "severity": "error",
        "code": "yaml_syntax",
        "message": report["faults"][0]["message"],
        "mend": report["faults"][0]["mend"],
    }


def test_escape_sequences_in_a_file_do_not_reach_the_terminal(tidegate, bench: Workbench) -> None:
    evil = "\\e[31mred\\e[0m\\a"
    text = prompt_text().replace("content: Be kind.", f'content: "{evil}"').replace("chat,", f'"m{evil}",')
    bench.write({ONE: text})
    for arguments in (("lint",), ("list",), ("show", "greeting@1.0.0"), ("diff", "greeting", "1.0.0", "1.1.0")):
        _, out, err = tidegate(*arguments)
        assert "\x1b" not in out + err
        assert "\a" not in out + err
    code, out, _ = tidegate("render", "greeting@1.0.0", "-v", "name=\x1b[2J\x07Ada")
    assert code == 0
    assert "\x1b" not in out
    assert "Ada" in out


def test_list_shows_every_version_and_its_state(tidegate, bench: Workbench) -> None:
    bench.write({TWO: "name: [", "prompts/rules/v1.0.0.yaml": fragment_text("rules")})
    code, out, _ = tidegate("list")
    assert code == 0
    rows = [line.split() for line in out.splitlines()[2:]]
    assert rows[0][:4] == ["greeting", "1.1.0", "-", "broken"]
    assert rows[1][:4] == ["greeting", "1.0.0", "chat", "ok"]
    assert rows[2][:4] == ["rules", "1.0.0", "fragment", "changed"]
    assert [one["version"] for one in json.loads(tidegate("list", "--json")[1])] == ["1.1.0", "1.0.0", "1.0.0"]


def release(version: str | None) -> Release:
    """The newest release of a prompt; without a version it is withdrawn."""
    return Release(
        release_id="release_1",
        number=1,
        prompt="greeting" if version else "withdrawn",
        environment="production",
        kind="deploy",
        arms=(Arm(version, BUCKETS),) if version else (),
        salt="s",
        commit_sha="c",
        tag="t",
        actor="ada",
        at_ms=0,
    )


def test_list_of_an_environment_asks_the_server(tidegate, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []

    class Server:
        def get(self, path: str, kind: object, environment: str | None = None) -> object:
            asked.append((path, environment))
            return [release("1.1.0"), release(None)]

    monkeypatch.setattr(commands, "connect", lambda workspace, server: Server())
    code, out, _ = tidegate("list", "--env", "production")
    assert code == 0
    assert asked == [("/releases", "production")]
    assert out.splitlines()[2].split()[:2] == ["greeting", "1.1.0"]
    assert "withdrawn" not in out
    assert [one["prompt"] for one in json.loads(tidegate("list", "-e", "production", "--json")[1])] == ["greeting"]


def test_show_prints_the_version_with_its_fragments(tidegate, bench: Workbench) -> None:
    more = "includes: [{name: rules, version: 1.0.0}]\n"
    bench.write(
        {
            "prompts/rules/v1.0.0.yaml": fragment_text("rules"),
            "prompts/greeting/v2.0.0.yaml": prompt_text(
                version="2.0.0", says='{{ name }} {% include "rules" %}', more=more
            ),
        }
    )
    code, out, _ = tidegate("show", "greeting")
    assert code == 0
    assert out.splitlines()[0] == "greeting 2.0.0  (prompts/greeting/v2.0.0.yaml)"
    assert "{{ name }} Never guess." in out
    assert "variables     name" in out
    shown = json.loads(tidegate("show", "greeting@1.0.0", "--json")[1])
    assert (shown["version"], shown["sampling"]) == ("1.0.0", {"temperature": 0.2})


def test_diff_shows_texts_and_settings(tidegate, bench: Workbench) -> None:
    bench.write(
        {TWO: prompt_text(version="1.1.0", says="Hi {{ name }}!").replace("temperature: 0.2", "temperature: 0.7")}
    )
    code, out, _ = tidegate("diff", "greeting", "1.0.0", "1.1.0")
    assert code == 0
    assert "-Hello {{ name }}.\n+Hi {{ name }}!" in out
    assert "sampling.temperature: 0.2 -> 0.7" in out
    assert json.loads(tidegate("diff", "greeting", "1.0.0", "1.1.0", "--json")[1])["changes"][0]["before"] == 0.2
    assert "They say the same." in tidegate("diff", "greeting", "1.0.0", "1.0.0")[1]


def test_render_fills_a_version(tidegate, bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = tidegate("render", "greeting", "--var", "name=Ada = 1")
    assert (code, out) == (0, "\n[system]\nBe kind.\n\n[user]\nHi Ada = 1!\n")
    (tmp_path / "vars.json").write_text('{"name": "Grace"}')
    rendered = json.loads(tidegate("render", "greeting@1.0.0", "--vars", str(tmp_path / "vars.json"), "--json")[1])
    assert rendered["messages"][1]["content"] == "Hello Grace.\n"
    monkeypatch.setattr("sys.stdin", io.StringIO('{"name": "Edsger"}'))
    assert "Hi Edsger!" in tidegate("render", "greeting", "--vars", "-")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "`name` is missing"),
        (("-v", "nmae=x"), "`nmae` is unknown (did you mean `name`?)"),
        (("-v", "name:=5"), "`name` must be text, not a number"),
        (("-v", "name:=null"), "`name` must be text, not null"),
        (("-v", "name:=x"), "is not JSON"),
        (("-v", "name"), "has no `=`"),
        (("--vars", "nowhere.json"), "cannot be read"),
        (("--vars", "tidegate.yaml"), "cannot be read"),
    ],
)
def test_what_render_refuses(tidegate, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = tidegate("render", "greeting", *arguments)
    assert (code, out) == (1, "")
    assert said in err.splitlines()[0]
    assert err.splitlines()[1].startswith("mend: ")


def test_history_names_commits_and_releases(tidegate, bench: Workbench) -> None:
    tip = bench.tip()
    GitRepository(str(bench.folder)).tag("release/production/greeting/1", tip, "x", "ada")
    code, out, _ = tidegate("history", "greeting")
    assert code == 0
    newest, oldest = out.splitlines()[2:]
    assert newest.startswith(tip[:10])
    assert "Grace" in newest
    assert "production/greeting/1" in newest
    assert "Ada" in oldest
    assert json.loads(tidegate("history", "greeting", "--json")[1])[0]["tags"] == ["release/production/greeting/1"]


def test_new_writes_a_version_that_passes_lint(tidegate, bench: Workbench) -> None:
    code, out, _ = tidegate("new", "farewell")
    assert (code, out.splitlines()[0]) == (0, "Wrote prompts/farewell/v1.0.0.yaml.")
    assert tidegate("new", "farewell", "--bump", "minor")[1].startswith("Wrote prompts/farewell/v1.1.0.yaml.")
    path = json.loads(tidegate("new", "farewell", "--from", "1.0.0", "--bump", "patch", "--json")[1])["path"]
    assert path == str(bench.folder / "prompts/farewell/v1.0.1.yaml")
    assert tidegate("lint")[0] == 0
    code, _, err = tidegate("new", "greeting")
    assert code == 1
    assert "--bump" in err
    assert tidegate("new", "greeting", "--bump", "huge")[0] == 2


def test_schema_is_json(tidegate) -> None:
    assert json.loads(tidegate("schema")[1])["$defs"]["PromptFile"]["required"] == ["name", "version"]


def test_unknown_names_are_answered_with_the_nearest(tidegate) -> None:
    code, _, err = tidegate("show", "greting")
    assert code == 1
    assert err.splitlines()[0] == "error: There is no prompt named 'greting'."
    assert "Did you mean greeting?" in err
