"""Which processes answer already. Asked only while something starts: a platform that runs is left in peace."""

import selectors
import time
from collections.abc import Sequence

from tidegate.app.supervisor.child import Child
from tidegate.app.supervisor.model import State
from tidegate.app.supervisor.probe import Probe

__all__ = ["Readiness"]

AGAIN_S = 0.05
PATIENCE_S = 2.0

_SETTLED = (State.RUNNING, State.LOOPING, State.REFUSED)


class Readiness:
    """Probes the children that start, one question at a time each, and marks those that are ready."""

    def __init__(self, selector: selectors.BaseSelector, children: Sequence[Child]) -> None:
        self._selector = selector
        self._children = children
        self._probes: dict[str, Probe] = {}
        self._again_s: dict[str, float] = {}

    @property
    def complete(self) -> bool:
        """Whether all that is essential answers, and the rest does or is known not to."""
        return all(
            child.state == State.RUNNING if child.program.essential else child.state in _SETTLED
            for child in self._children
        )

    @property
    def due_s(self) -> float | None:
        """When `advance` has something to do without any event."""
        return min(self._again_s.values(), default=None)

    def advance(self, now_s: float) -> None:
        """Ask whom it is time to ask."""
        for child in self._children:
            name = child.program.name
            if child.state != State.STARTING:
                continue
            if child.program.ready_at is None:
                self._mark(child)
            elif self._again_s.get(name, 0.0) <= now_s:
                self._drop(name)
                self._ask(child, now_s)

    def forget(self, child: Child) -> None:
        """The child is gone."""
        self._drop(child.program.name)
        self._again_s.pop(child.program.name, None)

    def close(self) -> None:
        """Ask no more."""
        for child in self._children:
            self.forget(child)

    def _ask(self, child: Child, now_s: float) -> None:
        assert child.program.ready_at is not None
        name = child.program.name
        probe = self._probes[name] = Probe(child.program.ready_at)
        self._again_s[name] = now_s + PATIENCE_S
        self._selector.register(probe.sock, probe.awaits, lambda: self._go_on(child, probe))

    def _go_on(self, child: Child, probe: Probe) -> None:
        name = child.program.name
        good = probe.go_on()
        if good is None:
            self._selector.modify(probe.sock, probe.awaits, lambda: self._go_on(child, probe))
            return
        self._drop(name)
        if good:
            self._mark(child)
        else:
            self._again_s[name] = time.monotonic() + AGAIN_S

    def _mark(self, child: Child) -> None:
        child.state = State.RUNNING
        child.was_ready = True
        self._again_s.pop(child.program.name, None)

    def _drop(self, name: str) -> None:
        probe = self._probes.pop(name, None)
        if probe is not None:
            self._selector.unregister(probe.sock)
            probe.close()
