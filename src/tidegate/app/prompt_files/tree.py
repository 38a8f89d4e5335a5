"""The files of prompts/ in a folder, as Git would hand them over."""

import os
from collections.abc import Iterator
from pathlib import Path

from tidegate.control.prompts.ports import PROMPTS_ROOT, TreeFile
from tidegate.kernel.documents import MAX_BYTES

__all__ = ["files_in"]


def files_in(root: Path) -> list[TreeFile]:
    """Every file under root/prompts, sorted by path. Links are named and not followed; hidden files are left out."""
    return sorted(_walk(root, root / PROMPTS_ROOT), key=lambda file: file.path)


def _walk(root: Path, folder: Path) -> Iterator[TreeFile]:
    if folder.is_symlink():
        yield TreeFile(path=f"{_name(root, folder)}/.", data=None, size=0, link=True)
        return
    for entry in os.scandir(folder) if folder.is_dir() else ():
        path = _name(root, Path(entry.path))
        if entry.name.startswith("."):
            continue
        if entry.is_symlink():
            yield TreeFile(path=path, data=None, size=0, link=True)
        elif entry.is_dir():
            yield from _walk(root, Path(entry.path))
        elif entry.is_file():
            size = entry.stat().st_size
            data = Path(entry.path).read_bytes() if size <= MAX_BYTES else None
            yield TreeFile(path=path, data=data, size=size)


def _name(root: Path, path: Path) -> str:
    """The path from the root on; bytes of a name that are not UTF-8 become question marks in diamonds."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "replace")
