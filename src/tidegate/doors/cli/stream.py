"""The terminal of `tidegate up`: all processes' lines, each behind its process's name, in colours where there are any.

A terminal that is paused, or a reader that does not read, must never stop the platform: what cannot be written now is
left out and counted. The log files have it all.
"""

import os
import re
import select
import sys
import time
from collections.abc import Mapping
from typing import TextIO

__all__ = ["Stream"]

COLOURS = (36, 35, 34, 33, 32, 96, 95, 94)
GRAVE, DIM, BOLD, RESET = "\x1b[31m", "\x1b[2m", "\x1b[1m", "\x1b[0m"
ONE_WRITE = 4_096
"""So many bytes a pipe takes whole once it says that it can be written to (PIPE_BUF)."""

NOTE_PATIENCE_S = 1.0
OWN_NAME = "tidegate"

_DAY = re.compile(r"^\d{4}-\d\d-\d\d ")


class Stream:
    """Writes to one text stream's descriptor."""

    def __init__(self, out: TextIO, names: tuple[str, ...], environ: Mapping[str, str], *, json: bool = False) -> None:
        self._out = out
        self._descriptor = out.fileno()
        self.coloured = _coloured(out, environ) and not json
        self._json = json
        self._width = max((len(name) for name in (*names, OWN_NAME)), default=0)
        self._colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
        self._left_out = 0
        self._gone = False

    def line(self, process: str, text: str) -> None:
        """A process's log line; JSON lines, which name their process themselves, go through as they are."""
        self._write(text if self._json else f"{self._name(process)} {_DAY.sub('', text)}", patience_s=0.0)

    def note(self, text: str, *, grave: bool = False) -> None:
        """A word of the supervisor's own: a line or several."""
        clock = time.strftime("%H:%M:%S", time.gmtime())
        for line in text.splitlines():
            painted = f"{GRAVE}{line}{RESET}" if grave and self.coloured else line
            self._write(f"{self._name(OWN_NAME)} {clock} {painted}", patience_s=NOTE_PATIENCE_S)

    def block(self, text: str) -> None:
        """Text as it is."""
        self._write(text.rstrip("\n"), patience_s=NOTE_PATIENCE_S)

    def _name(self, process: str) -> str:
        padded = process.ljust(self._width)
        if not self.coloured:
            return f"{padded} |"
        colour = self._colours.get(process)
        return f"\x1b[{colour}m{padded}{RESET} {DIM}│{RESET}" if colour else f"{BOLD}{padded}{RESET} {DIM}│{RESET}"

    def _write(self, text: str, *, patience_s: float) -> None:
        if self._gone:
            return
        if self._left_out and self._can_write(0.0):
            missed, self._left_out = self._left_out, 0
            text = f"{self._name(OWN_NAME)} ({missed} lines were left out here; the log files have them)\n{text}"
        data = (text + "\n").encode("utf-8", "replace")
        for start in range(0, len(data), ONE_WRITE):
            if not self._can_write(patience_s):
                self._left_out += 1
                return
            try:
                os.write(self._descriptor, data[start : start + ONE_WRITE])
            except OSError:  # nobody reads any more: the platform goes on without a terminal
                self._gone = True
                return

    def _can_write(self, patience_s: float) -> bool:
        return bool(select.select([], [self._descriptor], [], patience_s)[1])


def _coloured(out: TextIO, environ: Mapping[str, str]) -> bool:
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (
        out.isatty() and environ.get("TERM") != "dumb" and sys.platform != "win32"
    )
