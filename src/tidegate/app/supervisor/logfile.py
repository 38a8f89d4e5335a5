"""A process's log file, which starts anew at a size and keeps some of the old ones. A full disk never stops anybody."""

import contextlib
import os
from itertools import pairwise
from pathlib import Path

__all__ = ["LogFile"]

MAX_BYTES = 10 * 1024 * 1024
KEPT = 3


class LogFile:
    """Appends lines to `file`; at `max_bytes` it becomes `file.1`, that one `file.2`, up to `kept`."""

    def __init__(self, file: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
        self.file = file
        self._max_bytes = max_bytes
        self._kept = kept
        self._descriptor = -1
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append whole lines."""
        with contextlib.suppress(OSError):
            if self._descriptor < 0 or self._size + len(data) > self._max_bytes:
                self._open()
            os.write(self._descriptor, data)
            self._size += len(data)

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        self.close()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if self.file.exists() and self.file.stat().st_size >= self._max_bytes // 2:
            self._turn()
        self._descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _turn(self) -> None:
        names = [self.file, *(self.file.with_name(f"{self.file.name}.{number}") for number in range(1, self._kept + 1))]
        for newer, older in reversed(list(pairwise(names))):
            if newer.exists():
                newer.replace(older)
