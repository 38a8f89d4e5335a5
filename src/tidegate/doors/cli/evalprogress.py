"""How far an evaluation is, for people: a line that moves on a terminal, plain lines elsewhere. It goes to stderr."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from tidegate.app.evals_local import Progress, Watch
from tidegate.control.evals.model import Manifest
from tidegate.kernel.money import usd_text

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

__all__ = ["Shown", "cost_text"]

BAR_S = 0.1
LINE_S = 10.0
MINUTES_S = 100


class Shown(Watch):
    """Shows progress while it is entered. `quiet`: only notes."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._next_s = 0.0
        self._began_s = time.monotonic()
        self._begun_with = 0

    def __enter__(self) -> "Shown":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def note(self, text: str) -> None:
        """See `Watch`."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)
        else:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def begin(self, manifest: Manifest, progress: Progress) -> None:
        """See `Watch`."""
        self._began_s = time.monotonic()
        if self._quiet:
            return
        if not self._terminal:
            self._next_s = self._began_s + LINE_S
            return
        from rich.console import Console  # noqa: PLC0415  # lazy: only a terminal has a bar
        from rich.progress import BarColumn, TextColumn  # noqa: PLC0415  # lazy: as above
        from rich.progress import Progress as RichProgress  # noqa: PLC0415  # lazy: as above

        columns = (TextColumn("{task.completed:.0f}/{task.total:.0f}"), BarColumn(), TextColumn("{task.fields[said]}"))
        self._bar = RichProgress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
        self._bar.start()
        self._task = self._bar.add_task("", total=progress.total, said="")

    def tell(self, progress: Progress) -> None:
        """See `Watch`."""
        now_s = time.monotonic()
        if self._quiet or now_s < self._next_s:
            return
        if progress.resumed and not self._begun_with:
            self._begun_with = progress.done
        said = self._said(progress, now_s)
        if self._bar is not None and self._task is not None:
            self._next_s = now_s + BAR_S
            self._bar.update(self._task, completed=progress.done, said=said, refresh=True)
        else:
            self._next_s = now_s + LINE_S
            self.note(f"{progress.done}/{progress.total}  {said}")

    def _said(self, progress: Progress, now_s: float) -> str:
        parts = []
        share = progress.done - self._begun_with
        if share > 0 and progress.done < progress.total:
            left_s = (now_s - self._began_s) / share * (progress.total - progress.done)
            parts.append(f"{_time(left_s)} left")
        parts.append(cost_text(progress))
        for count, word in ((progress.cached, "cached"), (progress.errors, "errors"), (progress.retries, "retries")):
            if count:
                parts.append(f"{count} {word}")
        if progress.failed:
            parts.append(f"{progress.failed} failed")
        return " · ".join(parts)


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < MINUTES_S else f"{seconds / 60:.0f} min"


def cost_text(progress: Progress) -> str:
    """What was spent: `$0.0021`, `$0.0021 or more` where some costs are not known, `cost unknown`."""
    if progress.cost_known or not progress.paid:
        return usd_text(progress.cost_nano_usd)
    return f"{usd_text(progress.cost_nano_usd)} or more" if progress.cost_nano_usd else "cost unknown"
