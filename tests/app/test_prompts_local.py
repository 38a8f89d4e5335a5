"""The verbs of prompts without a server, on folders as users have them."""

import os
from pathlib import Path

import pytest

from tests.support.promptfiles import fragment_text, prompt_text
from tests.support.repositories import Workbench
from tidegate.adapters.git.repository import GitRepository
from tidegate.app.prompts_local import LocalPrompts, open_prompts
from tidegate.kernel.errors import Conflict, Invalid, InvalidDocument, InvalidVariables, NotFound

ONE = "prompts/greeting/v1.0.0.yaml"
TWO = "prompts/greeting/v1.1.0.yaml"
CONFIG = "models: {small: {}}\nroutes: {chat: {}}\nprompts: {repository: .}\n"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "ws")


def here(bench: Workbench) -> LocalPrompts:
    return open_prompts(None, bench.folder)


def codes(prompts: LocalPrompts, *paths: Path) -> list[str]:
    return [fault.code for fault in prompts.lint(paths).faults]


# ------------------------------------------------------------------------------------------------- where


def test_the_workspace_is_found_from_below(bench: Workbench) -> None:
    bench.write({"tidegate.yaml": CONFIG, ONE: prompt_text()})
    assert open_prompts(None, bench.folder / "prompts" / "greeting").root == bench.folder
    assert open_prompts(bench.folder, Path("/")).root == bench.folder


def test_without_a_workspace_the_nearest_prompts_folder_counts(tmp_path: Path) -> None:
    (tmp_path / "a" / "prompts" / "x").mkdir(parents=True)
    assert open_prompts(None, tmp_path / "a" / "prompts" / "x").root == tmp_path / "a"
    (tmp_path / "b").mkdir()
    assert open_prompts(None, tmp_path / "b").root == tmp_path / "b"


def test_the_configuration_says_where_the_prompts_are(tmp_path: Path) -> None:
    for where, root in (("../elsewhere", tmp_path / "elsewhere"), (str(tmp_path / "x"), tmp_path / "x")):
        (tmp_path / "ws").mkdir(exist_ok=True)
        (tmp_path / "ws" / "tidegate.yaml").write_text(f"prompts: {{repository: {where}}}\n")
        assert open_prompts(None, tmp_path / "ws").root == root
    (tmp_path / "ws" / "tidegate.yaml").write_text("prompts: {repository: 'https://example.org/p.git'}\n")
    with pytest.raises(NotFound) as raised:
        open_prompts(None, tmp_path / "ws")
    assert "Clone https://example.org/p.git" in raised.value.mend


def test_a_broken_configuration_does_not_keep_prompts_from_being_checked(bench: Workbench) -> None:
    bench.write({"tidegate.yaml": "models: [", ONE: prompt_text()})
    assert codes(here(bench)) == []


# ------------------------------------------------------------------------------------------------- lint


def test_lint_checks_files_as_they_are_on_disk(bench: Workbench) -> None:
    bench.commit("first", {"tidegate.yaml": CONFIG, ONE: prompt_text()})
    assert codes(here(bench)) == []
    bench.write({ONE: prompt_text(says="{{ name }} {{ nmae }}"), TWO: prompt_text(version="1.1.0")})
    report = here(bench).lint()
    assert (report.files, report.errors, report.warnings) == (2, 1, 0)
    assert report.faults[0].file == ONE


