"""A temporary workspace of the product, driven as a user would: by its commands."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.processes import BenchError, Command

COMMAND_S = 60.0
KEY_SHAPE = re.compile(r"\btg-[0-9a-f]{40}\b")


def program() -> Path:
    """The `tidegate` command that belongs to this Python."""
    return Path(sys.executable).parent / "tidegate"


@dataclass(frozen=True)
class Workspace:
    """A folder with a tidegate.yaml, and the environment that the commands run in."""

    folder: Path
    env: Mapping[str, str]

    def run(self, *arguments: str) -> str:
        """What the command printed; BenchError when it fails."""
        shown = f"`tidegate {' '.join(arguments)}`"
        try:
            done = subprocess.run(
                [str(program()), *arguments],
                cwd=self.folder,
                env={**os.environ, **self.env},
                capture_output=True,
                text=True,
                check=False,
                timeout=COMMAND_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BenchError(f"{shown}: {error}") from error
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip())[-400:]
            raise BenchError(f"{shown} ended with {done.returncode}: {said}")
        return done.stdout

    def create_key(self, *arguments: str) -> str:
        """Create a virtual key and return its secret."""
        found = KEY_SHAPE.search(self.run("keys", "create", *arguments))
        if found is None:
            raise BenchError("`tidegate keys create` showed no key of the shape that the benchmark knows")
        return found.group(0)

    def process(self, *arguments: str) -> Command:
        """The command as a process of its own."""
        log = self.folder.parent / f"{self.folder.name}-{arguments[0]}.log"
        return Command([str(program()), *arguments], log, self.env, self.folder)
