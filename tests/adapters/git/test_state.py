"""What a folder is to Git."""

from pathlib import Path

import pygit2
import pytest

from tidegate.adapters.git.create import NewCommit, init_repository
from tidegate.adapters.git.state import is_repository, is_tracked, look_at


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "a.yaml").write_text("a")
    (tmp_path / "other").write_text("o")
    init_repository(tmp_path, (NewCommit("all"),))
    return tmp_path


def test_a_plain_folder_is_none(tmp_path: Path) -> None:
    assert not is_repository(tmp_path)
    assert look_at(tmp_path, "main").kind == "missing"
    assert look_at(tmp_path / "nowhere", "main").kind == "missing"


def test_one_that_git_cannot_open_is_broken(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: nowhere")
    state = look_at(tmp_path, "main")
    assert state.kind == "broken"
    assert state.reason
    assert not is_tracked(tmp_path, tmp_path / "key")


def test_without_a_commit_on_the_branch_it_is_empty(tmp_path: Path, folder: Path) -> None:
    pygit2.init_repository(str(tmp_path / "new"))
    assert look_at(tmp_path / "new", "main").kind == "empty"
    assert look_at(folder, "release").kind == "empty"


def test_a_bare_repository_is_never_dirty(tmp_path: Path, folder: Path) -> None:
    pygit2.clone_repository(str(folder), str(tmp_path / "bare"), bare=True)
    state = look_at(tmp_path / "bare", "main")
    assert (state.kind, state.dirty, state.remotes) == ("ready", (), ("origin",))


def test_changes_are_told_where_they_were_asked_for(folder: Path) -> None:
    assert look_at(folder, "main").dirty == ()
    (folder / "prompts" / "a.yaml").write_text("changed")
    (folder / "prompts" / "new.yaml").write_text("new")
    (folder / "other").write_text("changed")
    assert look_at(folder, "main", under=("prompts/",)).dirty == ("prompts/a.yaml", "prompts/new.yaml")
    assert "other" in look_at(folder, "main").dirty


def test_a_file_is_tracked_once_it_is_in_the_index(folder: Path) -> None:
    (folder / "key").write_text("k")
    assert not is_tracked(folder, folder / "key")
    repository = pygit2.Repository(str(folder))
    repository.index.add("key")
    repository.index.write()
    assert is_tracked(folder, folder / "key")


def test_a_file_is_tracked_by_a_repository_above(folder: Path) -> None:
    assert is_tracked(folder / "prompts", folder / "prompts" / "a.yaml")


def test_a_file_outside_of_any_repository_is_not(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    assert not is_tracked(plain, plain / "key")
