"""Undoing, under some paths, what a commit did: a new commit on a branch, and a working tree that follows."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pygit2
from pygit2.enums import CheckoutStrategy, DeltaStatus, FileStatus

from tidegate.kernel.errors import Conflict

__all__ = ["Undo", "revert_paths"]


class Undo(NamedTuple):
    """What to undo: a commit's changes under `paths` (files or folders, relative to the repository), and by whom."""

    commit: pygit2.Commit
    paths: Sequence[str]
    message: str
    who: pygit2.Signature


def revert_paths(repository: pygit2.Repository, ref: str, undo: Undo) -> pygit2.Commit:
    """Make the commit on `ref` and return it; raises Conflict if the working tree or later commits are in the way."""
    tip = repository[repository.references[ref].target].peel(pygit2.Commit)
    checked_out = not repository.is_bare and not repository.head_is_detached and repository.head.name == ref
    if checked_out:
        _refuse_dirty(repository, undo.paths)
    tree_id = _undone(repository, tip, undo)
    if tree_id == tip.tree_id:
        raise Conflict(
            f"Nothing of commit {str(undo.commit.id)[:10]} is left to revert under {', '.join(undo.paths)}.",
            mend="It was reverted before; see `git log`.",
            code="nothing_to_revert",
        )
    made = repository.create_commit(ref, undo.who, undo.who, undo.message, tree_id, [tip.id])
    if checked_out:
        _follow(repository, tip.tree, repository[tree_id].peel(pygit2.Tree))
    return repository[made].peel(pygit2.Commit)


def _undone(repository: pygit2.Repository, tip: pygit2.Commit, undo: Undo) -> pygit2.Oid:
    """The tip's tree, with what stands under the paths taken from a whole revert."""
    reverted = repository.revert_commit(undo.commit, tip, 1 if len(undo.commit.parents) > 1 else 0)
    for entries in reverted.conflicts or ():
        clash = next((entry.path for entry in entries if entry is not None), "")
        if _under(clash, undo.paths):
            raise Conflict(
                f"Later commits changed {clash} too: commit {str(undo.commit.id)[:10]} cannot be reverted by itself.",
                mend="Write the state that you want into a new version, and deploy it.",
                code="revert_conflict",
            )
    index = pygit2.Index()
    index.read_tree(tip.tree)
    for path in [entry.path for entry in index if _under(entry.path, undo.paths)]:
        index.remove(path)
    for entry in reverted:
        if _under(entry.path, undo.paths):
            index.add(entry)
    return index.write_tree(repository)


def _refuse_dirty(repository: pygit2.Repository, paths: Sequence[str]) -> None:
    clean = (FileStatus.CURRENT, FileStatus.IGNORED)
    dirty = [path for path, status in repository.status().items() if status not in clean and _under(path, paths)]
    if dirty:
        raise Conflict(
            f"The working tree has changes of its own in {', '.join(sorted(dirty)[:5])}.",
            mend="Commit or stash them, then revert again. A rollback needs no clean working tree.",
            code="working_tree_dirty",
        )


def _follow(repository: pygit2.Repository, before: pygit2.Tree, after: pygit2.Tree) -> None:
    """Bring the changed files, and only they, into the index and the working tree."""
    deltas = list(before.diff_to_tree(after).deltas)
    written = [delta.new_file.path for delta in deltas if delta.status != DeltaStatus.DELETED]
    if written:
        strategy = CheckoutStrategy.FORCE | CheckoutStrategy.DISABLE_PATHSPEC_MATCH
        repository.checkout_tree(after, paths=written, strategy=strategy)  # type: ignore[no-untyped-call]
    repository.index.read()
    root = Path(repository.workdir)
    for path in (delta.old_file.path for delta in deltas if delta.status == DeltaStatus.DELETED):
        (root / path).unlink(missing_ok=True)
        if path in repository.index:
            repository.index.remove(path)
        _drop_empty_folders(root, (root / path).parent)
    repository.index.write()


def _drop_empty_folders(root: Path, folder: Path) -> None:
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _under(path: str, paths: Sequence[str]) -> bool:
    return any(path == one or path.startswith(f"{one.rstrip('/')}/") for one in paths)
