"""The supervisor's loop: one thread, one selector; it sleeps until a process dies or speaks, or a signal comes."""

import contextlib
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from tidegate.app.supervisor.child import Child
from tidegate.app.supervisor.claim import Claim, SupervisorState
from tidegate.app.supervisor.deaths import excerpt, refusal, told
from tidegate.app.supervisor.entry import EXIT_CONFIG
from tidegate.app.supervisor.model import Program, State, judge
from tidegate.app.supervisor.readiness import Readiness
from tidegate.app.supervisor.stopping import Stopping
from tidegate.kernel.errors import TidegateError

__all__ = ["Audience", "Plan", "Supervisor"]

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SLOW_START_S = 10.0


class Audience(Protocol):
    """Who is told what happens: the terminal."""

    def line(self, process: str, text: str) -> None:
        """A process wrote a line to its log."""
        ...

    def note(self, text: str, *, grave: bool = False) -> None:
        """The supervisor itself has something to say."""
        ...

    def ready(self, running: frozenset[str]) -> None:
        """Everything that is essential answers; `running` are the processes that do."""
        ...


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `sockets` are bound here and listened on by children; `drain_s` asks what a drain may take now."""

    programs: tuple[Program, ...]
    sockets: tuple[socket.socket, ...]
    ports: dict[str, int]
    drain_s: Callable[[], float]


class Supervisor:
    """Runs a plan until SIGTERM, SIGINT or SIGHUP: then all stops in order. A second signal kills."""

    def __init__(self, plan: Plan, claim: Claim, audience: Audience, log_dir: Path) -> None:
        self._plan = plan
        self._claim = claim
        self._audience = audience
        self._children = [Child(program, log_dir) for program in plan.programs]
        self._state = SupervisorState(pid=os.getpid(), started_at_ms=_now_ms(), ports=plan.ports)
        self._saved: SupervisorState | None = None
        self._selector = selectors.DefaultSelector()
        self._lifeline = os.pipe()  # no child gets the writing end: it closes with this process
        self._readiness = Readiness(self._selector, self._children)
        self._stopping: Stopping | None = None
        self._failure: TidegateError | None = None
        self._slow_s: float | None = time.monotonic() + SLOW_START_S

    def run(self) -> int:
        """Supervise; return 0 after a clean stop, 1 when a process had to be killed or ended badly. Raises what kept
        an essential process from starting.
        """
        with self._signals():
            for child in self._children:
                self._start(child)
            self._save()
            while self._stopping is None or not self._stopping.done:
                for key, _ in self._selector.select(self._timeout_s()):
                    key.data()
                self._advance(time.monotonic())
        for child in self._children:
            child.log.close()
        if self._failure is not None:
            raise self._failure
        return 0 if self._stopping.clean else 1

    def stop(self) -> None:
        """Begin to stop everything in order; asked a second time, kill."""
        if self._stopping is not None:
            self._audience.note("killing what is left", grave=True)
            self._stopping.kill()
            return
        for sock in self._plan.sockets:
            sock.close()  # once the last gateway closes its copy, the port is free
        self._readiness.close()
        self._stopping = Stopping(self._children, self._plan.drain_s(), self._audience.note)

    def _start(self, child: Child) -> None:
        child.start(self._lifeline[0])
        if child.output is not None:
            self._selector.register(child.output, selectors.EVENT_READ, lambda: self._listen(child))

    def _listen(self, child: Child) -> None:
        descriptor = child.output
        lines = child.read()
        if descriptor is not None and child.output is None:
            self._selector.unregister(descriptor)
        self._tell(child, lines)

    def _tell(self, child: Child, lines: list[str]) -> None:
        if not child.program.quiet:
            for line in lines:
                self._audience.line(child.program.name, line)

    def _advance(self, now_s: float) -> None:
        """Make every move that is due. Level-triggered: it looks at the world, whatever woke it."""
        for child in self._children:
            if child.ended():
                self._bury(child, now_s)
            if self._stopping is None and child.due_s is not None and child.due_s <= now_s:
                child.restarts += 1
                self._start(child)
        if self._stopping is not None:
            self._stopping.advance(now_s)
        else:
            self._watch_start(now_s)
        self._save()

    def _bury(self, child: Child, now_s: float) -> None:
        if child.output is not None:
            self._selector.unregister(child.output)
        self._tell(child, child.last_words())
        self._readiness.forget(child)
        if self._stopping is not None:
            self._stopping.gone(child)
        elif child.exit_code == EXIT_CONFIG:
            child.state = State.REFUSED
            self._audience.note(refusal(child), grave=True)
            self._fail_start(child)
        else:
            self._restart(child, now_s)

    def _restart(self, child: Child, now_s: float) -> None:
        child.deaths_s.append(now_s)
        verdict = judge(child.deaths_s, now_s)
        child.due_s = now_s + verdict.restart_in_s
        child.state = State.LOOPING if verdict.looping else State.WAITING
        self._audience.note(told(child, verdict), grave=True)
        if verdict.looping:
            self._fail_start(child)

    def _fail_start(self, child: Child) -> None:
        """An essential process that will not start makes the start fail; later, the others simply go on."""
        if child.program.essential and self._state.ready_at_ms is None and self._failure is None:
            self._failure = excerpt(child)
            self.stop()

    def _watch_start(self, now_s: float) -> None:
        self._readiness.advance(now_s)
        if self._state.ready_at_ms is None and self._readiness.complete:
            self._slow_s = None
            self._state = msgspec.structs.replace(self._state, ready_at_ms=_now_ms())
            self._save()
            running = (child.program.name for child in self._children if child.state == State.RUNNING)
            self._audience.ready(frozenset(running))
        elif self._slow_s is not None and now_s >= self._slow_s:
            self._slow_s = None
            waited = ", ".join(child.program.name for child in self._children if child.state == State.STARTING)
            self._audience.note(f"still waiting for: {waited or 'a restart'}", grave=True)

    def _timeout_s(self) -> float | None:
        due = [child.due_s for child in self._children if child.due_s is not None and self._stopping is None]
        due += [moment for moment in (self._readiness.due_s, self._slow_s) if moment is not None]
        if self._stopping is not None:
            due = [self._stopping.due_s]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _save(self) -> None:
        state = msgspec.structs.replace(self._state, processes=tuple(child.snapshot() for child in self._children))
        if state != self._saved:
            self._saved = self._state = state
            self._claim.write(state)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals become bytes in a socket that the loop watches; no code of ours runs in a handler."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        watched = [number for number in STOP_SIGNALS if not _left_out(number)]
        before = {number: signal.signal(number, _noted) for number in (*watched, signal.SIGCHLD)}
        descriptor = signal.set_wakeup_fd(theirs.fileno())
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._on_signals(ours.recv(256)))
        try:
            yield
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.unregister(ours)
            ours.close()
            theirs.close()

    def _on_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number in STOP_SIGNALS:
                self.stop()


def _noted(_number: int, _frame: object) -> None:
    """The wakeup socket has the signal already."""


def _left_out(number: signal.Signals) -> bool:
    """Under nohup a hang-up is to be ignored."""
    return number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
