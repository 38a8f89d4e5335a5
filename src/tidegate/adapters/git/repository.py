"""The port PromptRepository over pygit2: a working tree, a bare repository, or a remote one through a copy of it."""

import contextlib
import os
import threading
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import pygit2
from pygit2.enums import FileMode, FileStatus, ObjectType

from tidegate.adapters.git.faults import git_errors
from tidegate.adapters.git.remotes import clone_of, fetch_branch, is_url, push_refs
from tidegate.adapters.git.reverts import Undo, revert_paths
from tidegate.adapters.git.trees import changes_of, commit_of, entry_at, files_under, text_of
from tidegate.control.prompts.ports import PROMPTS_ROOT, Commit, Tag, TreeFile
from tidegate.kernel.errors import Conflict, Invalid, NotFound

__all__ = ["GitRepository", "open_repository"]

TAGS = "refs/tags/"


class _Source(Protocol):
    """Where prompts come from: the block `prompts` of tidegate.yaml."""

    @property
    def repository(self) -> str: ...
    @property
    def branch(self) -> str: ...
    @property
    def remote(self) -> str | None: ...


class _Place(Protocol):
    """What the source is relative to, and where a copy of a remote repository may be kept."""

    @property
    def workspace(self) -> Path: ...
    @property
    def state_dir(self) -> Path: ...


def open_repository(source: _Source, place: _Place, environ: Mapping[str, str] = os.environ) -> "GitRepository":
    """The repository that the configuration names. Nothing is read yet; TIDEGATE_GIT_TOKEN answers https servers."""
    location = source.repository if is_url(source.repository) else str(place.workspace / source.repository)
    token = environ.get("TIDEGATE_GIT_TOKEN") or None
    return GitRepository(location, branch=source.branch, state_dir=place.state_dir, remote=source.remote, token=token)


