"""`python -m tidegate.doors.cli.up`: the supervisor's process. It imports little: it lives as long as the platform."""

import os
import sys
import time
from pathlib import Path

from tidegate.app.logs import FORMAT_VARIABLE
from tidegate.app.supervisor.claim import Claim
from tidegate.app.supervisor.lifeline import hold_lifeline
from tidegate.app.supervisor.orders import Orders, taken
from tidegate.app.supervisor.plan import Commands, make_plan
from tidegate.app.supervisor.supervisor import Plan, Supervisor
from tidegate.doors.cli.stream import BOLD, DIM, RESET, Stream
from tidegate.kernel.errors import TidegateError
from tidegate.settings import Settings, find_workspace, load_settings

__all__ = ["main"]

PYTHON = (sys.executable, "-m")
COMMANDS = Commands(
    control=(*PYTHON, "tidegate.doors.http.control"),
    gateway=(*PYTHON, "tidegate.doors.http.gateway"),
    model=(*PYTHON, "tidegate", "model"),
)
LAST_RUN_PATIENCE_S = 5.0


def main() -> int:
    """Supervise the workspace until told to stop; return the exit code."""
    try:
        orders = taken(os.environ) or _own_orders()
        if orders.lifeline_fd is not None:
            hold_lifeline(orders.lifeline_fd)
        return _supervise(orders.settings)
    except TidegateError as error:
        place = str(error).partition(error.message)[0]
        sys.stderr.write(f"error: {place}{error.message}\n" + (f"mend: {error.mend}\n" if error.mend else ""))
        return 1


def _own_orders() -> Orders:
    return Orders(process="up", settings=load_settings(find_workspace(Path.cwd()), os.environ))


def _supervise(settings: Settings) -> int:
    began_s = _process_age_s()
    claim = Claim(settings.run_dir)
    json = os.environ.get(FORMAT_VARIABLE, "").lower() == "json"
    try:
        if claim.left is not None:
            _outlast(claim)
        plan = make_plan(settings, COMMANDS)
        stream = Stream(sys.stdout, tuple(program.name for program in plan.programs), os.environ, json=json)
        audience = Terminal(stream, plan, settings, time.monotonic() - began_s)
        code = Supervisor(plan, claim, audience, settings.log_dir).run()
    finally:
        claim.release()
    audience.note("stopped")
    return code


def _outlast(claim: Claim) -> None:
    pid = claim.left.pid if claim.left else None
    sys.stdout.write(f"The last `tidegate up` (pid {pid}) did not stop in order: going on from what it left.\n")
    sys.stdout.flush()
    living = claim.outlast(LAST_RUN_PATIENCE_S)
    if living:
        sys.stdout.write(f"Of its processes {', '.join(map(str, living))} still finish what they serve.\n")
        sys.stdout.flush()


class Terminal:
    """The supervisor's audience: a stream of lines, and the box once everything answers."""

    def __init__(self, stream: Stream, plan: Plan, settings: Settings, began_s: float) -> None:
        self._stream = stream
        self._plan = plan
        self._settings = settings
        self._began_s = began_s
        self.line = stream.line
        self.note = stream.note

    def ready(self, running: frozenset[str]) -> None:
        """Say where everything is, and how to go on."""
        took_s = time.monotonic() - self._began_s
        rows = [
            (f"ready in {took_s:.1f} s", ""),
            *_addresses(self._plan, self._settings, running),
            ("", ""),
            *_next(self._settings),
        ]
        self._stream.block(boxed(rows, coloured=self._stream.coloured))


def _addresses(plan: Plan, settings: Settings, running: frozenset[str]) -> list[tuple[str, str]]:
    gateway = f"{'https' if settings.gateway_tls else 'http'}://{settings.gateway_host}:{plan.ports['gateway']}/v1"
    control = f"{'https' if settings.control_tls else 'http'}://{settings.control_host}:{plan.ports['control']}"
    count = f"  ({settings.gateways} processes)" if settings.gateways > 1 else ""
    rows = [("gateway", gateway + count), ("control", f"{control}  (/healthz, /readyz, /metrics)")]
    if "model" in plan.ports:
        url = f"http://127.0.0.1:{plan.ports['model']}/v1"
        rows.append(("model", f"{url}  (local)" if "model" in running else "does not run: see above"))
    return [*rows, ("logs", str(settings.log_dir))]


def _next(settings: Settings) -> list[tuple[str, str]]:
    here = Path.cwd() == settings.workspace
    where = "" if here else f" --workspace {settings.workspace}"
    return [
        ("a key", f"tidegate keys create my-app{where}"),
        ("a release", f"tidegate release deploy NAME@VERSION --env production{where}"),
        ("the calls", f"tidegate calls tail{where}"),
        ("stop", "Ctrl-C: answers under way are finished"),
    ]


def boxed(rows: list[tuple[str, str]], *, coloured: bool) -> str:
    """The rows, name and text, in a box as wide as its longest row."""
    column = max(len(name) for name, text in rows if text) + 2
    lines = [name if not text else name.ljust(column) + text for name, text in rows]
    width = max(map(len, lines)) + 2
    shown = [
        f"│ {_painted(line, column, first=number == 0, coloured=coloured)}{' ' * (width - 1 - len(line))}│"
        for number, line in enumerate(lines)
    ]
    return "\n".join((f"╭{'─' * width}╮", *shown, f"╰{'─' * width}╯"))


def _painted(line: str, column: int, *, first: bool, coloured: bool) -> str:
    if not coloured:
        return line
    if first:
        return f"{BOLD}{line}{RESET}"
    return f"{DIM}{line[:column]}{RESET}{line[column:]}"


def _process_age_s() -> float:
    """How long this process lives already, the interpreter's start and an exec before it included; 0 when the system
    does not tell.
    """
    try:
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, float(Path("/proc/uptime").read_text().split()[0]) - started)
    except (OSError, ValueError, IndexError):
        return 0.0


if __name__ == "__main__":
    sys.exit(main())
