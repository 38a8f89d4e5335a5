"""What a folder is to Git, asked without changing anything."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import pygit2

__all__ = ["RepositoryState", "is_repository", "is_tracked", "look_at", "work_tree_of"]


class RepositoryState(NamedTuple):
    """`dirty` names changed and new files under the paths that were asked for; `remotes` are names; `reason` says why
    a repository is `broken`: damaged, or somebody else's, which Git refuses to open.
    """

    kind: Literal["missing", "broken", "empty", "ready"]
    dirty: tuple[str, ...] = ()
    remotes: tuple[str, ...] = ()
    reason: str = ""


def is_repository(folder: Path) -> bool:
    """Whether the folder itself is a repository's work tree, or a bare repository."""
    bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    return bare or (folder / ".git").exists()


def look_at(folder: Path, branch: str, *, under: Sequence[str] = ()) -> RepositoryState:
    """How the repository stands: `empty` when the branch has no commit."""
    if not is_repository(folder):
        return RepositoryState("missing")
    try:
        repository = pygit2.Repository(str(folder))
        remotes = tuple(str(remote.name) for remote in repository.remotes)
        if repository.lookup_branch(branch) is None:
            return RepositoryState("empty", remotes=remotes)
        dirty = () if repository.is_bare else tuple(sorted(repository.status(untracked_files="all")))
    except pygit2.GitError as error:
        return RepositoryState("broken", reason=str(error))
    wanted = tuple(path for path in dirty if not under or path.startswith(tuple(under)))
    return RepositoryState("ready", wanted, remotes)


def work_tree_of(folder: Path) -> Path | None:
    """The top of the work tree that a folder is in; None in no repository, a bare or a broken one."""
    try:
        found = pygit2.discover_repository(str(folder))
        return Path(pygit2.Repository(found).workdir or "/").resolve() if found is not None else None
    except pygit2.GitError:
        return None


def is_tracked(folder: Path, file: Path) -> bool:
    """Whether Git has the file in the index or in the newest commit of the repository around the folder; False when
    there is none that can be opened.
    """
    try:
        found = pygit2.discover_repository(str(folder))
        repository = pygit2.Repository(found) if found is not None else None
    except pygit2.GitError:
        return False
    if found is None or repository is None:
        return False
    root = Path(repository.workdir or found).resolve()
    if root not in file.resolve().parents:
        return False
    path = file.resolve().relative_to(root).as_posix()
    if path in repository.index:
        return True
    return not repository.head_is_unborn and path in repository.head.peel(pygit2.Tree)
