"""The stop in order: stage by stage, each with its time; who takes longer is killed."""

import signal
import time
from collections.abc import Callable, Sequence

from tidegate.app.supervisor.child import Child
from tidegate.app.supervisor.model import State

__all__ = ["Stopping"]


class Stopping:
    """A stop under way. The gateways (stage 0) finish what they serve, then control goes, then the side processes."""

    def __init__(self, children: Sequence[Child], drain_s: float, note: Callable[[str], None]) -> None:
        self.clean = True
        self.due_s = 0.0
        self._children = children
        self._drain_s = drain_s
        self._note = note
        self._stages = sorted({child.program.stage for child in children})
        for child in children:
            child.due_s = None
            if child.pid is None:
                child.state = State.STOPPED
        note(f"stopping: answers under way may take {drain_s:g} s to finish; a second signal kills")
        self._next()

    @property
    def done(self) -> bool:
        return not self._living()

    def advance(self, now_s: float) -> None:
        """Go to the next stage when this one is empty; kill who overstayed."""
        if not self._living(self._stages[0]) and len(self._stages) > 1:
            self._stages.pop(0)
            self._next()
        elif now_s >= self.due_s:
            for child in self._living(self._stages[0]):
                self._note(f"{child.program.name} did not stop in time: killed")
                child.kill()
            self.due_s = now_s + 1.0

    def gone(self, child: Child) -> None:
        """A child ended. A process that is still importing dies of SIGTERM itself, which is clean as well."""
        child.state = State.STOPPED
        if child.exit_code not in (0, -signal.SIGTERM):
            self.clean = False
            self._note(f"{child.program.name} ended with code {child.exit_code}")

    def kill(self) -> None:
        """End everything now."""
        self.clean = False
        for child in self._children:
            child.kill()

    def _next(self) -> None:
        stage = self._living(self._stages[0])
        for child in stage:
            child.terminate()
        drain_s = self._drain_s if self._stages[0] == 0 else 0.0
        self.due_s = time.monotonic() + max([child.program.patience_s for child in stage], default=0.0) + drain_s

    def _living(self, stage: int | None = None) -> list[Child]:
        return [child for child in self._children if child.pid is not None and stage in (None, child.program.stage)]
