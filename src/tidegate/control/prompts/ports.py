"""What the prompts need of a Git repository. Paths are relative to the prompts' root, with `/` between the parts."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

__all__ = ["PROMPTS_ROOT", "Commit", "PromptRepository", "Tag", "TreeFile"]

PROMPTS_ROOT = "prompts"


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit. `at_ms` is the committer's time, Unix ms."""

    sha: str
    author: str
    at_ms: int
    message: str


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """One tag and the commit it stands on; `message` is empty for a tag that is not annotated."""

    name: str
    sha: str
    message: str = ""


class TreeFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file under prompts/. `data` is None for what is not read: a symbolic link, or a file over the limit."""

    path: str
    data: bytes | None
    size: int
    link: bool = False


class PromptRepository(Protocol):
    """One Git repository, read at commits. Every verb may block on the disk or the network: call it in a thread.

    All raise Unavailable when the repository is away or broken, NotFound for a branch or commit that is not there.
    """

    def head(self) -> Commit | None:
        """The newest commit of the branch; None while the repository has no commit."""
        ...

    def files(self, sha: str) -> list[TreeFile]:
        """Every file of prompts/ at a commit, sorted by path."""
        ...

    def exists(self, sha: str, path: str) -> bool:
        """Whether there is a file at the path in a commit."""
        ...

    def log(self, path: str, limit: int) -> list[Commit]:
        """The commits of the branch that changed the path (a file or folder), newest first."""
        ...

    def introduced(self, path: str) -> Commit:
        """The commit of the branch that added the file, the last time it was added; raises NotFound."""
        ...

    def dirty(self) -> tuple[str, ...]:
        """Files under prompts/ that differ from the newest commit; always empty without a working tree."""
        ...

    def tags(self, prefix: str) -> list[Tag]:
        """The tags whose name begins with `prefix`, sorted by name."""
        ...

    def tag(self, name: str, sha: str, message: str, actor_name: str) -> None:
        """Write an annotated tag. The same tag again is nothing; one on another commit raises Conflict."""
        ...

    def revert(self, sha: str, paths: Sequence[str], message: str, actor_name: str) -> Commit:
        """Undo, on the branch, what a commit did under `paths`, in a new commit.

        A working tree that has the branch checked out follows. Raises Conflict when it has changes of its own there,
        or when later commits changed the same lines.
        """
        ...

    def fetch(self) -> None:
        """Bring the remote's commits and tags; nothing without a remote."""
        ...

    def push(self, refs: Sequence[str]) -> None:
        """Send refs (`refs/tags/...`, `refs/heads/...`) to the remote; nothing without one. Raises Unavailable."""
        ...
