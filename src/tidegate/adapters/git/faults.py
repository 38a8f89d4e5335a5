"""What libgit2 reports, in the words of our errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import pygit2

from tidegate.kernel.errors import TidegateError, Unavailable

__all__ = ["git_errors"]


@contextmanager
def git_errors(what: str, place: str) -> Iterator[None]:
    """Turn libgit2's errors into Unavailable, naming what was tried and where; our own pass."""
    try:
        yield
    except TidegateError:
        raise
    except (pygit2.GitError, KeyError, ValueError, OSError, UnicodeDecodeError) as error:
        reason = str(error).strip("'\"") or type(error).__name__
        mend = "See that the repository is whole and readable (`git -C DIR fsck`), then try again."
        if "not owned by" in reason:
            mend = f"Tell Git that it is trusted: `git config --global --add safe.directory {place}`."
        elif "authentication" in reason or "credentials" in reason:
            mend = "Give access: an SSH agent for ssh URLs, TIDEGATE_GIT_TOKEN for https URLs."
        elif "lock" in reason:
            mend = "Another Git process is at work there; if none is, remove the stale .lock file it names."
        raise Unavailable(f"Cannot {what} {place}: {reason}.", mend=mend, code="git_unavailable") from error
