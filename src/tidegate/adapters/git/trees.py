"""Reading Git: the files of a commit, and which commits changed a path."""

from collections.abc import Iterator

import pygit2
from pygit2.enums import FileMode, SortMode

from tidegate.control.prompts.ports import Commit, TreeFile

__all__ = ["changes_of", "commit_of", "entry_at", "files_under", "text_of"]

MAX_FILE_BYTES = 1024 * 1024
MAX_FOLDERS = 8


def text_of(data: bytes | str) -> str:
    """Git's text, whatever its encoding was."""
    return data if isinstance(data, str) else data.decode("utf-8", "replace")


def commit_of(commit: pygit2.Commit) -> Commit:
    """A commit as a value. Names in another encoding than UTF-8 lose the letters that cannot be read."""
    return Commit(
        sha=str(commit.id),
        author=text_of(commit.author.raw_name or b""),
        at_ms=commit.commit_time * 1000,
        message=text_of(commit.raw_message).strip(),
    )


def entry_at(tree: pygit2.Tree, path: str) -> pygit2.Object | None:
    """What stands at the path in a tree, None when nothing does."""
    try:
        return tree[path] if path else tree
    except KeyError:
        return None


def files_under(tree: pygit2.Tree, path: str, depth: int = 0) -> Iterator[TreeFile]:
    """Every file below a folder; links and files over 1 MiB come without their data, submodules not at all."""
    for entry in tree:
        name = f"{path}/{text_of(entry.name or '')}"
        if isinstance(entry, pygit2.Tree):
            if depth < MAX_FOLDERS:
                yield from files_under(entry, name, depth + 1)
        elif entry.filemode == FileMode.LINK:
            yield TreeFile(path=name, data=None, size=0, link=True)
        elif isinstance(entry, pygit2.Blob):
            data = entry.data if entry.size <= MAX_FILE_BYTES else None
            yield TreeFile(path=name, data=data, size=entry.size)


def changes_of(repository: pygit2.Repository, tip: pygit2.Oid, path: str) -> Iterator[tuple[pygit2.Commit, bool]]:
    """The commits from `tip` back that changed what stands at the path, and whether each one added it.

    A merge counts when it differs from all of its parents.
    """
    for commit in repository.walk(tip, SortMode.TOPOLOGICAL | SortMode.TIME):
        here = _id_at(commit, path)
        before = [_id_at(parent, path) for parent in commit.parents]
        if not before and here is None:
            continue
        if all(there != here for there in before):
            yield commit, here is not None and not any(before)


def _id_at(commit: pygit2.Commit, path: str) -> pygit2.Oid | None:
    entry = entry_at(commit.tree, path)
    return entry.id if entry is not None else None