class GitRepository:
    """One repository. Every verb opens it anew (well under a millisecond), so it may be called from any thread.

    `location` is a URL or a folder; a folder within a working tree has its prompts/ below that folder. With `branch`
    None the checked-out commit is read, detached or not. A URL is copied into `state_dir`, and its remote is itself;
    a folder fetches from and pushes to `remote`, if one is named. `token` answers https servers that ask.
    """

    def __init__(
        self,
        location: str,
        *,
        branch: str | None = "main",
        state_dir: Path | None = None,
        remote: str | None = None,
        token: str | None = None,
    ) -> None:
        self.location = location
        self.branch = branch
        self._state_dir = state_dir
        self._remote = "origin" if is_url(location) else remote
        self._token = token
        self._writing = threading.Lock()

    def head(self) -> Commit | None:
        with git_errors("read", self.location):
            repository, _ = self._open()
            tip = self._tip(repository)
            return commit_of(tip) if tip is not None else None

    def resolve(self, ref: str) -> Commit:
        """The commit that a branch, tag, id or expression such as `HEAD~1` stands for; raises NotFound."""
        with git_errors("read", self.location):
            repository, _ = self._open()
            try:
                return commit_of(repository.revparse_single(ref).peel(pygit2.Commit))
            except (KeyError, ValueError, pygit2.GitError) as error:
                known = [*repository.branches.local, *repository.branches.remote]
                mend = "In a shallow clone fetch the history first: `git fetch --unshallow`."
                raise NotFound("branch, tag or commit", ref, known=known, mend=mend) from error

    def merge_base(self, one: str, other: str) -> Commit | None:
        """The newest commit that both have in their past; None where they share none. Raises NotFound."""
        first, second = self.resolve(one), self.resolve(other)
        with git_errors("read", self.location):
            repository, _ = self._open()
            found = repository.merge_base(pygit2.Oid(hex=first.sha), pygit2.Oid(hex=second.sha))
            found_any: object = found  # its type does not tell that there may be none
            return None if found_any is None else commit_of(repository[found].peel(pygit2.Commit))

    def first_of(self, refs: Sequence[str]) -> str | None:
        """The first of these branches, tags or commits that there is; None without any."""
        with git_errors("read", self.location):
            repository, _ = self._open()
            for ref in refs:
                with contextlib.suppress(KeyError, ValueError, pygit2.GitError):
                    repository.revparse_single(ref).peel(pygit2.Commit)
                    return ref
        return None

    def same_as(self, sha: str, path: str) -> bool:
        """Whether the file in the working tree is, byte for byte, the one of a commit."""
        with git_errors("read", self.location):
            repository, prefix = self._open()
            entry = entry_at(self._commit(repository, sha).tree, f"{prefix}{path}")
            file = Path(self.location, path)
            return entry is not None and file.is_file() and entry.id == pygit2.hashfile(str(file))

    def files(self, sha: str) -> list[TreeFile]:
        with git_errors("read", self.location):
            repository, prefix = self._open()
            folder = entry_at(self._commit(repository, sha).tree, f"{prefix}{PROMPTS_ROOT}")
            if isinstance(folder, pygit2.Blob) and folder.filemode == FileMode.LINK:
                return [TreeFile(path=f"{PROMPTS_ROOT}/.", data=None, size=0, link=True)]
            found = files_under(folder, PROMPTS_ROOT) if isinstance(folder, pygit2.Tree) else ()
            return sorted(found, key=lambda file: file.path)

    def exists(self, sha: str, path: str) -> bool:
        with git_errors("read", self.location):
            repository, prefix = self._open()
            return isinstance(entry_at(self._commit(repository, sha).tree, f"{prefix}{path}"), pygit2.Blob)

    def log(self, path: str, limit: int) -> list[Commit]:
        with git_errors("read", self.location):
            repository, prefix = self._open()
            tip = self._tip(repository)
            changes = changes_of(repository, tip.id, f"{prefix}{path}") if tip is not None else ()
            return [commit_of(commit) for commit, _ in islice(changes, limit)]

    def introduced(self, path: str) -> Commit:
        with git_errors("read", self.location):
            repository, prefix = self._open()
            tip = self._tip(repository)
            for commit, added in changes_of(repository, tip.id, f"{prefix}{path}") if tip is not None else ():
                if added:
                    return commit_of(commit)
        raise NotFound("commit", path, mend=f"No commit of {self.branch or 'HEAD'} ever added that file.")

    def dirty(self) -> tuple[str, ...]:
        with git_errors("read", self.location):
            repository, prefix = self._open()
            if repository.is_bare:
                return ()
            root = f"{prefix}{PROMPTS_ROOT}/"
            changed = [
                path.removeprefix(prefix)
                for path, status in repository.status().items()
                if path.startswith(root) and status not in (FileStatus.CURRENT, FileStatus.IGNORED)
            ]
            return tuple(sorted(changed))

    def tags(self, prefix: str) -> list[Tag]:
        with git_errors("read", self.location):
            repository, _ = self._open()
            names = sorted(name for name in repository.references if name.startswith(f"{TAGS}{prefix}"))
            return [tag for name in names if (tag := _tag(repository, name)) is not None]

    def tag(self, name: str, sha: str, message: str, actor_name: str) -> None:
        ref = f"{TAGS}{name}"
        if not pygit2.reference_is_valid_name(ref):
            raise Invalid(f"{name!r} cannot be the name of a tag.", mend="See `git help check-ref-format`.")
        with self._writing, git_errors("write a tag in", self.location):
            repository, _ = self._open()
            commit = self._commit(repository, sha)
            known = _tag(repository, ref) if ref in repository.references else None
            if known is None:
                repository.create_tag(name, commit.id, ObjectType.COMMIT, _signature(actor_name), message)
            elif known.sha != str(commit.id):
                raise Conflict(
                    f"The tag {name} stands on {known.sha[:10]}, not on {sha[:10]}.",
                    mend="A release tag never moves: see who made it with `git show`.",
                    code="tag_exists",
                )

    def revert(self, sha: str, paths: Sequence[str], message: str, actor_name: str) -> Commit:
        with self._writing, git_errors("revert in", self.location):
            repository, prefix = self._open()
            undo = Undo(
                self._commit(repository, sha),
                [f"{prefix}{path}" for path in paths],
                message,
                _signature(actor_name),
            )
            return commit_of(revert_paths(repository, self._writable_ref(repository), undo))

    def fetch(self) -> None:
        if self._remote is not None:
            with self._writing, git_errors("fetch for", self.location):
                repository, _ = self._open()
                fetch_branch(repository, self._remote, self.branch, self._token)

    def push(self, refs: Sequence[str]) -> None:
        if self._remote is not None and refs:
            with self._writing, git_errors("push from", self.location):
                repository, _ = self._open()
                push_refs(repository, self._remote, refs, self._token)

    def _open(self) -> tuple[pygit2.Repository, str]:
        """The repository, and what its paths begin with: empty, or `folder/` when the location is a folder within."""
        if is_url(self.location):
            if self._state_dir is None:
                raise Invalid("A remote repository needs a folder for its copy.", mend="Name a folder, not a URL.")
            return pygit2.Repository(str(clone_of(self.location, self._state_dir, self._token))), ""
        found = pygit2.discover_repository(self.location) if Path(self.location).is_dir() else None
        if found is None:
            mend = "Run `git init` there and commit, or mend `prompts.repository` in tidegate.yaml."
            raise NotFound("Git repository", self.location, mend=mend)
        repository = pygit2.Repository(found)
        if repository.is_bare:
            return repository, ""
        within = Path(self.location).resolve().relative_to(Path(repository.workdir).resolve()).as_posix()
        return repository, "" if within == "." else f"{within}/"

    def _tip(self, repository: pygit2.Repository) -> pygit2.Commit | None:
        """The newest commit of the branch; None in a repository without commits."""
        if self.branch is None:
            return None if repository.head_is_unborn else repository.head.peel(pygit2.Commit)
        reference = repository.references.get(f"refs/heads/{self.branch}")
        if reference is not None:
            return reference.peel(pygit2.Commit)
        branches = list(repository.branches.local)
        if not branches:
            return None
        mend = "Set `prompts.branch` in tidegate.yaml to the one that prompts are merged into."
        raise NotFound("branch", self.branch, known=branches, mend=mend)

    def _writable_ref(self, repository: pygit2.Repository) -> str:
        if self.branch is not None and self._tip(repository) is not None:
            return f"refs/heads/{self.branch}"
        if self.branch is None and not repository.head_is_unborn and not repository.head_is_detached:
            return repository.head.name
        raise Conflict(
            "There is no branch to commit the revert to.",
            mend="Check out a branch, or name one as `prompts.branch` in tidegate.yaml.",
            code="no_branch",
        )

    @staticmethod
    def _commit(repository: pygit2.Repository, sha: str) -> pygit2.Commit:
        try:
            return repository[sha].peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError) as error:
            mend = "Fetch the repository: it may be newer than this copy."
            raise NotFound("commit", sha, mend=mend) from error


def _tag(repository: pygit2.Repository, ref: str) -> Tag | None:
    """The tag, None when it does not lead to a commit."""
    try:
        target = repository[repository.references[ref].target]
        commit = target.peel(pygit2.Commit)
    except (KeyError, pygit2.GitError):
        return None
    message = text_of(target.raw_message or b"").strip() if isinstance(target, pygit2.Tag) else ""
    return Tag(name=ref.removeprefix(TAGS), sha=str(commit.id), message=message)


def _signature(actor_name: str) -> pygit2.Signature:
    """Who did it, now. Git allows no angle brackets and line breaks in names."""
    name = "".join(letter for letter in actor_name if letter.isprintable() and letter not in "<>").strip()
    return pygit2.Signature(name or "Tidegate", "tidegate@localhost")
