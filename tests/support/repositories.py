"""Git repositories for tests, made with pygit2 and nothing of the machine's own Git configuration."""

from collections.abc import Mapping
from pathlib import Path

import pygit2

__all__ = ["Workbench"]

FIRST_AT_S = 1_790_000_000


class Workbench:
    """A repository under one's hands: a working tree or a bare one, with commits a minute apart."""

    def __init__(self, folder: Path, *, bare: bool = False, branch: str = "main") -> None:
        self.folder = folder
        self.branch = branch
        self.git = pygit2.init_repository(str(folder), bare=bare, initial_head=branch)
        self._commits = 0

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Put files into the working tree; None takes one away."""
        for path, content in files.items():
            file = self.folder / path
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(
        self, message: str, files: Mapping[str, str | bytes | None] | None = None, *, author: str = "Ada"
    ) -> str:
        """Write files, commit everything, return the id."""
        self.write(files or {})
        self.git.index.add_all()
        self.git.index.write()
        return self._commit(message, self.git.index.write_tree(), author)

    def commit_bare(
        self, message: str, files: Mapping[str, str | bytes], *, links: Mapping[str, str] | None = None
    ) -> str:
        """Commit exactly these files, and links by path, without a working tree."""
        index = pygit2.Index()
        for path, content in files.items():
            blob = self.git.create_blob(content if isinstance(content, bytes) else content.encode())
            index.add(pygit2.IndexEntry(path, blob, pygit2.enums.FileMode.BLOB))
        for path, target in (links or {}).items():
            index.add(pygit2.IndexEntry(path, self.git.create_blob(target.encode()), pygit2.enums.FileMode.LINK))
        return self._commit(message, index.write_tree(self.git), "Ada")

    def merge(self, other: str, message: str = "Merge") -> str:
        """Merge a commit into the checked-out branch; there must be no conflict."""
        head = self.git.head.target
        index = self.git.merge_commits(head, pygit2.Oid(hex=other))
        assert index.conflicts is None
        who = self._who("Ada")
        made = self.git.create_commit(
            "HEAD", who, who, message, index.write_tree(self.git), [head, pygit2.Oid(hex=other)]
        )
        self.git.reset(made, pygit2.enums.ResetMode.HARD)
        return str(made)

    def tip(self, branch: str | None = None) -> str:
        return str(self.git.references[f"refs/heads/{branch or self.branch}"].target)

    def _commit(self, message: str, tree: pygit2.Oid, author: str) -> str:
        parents = [] if self.git.head_is_unborn else [self.git.head.target]
        who = self._who(author)
        return str(self.git.create_commit("HEAD", who, who, message, tree, list(parents)))

    def _who(self, author: str) -> pygit2.Signature:
        self._commits += 1
        return pygit2.Signature(author, f"{author.lower()}@example.org", FIRST_AT_S + 60 * self._commits, 60)
