"""The law of the light process: importing the gateway brings in nothing that only control needs."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PROBE = "import sys, importlib; importlib.import_module(sys.argv[1]); print(*sorted(sys.modules))"


def brought_in(module: str, unwanted: Sequence[str], *, path: Path | None = None) -> list[str]:
    """Import a module in a process of its own; return the unwanted modules that came along."""
    environment = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
    command = [sys.executable, "-c", PROBE, module]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise ImportError(f"{module} cannot be imported:\n{done.stderr}")
    return [name for name in done.stdout.split() if any(name == no or name.startswith(f"{no}.") for no in unwanted)]
