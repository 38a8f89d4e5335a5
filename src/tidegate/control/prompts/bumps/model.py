"""What is said of a version's number: how large the change is, and every reason for it."""

from typing import Literal, TypeAlias

import msgspec

__all__ = ["LEVELS", "BumpAnswer", "BumpCheck", "Level", "Reason", "larger", "level_between", "next_version"]

Level: TypeAlias = Literal["none", "patch", "minor", "major"]
LEVELS: tuple[Level, ...] = ("none", "patch", "minor", "major")
"""From the smallest change to the largest."""

BumpAnswer: TypeAlias = Literal["right", "too_small", "too_large", "first"]


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One change and what it asks for. `path` is where in the file (dotted); `evidence` is what can be seen there:
    lines of the difference, or the value before and after.
    """

    level: Level
    code: str
    path: str
    message: str
    evidence: str = ""


class BumpCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One version held against the one before it.

    `answer`: `right`; `too_small` (an error) or `too_large` (a warning); `first` when there is nothing before it.
    `bump` is what the number says, `needed` what the change asks for, `right_version` the number to write. `edit_ratio`
    is the share of words that were edited, 0 to 1, None where the texts cannot be compared one by one. `hints` are for
    the reader and change nothing.
    """

    name: str
    version: str
    against: str | None
    against_ref: str | None = None
    """The Git commit or branch that `against` was read at; None: it was read on disk."""
    answer: BumpAnswer
    bump: Level
    needed: Level
    right_version: str
    edit_ratio: float | None = None
    reasons: tuple[Reason, ...] = ()
    hints: tuple[str, ...] = ()


def larger(one: Level, other: Level) -> Level:
    """The larger of two."""
    return max(one, other, key=LEVELS.index)


def level_between(before: tuple[int, int, int], after: tuple[int, int, int]) -> Level:
    """What the step from one number to a higher one says; `none` when it is not higher."""
    if after <= before:
        return "none"
    return "major" if after[0] != before[0] else "minor" if after[1] != before[1] else "patch"


def next_version(before: tuple[int, int, int], level: Level) -> str:
    """The number that follows by a level; `none` is written as a patch, for a version is never written twice."""
    major, minor, patch = before
    if level == "major":
        return f"{major + 1}.0.0"
    return f"{major}.{minor + 1}.0" if level == "minor" else f"{major}.{minor}.{patch + 1}"
