"""What the local verbs of prompts answer."""

import msgspec

from tidegate.control.prompts.model import Fault
from tidegate.control.prompts.ports import Commit
from tidegate.live.snapshot import PromptVersion

__all__ = ["LintReport", "LocalVersion", "Past", "Shown"]


class LintReport(msgspec.Struct, frozen=True, kw_only=True):
    """What lint found in `files` files. Paths are relative to `root`."""

    root: str
    files: int
    errors: int
    warnings: int
    faults: tuple[Fault, ...]


class LocalVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version on disk. `state` is `ok`, `changed` (not committed as it is) or `broken`; what a broken file does
    not tell is None.
    """

    name: str
    version: str
    kind: str | None
    model: str | None
    description: str
    state: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A version with its fragments woven in, and its file's text."""

    prompt: PromptVersion
    path: str
    text: str


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that changed a prompt, and the release tags that stand on it."""

    commit: Commit
    tags: tuple[str, ...]
