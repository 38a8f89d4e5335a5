"""What the verbs of prompts answer."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from tidegate.control.prompts.codes import CODES
from tidegate.control.prompts.ports import Commit
from tidegate.kernel.errors import InvalidDocument
from tidegate.live.snapshot import PromptVersion

__all__ = [
    "Fault",
    "Listed",
    "ListedVersion",
    "Listing",
    "PromptHistory",
    "Registered",
    "Registration",
    "Scan",
    "faults_of",
]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of lint. `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    severity: Literal["error", "warning"]
    code: str
    message: str
    mend: str


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """That a version was released once: from which commit, when (Unix ms), by whom, with which content."""

    name: str
    version: str
    content_hash: str
    commit_sha: str
    registered_at_ms: int
    registered_by: str


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What the repository holds at its newest commit (None: it has none). `versions[name][version]` are good.

    `faults` tells what is wrong with the other files, and warnings; `dirty` names files that differ from the commit
    and are therefore not what is read.
    """

    commit: Commit | None
    versions: dict[str, dict[str, PromptVersion]]
    faults: tuple[InvalidDocument, ...]
    dirty: tuple[str, ...]


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is kept for good, and the commit it was read at; `new` when it was not kept before."""

    version: PromptVersion
    commit: str
    new: bool


class ListedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version in a list. `in_head`: its file is in the newest commit and good; `registered_at_ms`: since when it
    is kept, None when it was never released.
    """

    version: str
    content_hash: str
    model: str
    in_head: bool
    registered_at_ms: int | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt in a list, its versions newest first."""

    name: str
    description: str
    versions: tuple[ListedVersion, ...]


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """All prompts, and what is wrong with files that are not among them."""

    commit: Commit | None
    prompts: tuple[Listed, ...]
    faults: tuple[Fault, ...]
    dirty: tuple[str, ...]


class PromptHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The commits that changed a prompt's folder, newest first, and which of its versions were released once."""

    name: str
    commits: tuple[Commit, ...]
    registrations: tuple[Registration, ...]


def faults_of(errors: Iterable[InvalidDocument]) -> tuple[Fault, ...]:
    """Findings as values."""
    return tuple(
        Fault(
            file=error.file,
            line=error.line or 1,
            column=error.column or 1,
            severity=CODES[error.code].severity if error.code in CODES else "error",
            code=error.code,
            message=error.message,
            mend=error.mend,
        )
        for error in errors
    )
