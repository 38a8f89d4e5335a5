"""The bell: the kernel tells when a file is written, so that nobody has to look fifty times a second. Linux;
elsewhere we look.
"""

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

__all__ = ["Bell"]

IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_MOVE_SELF = 0x800
IN_DELETE_SELF = 0x400
EVENTS = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF
READ_BYTES = 1 << 16
LOOK_S = 0.02
COVER_S = 1.0


class Bell:
    """Waits for a write to any of some files, by inotify (man 7 inotify).

    `arm`, look, `wait`: what happens between the look and the wait still rings. A ring that is missed (a file that is
    made later, a file system that tells nothing) is covered by a look every COVER_S seconds; where there is no
    inotify, or a file is not there yet, by one every LOOK_S.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._rung = asyncio.Event()
        self._armed = False
        self._fd = self._open()

    def arm(self) -> None:
        """Listen to the files as they are now; cheap to repeat."""
        self._rung.clear()
        flags = [self._watch(file) for file in self._files] if self._fd >= 0 else [False]
        self._armed = all(flags)

    async def wait(self) -> None:
        """Return when a file was written since `arm`, or when it is time to look anyway."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COVER_S if self._armed else LOOK_S):
                await self._rung.wait()

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        if not hasattr(self._libc, "inotify_init1"):
            return -1
        descriptor: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor >= 0:  # else: the user's limit of them is reached
            asyncio.get_running_loop().add_reader(descriptor, self._ring)
        return descriptor

    def _watch(self, file: Path) -> bool:
        found: int = self._libc.inotify_add_watch(self._fd, os.fsencode(file), EVENTS)
        return found >= 0

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, READ_BYTES)  # what was written does not matter: whoever waits looks for itself
        self._rung.set()
