"""Git over a wire or a path: clone, fetch with its merge, push."""

import re
import shutil
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pygit2
from pygit2.enums import CredentialType

from tidegate.adapters.git.faults import git_errors
from tidegate.kernel.errors import Conflict, Unavailable

__all__ = ["clone_of", "fetch_branch", "is_url", "push_refs"]

TRACKING = "refs/remotes/origin/"
RELEASES = "refs/tags/release/*:refs/tags/release/*"  # Git by itself brings only tags on commits that are new
_URL = re.compile(r"[a-z][a-z0-9+.-]*://|[^/@]+@[^/:]+:", re.IGNORECASE)


class _Callbacks(pygit2.RemoteCallbacks):
    """Credentials, asked for once; and what the other side said to a push."""

    def __init__(self, token: str | None) -> None:
        super().__init__()
        self.refusals: list[str] = []
        self._token = token
        self._asked = False

    def credentials(
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> pygit2.KeypairFromAgent | pygit2.UserPass:
        if self._asked:
            raise pygit2.GitError("the authentication was refused")
        self._asked = True
        if allowed_types & CredentialType.SSH_KEY:
            return pygit2.KeypairFromAgent(username_from_url or "git")
        if allowed_types & CredentialType.USERPASS_PLAINTEXT and self._token:
            return pygit2.UserPass(username_from_url or "git", self._token)
        raise pygit2.GitError("the server asks for credentials, and there are none")

    def push_update_reference(self, refname: str, message: str | None) -> None:
        if message is not None:
            self.refusals.append(f"{refname}: {message}")


def is_url(location: str) -> bool:
    """Whether a repository is named by a URL (`https://`, `ssh://`, `file://`, `git@host:path`) and not by a folder."""
    return _URL.match(location) is not None


def clone_of(url: str, state_dir: Path, token: str | None) -> Path:
    """The local, bare copy of a remote repository, cloned if it is not there yet; raises Unavailable."""
    folder = state_dir / "git" / sha256(url.encode()).hexdigest()[:16]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix="clone-", dir=folder.parent))
    try:
        with git_errors("clone", url):
            pygit2.clone_repository(url, str(aside), bare=True, callbacks=_Callbacks(token))
            copy = pygit2.Repository(str(aside))
            copy.config["remote.origin.fetch"] = f"+refs/heads/*:{TRACKING}*"
            aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def fetch_branch(repository: pygit2.Repository, remote: str, branch: str | None, token: str | None) -> None:
    """Bring the remote's commits and tags. In a bare copy the branch follows: forward, or by a merge when both sides
    moved (ours with reverts that were not pushed yet). Raises Conflict when the two cannot be merged.
    """
    with git_errors("fetch from", remote):
        source = repository.remotes[remote]
        source.fetch([*source.fetch_refspecs, RELEASES], callbacks=_Callbacks(token))
        if not repository.is_bare or branch is None:
            return
        theirs = repository.references.get(f"refs/remotes/{remote}/{branch}")
        if theirs is None:
            return
        name = f"refs/heads/{branch}"
        ours = repository.references.get(name)
        if ours is None:
            repository.references.create(name, theirs.target)
            return
        here, there = ours.peel(pygit2.Commit).id, theirs.peel(pygit2.Commit).id
        base = repository.merge_base(here, there)
        if base == here:
            ours.set_target(there, f"fetch: forward to {remote}")
        elif base != there:
            _merge(repository, name, here, there)


def push_refs(repository: pygit2.Repository, remote: str, refs: Sequence[str], token: str | None) -> None:
    """Send refs; raises Unavailable, with the server's words, when one is refused."""
    callbacks = _Callbacks(token)
    with git_errors("push to", remote):
        repository.remotes[remote].push([f"{ref}:{ref}" for ref in refs], callbacks=callbacks)
    if callbacks.refusals:
        raise Unavailable(
            f"{remote} refused the push of {'; '.join(callbacks.refusals)}.",
            mend="Fetch first if it has newer commits; see that the branch and tags are not protected from this user.",
            code="git_push_refused",
        )


def _merge(repository: pygit2.Repository, name: str, ours: pygit2.Oid, theirs: pygit2.Oid) -> None:
    index = repository.merge_commits(ours, theirs)
    if index.conflicts is not None:
        raise Conflict(
            f"{name} has commits here that clash with the remote's.",
            mend="Merge them by hand in a clone, push, and fetch again.",
            code="git_diverged",
        )
    who = pygit2.Signature("Tidegate", "tidegate@localhost")
    tree = index.write_tree(repository)
    repository.create_commit(name, who, who, "Merge the remote's commits with reverts made here", tree, [ours, theirs])
