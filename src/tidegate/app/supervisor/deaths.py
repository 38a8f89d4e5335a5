"""What is said about a process that ended unasked: how it ended, what comes now, its last words."""

import signal
from collections.abc import Iterable

from tidegate.app.supervisor.child import Child
from tidegate.app.supervisor.model import LOOP_DEATHS, LOOP_S, Verdict
from tidegate.kernel.errors import Invalid, TidegateError, Unavailable

__all__ = ["excerpt", "refusal", "told"]

_ERROR = "error: "
_MEND = "mend: "


def told(child: Child, verdict: Verdict) -> str:
    """The note about a death: short the first times, with the last words and the mend in a crash loop."""
    name, how = child.program.name, _how(child.exit_code)
    if not verdict.looping:
        when = f"in {verdict.restart_in_s:g} s" if verdict.restart_in_s else "now"
        return f"{name} {how}: it is started again {when}"
    head = f"{name} {how}: {LOOP_DEATHS} times in {LOOP_S:g} s; the others go on, the next try is in {LOOP_S:g} s"
    return "\n".join((head, *_last_words(child.tail), f"{_MEND}{_mend(child)}"))


def refusal(child: Child) -> str:
    """The note about a process that cannot run with its settings."""
    head = f"{child.program.name} cannot run as it is set up, and is not started again:"
    return "\n".join((head, *_last_words(child.tail)))


def excerpt(child: Child) -> TidegateError:
    """The error that kept an essential process from starting: its own, when it named one."""
    own = _own_error(child.tail)
    if own is not None:
        return own
    last = next((line for line in reversed(child.tail) if line.strip()), "it said nothing")
    return Unavailable(
        f"{child.program.name} {_how(child.exit_code)} at the start: {last}", mend=_mend(child), code="start_failed"
    )


def _own_error(tail: Iterable[str]) -> TidegateError | None:
    lines = list(tail)
    starts = [number for number, line in enumerate(lines) if line.startswith(_ERROR)]
    if not starts:
        return None
    words = lines[starts[-1] :]
    mends = [line.removeprefix(_MEND) for line in words if line.startswith(_MEND)]
    said = [line for line in words if not line.startswith(_MEND)]
    return Invalid("\n".join(said).removeprefix(_ERROR).strip(), mend=" ".join(mends), code="start_refused")


def _last_words(tail: Iterable[str]) -> list[str]:
    return [f"  | {line}" for line in tail if line.strip()]


def _mend(child: Child) -> str:
    return f"{child.program.mend + ' ' if child.program.mend else ''}See {child.log.file}."


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"ended with code {code}"