def test_lint_of_paths_checks_those_only(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write(
        {ONE: "name: [", TWO: prompt_text(version="1.1.0"), "prompts/other/v1.0.0.yaml": "name: [", "prompts/a.md": ""}
    )
    prompts = here(bench)
    monkeypatch.chdir(bench.folder)
    assert prompts.lint().files == 3
    assert len(codes(prompts)) == 2
    assert codes(prompts, Path("prompts/greeting")) == ["yaml_syntax"]
    assert codes(prompts, bench.folder / TWO) == []
    assert prompts.lint([Path(ONE), Path("prompts/other")]).errors == 2
    assert codes(prompts, Path(".")) == ["yaml_syntax", "yaml_syntax"]
    monkeypatch.chdir(bench.folder / "prompts" / "greeting")
    assert codes(prompts, Path("v1.0.0.yaml")) == ["yaml_syntax"]
    assert len(codes(prompts, Path(".."))) == len(codes(prompts, Path("../../.."))) == 2
    for nowhere in ("nope.yaml", "../../README.md", "/etc"):
        with pytest.raises(NotFound):
            prompts.lint([Path("v1.0.0.yaml"), Path(nowhere)])


def test_lint_knows_the_models_and_datasets_around_it(bench: Workbench) -> None:
    text = prompt_text(more="tests: {golden: {dataset: datasets/d.jsonl}}\n")
    bench.write({"tidegate.yaml": CONFIG, ONE: text.replace("model_id: chat", "model_id: huge")})
    assert codes(here(bench)) == ["model_unknown", "dataset_missing"]
    bench.write({ONE: text.replace("model_id: chat", "model_id: small"), "datasets/d.jsonl": "{}"})
    assert codes(here(bench)) == []
    bench.write({"tidegate.yaml": None, ONE: text.replace("model_id: chat", "model_id: huge")})
    assert codes(here(bench)) == []  # without a workspace nobody knows


def test_lint_finds_a_released_version_that_was_edited(bench: Workbench) -> None:
    sha = bench.commit("first", {ONE: prompt_text()})
    GitRepository(str(bench.folder)).tag("release/dev/greeting/1", sha, "deploy\n\nversion: 1.0.0\n", "ada")
    bench.write({ONE: "# only a comment\n" + prompt_text()})
    assert codes(here(bench)) == []
    bench.write({ONE: prompt_text(says="Hi {{ name }}.")})
    assert codes(here(bench)) == ["published_version_edited"]
    bench.commit("committed all the same")
    assert codes(here(bench)) == ["published_version_edited"]


def test_lint_does_not_follow_links(bench: Workbench, tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text("password: hunter2")
    bench.write({ONE: prompt_text()})
    os.symlink(secret, bench.folder / TWO)
    os.symlink(tmp_path, bench.folder / "prompts" / "linked")
    report = here(bench).lint()
    assert [(fault.file, fault.code) for fault in report.faults] == [
        (TWO, "file_link"),
        ("prompts/linked", "file_link"),
    ]
    assert "hunter2" not in str(report)
    whole = Workbench(tmp_path / "whole")
    os.symlink(bench.folder / "prompts", whole.folder / "prompts")
    assert codes(here(whole)) == ["file_link"]


def test_lint_of_odd_files(bench: Workbench) -> None:
    bench.write(
        {
            ONE: prompt_text().replace("\n", "\r\n"),
            TWO: "\ufeff" + prompt_text(version="1.1.0"),
            "prompts/huge/v1.0.0.yaml": "#" * (1024 * 1024 + 1),
            "prompts/latin/v1.0.0.yaml": b"name: caf\xe9",
            "prompts/empty/v1.0.0.yaml": "",
            "prompts/.hidden/v1.0.0.yaml": "name: [",
        }
    )
    os.mkfifo(bench.folder / "prompts" / "greeting" / "v9.0.0.yaml")
    assert sorted(codes(here(bench))) == ["not_utf8", "wrong_type", "yaml_too_large"]
    (bench.folder / "prompts").joinpath(os.fsdecode(b"caf\xe9")).mkdir()
    (bench.folder / "prompts").joinpath(os.fsdecode(b"caf\xe9"), "v1.0.0.yaml").write_text("x")
    assert "file_name" in codes(here(bench))


def test_a_folder_without_prompts_has_nothing_to_check(tmp_path: Path) -> None:
    report = open_prompts(None, tmp_path).lint()
    assert (report.files, report.faults) == (0, ())


# ------------------------------------------------------------------------------------------------- new


@pytest.mark.parametrize("kind", ["chat", "text", "fragment"])
def test_what_new_writes_passes_lint(bench: Workbench, kind: str) -> None:
    bench.write({"tidegate.yaml": CONFIG})
    path = here(bench).new("greeting", kind=kind)  # type: ignore[arg-type]
    assert path == bench.folder / ONE
    assert codes(here(bench)) == []
    assert "#" in path.read_text()
    if kind != "fragment":
        assert here(bench).show("greeting").prompt.model == "chat"


def test_the_next_version_is_copied_from_the_newest_or_from_the_one_that_is_named(bench: Workbench) -> None:
    text = prompt_text().replace("version: 1.0.0\n", "version: '1.0.0'  # see 1.0.0 below\n")
    bench.write({ONE: text, "prompts/greeting/v1.9.0.yaml": prompt_text(version="1.9.0", says="Nine {{ name }}")})
    bench.write({"prompts/greeting/v1.10.0.yaml": prompt_text(version="1.10.0", says="Ten {{ name }}")})
    prompts = here(bench)
    assert prompts.new("greeting", bump="minor").name == "v1.11.0.yaml"
    assert "Ten" in (bench.folder / "prompts/greeting/v1.11.0.yaml").read_text()
    assert prompts.new("greeting", source="1.0.0", bump="patch").name == "v1.0.1.yaml"
    assert (bench.folder / "prompts/greeting/v1.0.1.yaml").read_text() == text.replace("'1.0.0'", "'1.0.1'")
    assert prompts.new("greeting", source="1.9.0", bump="major").name == "v2.0.0.yaml"
    assert codes(here(bench)) == []


def test_new_never_overwrites_and_asks_what_is_meant(bench: Workbench) -> None:
    prompts = here(bench)
    with pytest.raises(NotFound, match="greeting"):
        prompts.new("greeting", bump="patch")
    prompts.new("greeting")
    with pytest.raises(Conflict) as raised:
        prompts.new("greeting")
    assert "--bump" in raised.value.mend
    bench.write({"prompts/greeting/v1.0.1.yaml": "mine"})
    with pytest.raises(Conflict):
        prompts.new("greeting", source="1.0.0", bump="patch")
    assert (bench.folder / "prompts/greeting/v1.0.1.yaml").read_text() == "mine"
    with pytest.raises(NotFound):
        prompts.new("greeting", source="7.0.0", bump="patch")
    for name in ("../up", "Greeting", "", "a/b"):
        with pytest.raises(Invalid):
            prompts.new(name)
    bench.write({"prompts/broken/v1.0.0.yaml": "a: ["})
    with pytest.raises(InvalidDocument):
        prompts.new("broken", bump="patch")


# ------------------------------------------------------------------------------------------------- the other verbs


def test_versions_on_disk_tell_their_state(bench: Workbench) -> None:
    bench.commit("first", {ONE: prompt_text(), TWO: prompt_text(version="1.1.0")})
    bench.write(
        {
            TWO: "# changed\n" + prompt_text(version="1.1.0"),
            "prompts/greeting/v1.10.0.yaml": "name: [",
            "prompts/rules/v1.0.0.yaml": fragment_text("rules"),
        }
    )
    assert [(one.name, one.version, one.kind, one.model, one.state) for one in here(bench).versions()] == [
        ("greeting", "1.10.0", None, None, "broken"),
        ("greeting", "1.1.0", "prompt", "chat", "changed"),
        ("greeting", "1.0.0", "prompt", "chat", "ok"),
        ("rules", "1.0.0", "fragment", None, "changed"),
    ]


def test_show_and_render_take_the_newest_good_version_by_number(bench: Workbench) -> None:
    bench.write(
        {
            "prompts/greeting/v1.9.0.yaml": prompt_text(version="1.9.0"),
            "prompts/greeting/v1.10.0.yaml": prompt_text(version="1.10.0", says="Ten {{ name }}"),
            "prompts/greeting/v2.0.0.yaml": prompt_text(version="2.0.0", says="{{ nobody }}"),
            "prompts/rules/v1.0.0.yaml": fragment_text("rules"),
            "prompts/bad/v1.0.0.yaml": "name: [",
        }
    )
    prompts = here(bench)
    shown = prompts.show("greeting")
    assert (shown.prompt.version, shown.path) == ("1.10.0", "prompts/greeting/v1.10.0.yaml")
    assert shown.text.startswith("apiVersion")
    rendered = prompts.render("greeting", None, {"name": "Ada"})
    assert rendered.messages is not None
    assert rendered.messages[1]["content"] == "Ten Ada\n"
    assert prompts.render("greeting", "1.9.0", {"name": "Ada"}) != rendered
    with pytest.raises(InvalidVariables):
        prompts.render("greeting", None, {})
    with pytest.raises(InvalidDocument) as raised:
        prompts.show("greeting", "2.0.0")
    assert raised.value.code == "param_undeclared"
    with pytest.raises(InvalidDocument) as raised:
        prompts.show("bad")
    assert raised.value.code == "yaml_syntax"
    with pytest.raises(InvalidDocument, match="fragment"):
        prompts.show("rules")
    with pytest.raises(NotFound) as missing:
        prompts.show("greeting", "3.0.0")
    assert "greeting@2.0.0" in missing.value.mend
    with pytest.raises(NotFound) as unknown:
        prompts.show("greting")
    assert unknown.value.nearest == ("greeting",)
    assert len(prompts.diff("greeting", "1.9.0", "1.10.0").texts) == 1


def test_history_names_the_releases_made_at_each_commit(bench: Workbench) -> None:
    first = bench.commit("first", {ONE: prompt_text()})
    bench.commit("other", {"README.md": "x"})
    second = bench.commit("second", {TWO: prompt_text(version="1.1.0")})
    repository = GitRepository(str(bench.folder))
    for name in ("release/dev/greeting/1", "release/production/greeting/1", "release/dev/other/1"):
        repository.tag(name, first, "x", "ada")
    past = here(bench).history("greeting")
    assert [(one.commit.sha, one.tags) for one in past] == [
        (second, ()),
        (first, ("release/dev/greeting/1", "release/production/greeting/1")),
    ]
    with pytest.raises(NotFound):
        here(bench).history("nobody")


def test_outside_of_git_only_history_is_missing(tmp_path: Path) -> None:
    (tmp_path / "prompts" / "greeting").mkdir(parents=True)
    (tmp_path / ONE).write_text(prompt_text())
    prompts = open_prompts(None, tmp_path)
    assert codes(prompts) == []
    assert [one.state for one in prompts.versions()] == ["ok"]
    with pytest.raises(NotFound, match="Git repository"):
        prompts.history("greeting")
