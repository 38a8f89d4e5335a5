"""The client's local copy of what is live: in memory, and in a file when the application wants to start while the
gateway is away.
"""

import contextlib
import os
from pathlib import Path

import msgspec

from tidegate.live.prompts import LivePrompts
from tidegate.templates.compile import CompiledPrompt, compile_prompt

__all__ = ["LocalCopy", "load_copy", "save_copy"]


class LocalCopy:
    """One generation with its templates compiled; templates that did not change are taken over from the copy before."""

    def __init__(self, live: LivePrompts, previous: "LocalCopy | None" = None) -> None:
        old = previous._compiled if previous else {}
        self.live = live
        self._compiled: dict[str, CompiledPrompt] = {}
        for prompt in live.prompts.values():
            for version in prompt.versions.values():
                digest = version.content_hash
                self._compiled[digest] = old.get(digest) or compile_prompt(version)

    def compiled(self, content_hash: str) -> CompiledPrompt:
        """The compiled template of a version that is in the copy."""
        return self._compiled[content_hash]


def load_copy(file: Path) -> LocalCopy | None:
    """Read the copy that an earlier run left; None when there is none or it is damaged."""
    try:
        return LocalCopy(msgspec.json.decode(file.read_bytes(), type=LivePrompts))
    except (OSError, msgspec.DecodeError):
        return None


def save_copy(file: Path, live: LivePrompts) -> None:
    """Keep the copy for the next run, owner-only. A disk that refuses must not stop an application that can go on."""
    draft = file.with_suffix(f".{os.getpid()}.draft")
    with contextlib.suppress(OSError):
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(msgspec.json.encode(live))
        draft.replace(file)
