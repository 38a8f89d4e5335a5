"""Faults of the prompts' repository, each produced and found."""

import shutil

import pygit2

from tests.app.doctor.ward import Ward

PROMPT = "prompts/support-answer/v1.0.0.yaml"


def commit(ward: Ward, path: str, text: str) -> None:
    (ward.folder / path).parent.mkdir(parents=True, exist_ok=True)
    (ward.folder / path).write_text(text)
    repository = pygit2.Repository(str(ward.folder))
    repository.index.add(path)
    repository.index.write()
    author = pygit2.Signature("T", "t@localhost")
    parents = [repository.head.target]
    repository.create_commit("HEAD", author, author, "change", repository.index.write_tree(), parents)


def test_repository_missing(ward: Ward) -> None:
    shutil.rmtree(ward.folder / ".git")
    assert "the workspace" in ward.found("repository_missing").what


def test_repository_missing_elsewhere(ward: Ward) -> None:
    ward.rewrite("repository: .", "repository: nowhere")
    assert "nowhere" in ward.found("repository_missing").what


def test_a_repository_at_a_url_is_not_visited(ward: Ward) -> None:
    for url in ("https://git.example/prompts", "git@git.example:prompts"):
        ward.rewrite("repository: .", f"repository: {url}")
        assert ward.codes() == {"config_not_applied"}
        ward.rewrite(f"repository: {url}", "repository: .")


def test_repository_broken(ward: Ward) -> None:
    (ward.folder / ".git" / "config").write_text("[core\nnonsense")
    finding = ward.found("repository_broken")
    assert "config" in finding.what
    assert "safe.directory" in finding.mend


def test_repository_empty(ward: Ward) -> None:
    ward.rewrite("branch: main", "branch: release")
    assert "release" in ward.found("repository_empty").what


def test_repository_dirty(ward: Ward) -> None:
    (ward.folder / PROMPT).write_text("changed")
    (ward.folder / "prompts" / "new.yaml").write_text("new")
    (ward.folder / "README.md").write_text("not a prompt")
    finding = ward.found("repository_dirty")
    assert "2 files" in finding.what
    assert PROMPT in finding.what


def test_remote_missing(ward: Ward) -> None:
    ward.rewrite("remote: null", "remote: origin")
    assert "git remote add origin" in ward.found("remote_missing").mend


def test_prompt_broken_names_the_line(ward: Ward) -> None:
    text = (ward.folder / PROMPT).read_text()
    commit(
        ward, "prompts/other/v1.0.0.yaml", text.replace("support-answer", "other").replace("temperature", "temprature")
    )
    finding = ward.found("prompt_broken")
    assert finding.what.startswith("prompts/other/v1.0.0.yaml:")


def test_a_bare_workspace_needs_no_repository(ward: Ward) -> None:
    shutil.rmtree(ward.folder / ".git")
    text = ward.config.read_text()
    begin, end = text.index("# Where prompts come from"), text.index("# Who is told")
    ward.config.write_text(text[:begin] + text[end:])
    assert ward.codes() <= {"config_not_applied"}
