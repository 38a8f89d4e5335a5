"""The workspace's private folder and its key file: for its owner's eyes only."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from tidegate.kernel.ids import new_secret
from tidegate.settings import Settings

__all__ = ["SHORTEST", "ensure_keys", "ensure_state_dir", "key_values"]

SHORTEST = 32
"""Characters that a secret must have, as settings.read_keys() demands."""

_HEADER = """\
# This workspace's secrets. Keep the file to yourself: never commit it, never mail it.
# master_key encrypts what is stored; admin_token lets the command line in.
"""


def ensure_state_dir(settings: Settings) -> bool:
    """Make the private folder, 0700; return whether anything had to be done."""
    folder = settings.state_dir
    if folder.is_dir() and folder.stat().st_mode & 0o077 == 0:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return True


def ensure_keys(settings: Settings) -> tuple[str, ...]:
    """Write what the key file lacks, return what was done. A long enough secret is never replaced."""
    file = settings.key_file
    done: list[str] = []
    if not file.exists():
        _write(file, _HEADER)
    elif file.stat().st_mode & 0o077:
        file.chmod(0o600)
        done.append("closed to others")
    values = key_values(file.read_text(encoding="utf-8"))
    missing = {name: make for name, make in _makers().items() if len(values.get(name, "")) < SHORTEST}
    if missing:
        kept = [line for line in file.read_text(encoding="utf-8").splitlines() if _name(line) not in missing]
        lines = [*kept, *(f"{name}={value}" for name, value in missing.items())]
        _write(file, "\n".join(lines) + "\n")
        done += [f"{name} made" for name in missing]
    return tuple(done)


def key_values(text: str) -> Mapping[str, str]:
    """The `name=value` lines of a key file."""
    pairs = (line.partition("=") for line in text.splitlines() if _name(line))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _makers() -> dict[str, str]:
    return {"master_key": secrets.token_hex(32), "admin_token": new_secret("tgt")}


def _name(line: str) -> str:
    name, separator, _ = line.partition("=")
    return name.strip() if separator and not name.lstrip().startswith("#") else ""


def _write(file: Path, text: str) -> None:
    """Replace the file in one step, never readable by others, not even for a moment."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
