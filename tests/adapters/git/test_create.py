"""A new repository with its first commits."""

from pathlib import Path

import pygit2
import pytest

from tidegate.adapters.git.create import NewCommit, init_repository
from tidegate.kernel.errors import Conflict


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_each_commit_adds_its_files_and_stands_on_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, "a", "in/b", "private")
    first, second = init_repository(tmp_path, (NewCommit("one", ("a",)), NewCommit("two", ("in/b",))))
    repository = pygit2.Repository(str(tmp_path))
    head = repository.head.peel(pygit2.Commit)
    assert (str(head.id), head.message) == (second, "two")
    assert [str(parent.id) for parent in head.parents] == [first]
    assert "a" in head.parents[0].tree
    assert "in" not in head.parents[0].tree
    assert "private" not in head.tree
    assert repository.head.shorthand == "main"


def test_a_commit_without_files_takes_all_that_is_not_ignored(tmp_path: Path) -> None:
    write(tmp_path, "a", "in/b", "private/key")
    (tmp_path / ".gitignore").write_text("private/\n")
    init_repository(tmp_path, (NewCommit("all"),))
    repository = pygit2.Repository(str(tmp_path))
    assert {entry.path for entry in repository.index} == {".gitignore", "a", "in/b"}
    assert repository.status() == {}


def test_the_author_is_always_somebody(tmp_path: Path) -> None:
    write(tmp_path, "a")
    init_repository(tmp_path, (NewCommit("one", ("a",)),))
    author = pygit2.Repository(str(tmp_path)).head.peel(pygit2.Commit).author
    assert author.name
    assert author.email


def test_another_branch_may_be_named(tmp_path: Path) -> None:
    write(tmp_path, "a")
    init_repository(tmp_path, (NewCommit("one", ("a",)),), branch="trunk")
    assert pygit2.Repository(str(tmp_path)).head.shorthand == "trunk"


def test_a_repository_is_not_made_twice(tmp_path: Path) -> None:
    write(tmp_path, "a")
    init_repository(tmp_path, (NewCommit("one", ("a",)),))
    with pytest.raises(Conflict, match="already"):
        init_repository(tmp_path, ())
