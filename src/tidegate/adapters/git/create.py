"""A new Git repository with its first commits."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pygit2

from tidegate.adapters.git.state import is_repository
from tidegate.kernel.errors import Conflict

__all__ = ["NewCommit", "init_repository"]

NOBODY = ("Tidegate", "tidegate@localhost")


class NewCommit(NamedTuple):
    """A commit to be made: its message, and the files it adds, relative to the folder; none means all."""

    message: str
    paths: tuple[str, ...] = ()


def init_repository(folder: Path, commits: Sequence[NewCommit], *, branch: str = "main") -> tuple[str, ...]:
    """Make the folder a repository on `branch`, return the ids of its commits; raises Conflict if it is one.

    The author is the one in the user's Git configuration, else `Tidegate`.
    """
    if is_repository(folder):
        raise Conflict(f"{folder} is a Git repository already.", mend="Commit there as usual.")
    repository = pygit2.init_repository(str(folder), initial_head=branch)
    author = _author(repository)
    shas: list[str] = []
    for commit in commits:
        for path in commit.paths:
            repository.index.add(path)
        if not commit.paths:
            repository.index.add_all()
        repository.index.write()
        tree = repository.index.write_tree()
        parents = [shas[-1]] if shas else []
        made = repository.create_commit("HEAD", author, author, commit.message, tree, parents)
        shas.append(str(made))
    return tuple(shas)


def _author(repository: pygit2.Repository) -> pygit2.Signature:
    try:
        return repository.default_signature
    except KeyError:
        return pygit2.Signature(*NOBODY)
