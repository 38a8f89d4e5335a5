"""The frame around a process's work: orders in, logs set up, lifeline held; an error becomes words and an exit code."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from tidegate.app.logs import set_up_logs
from tidegate.app.supervisor.lifeline import hold_lifeline
from tidegate.app.supervisor.orders import Orders, taken
from tidegate.kernel.errors import Conflict, Forbidden, Invalid, NotFound, TidegateError
from tidegate.settings import Settings, find_workspace, load_settings

__all__ = ["EXIT_CONFIG", "EXIT_FAILED", "enter"]

EXIT_FAILED = 1
EXIT_CONFIG = 78
"""`EX_CONFIG` of sysexits.h: a restart would end the same way, so the supervisor makes none."""


def enter(process: str, work: Callable[[Orders], None], settings: Settings | None = None) -> int:
    """Do a process's work under its orders and return the exit code. Errors go to stderr as `error: ...` and
    `mend: ...`. Started by hand, without orders, it goes by `settings`, else by those of the nearest workspace.
    """
    supervised = False
    try:
        orders = taken(os.environ) or Orders(process=process, settings=settings or _nearest())
        supervised = orders.supervised
        set_up_logs(orders.process, orders.settings.log_level, os.environ)
        if orders.lifeline_fd is not None:
            hold_lifeline(orders.lifeline_fd)
        work(orders)
    except TidegateError as error:
        place = str(error).partition(error.message)[0]
        sys.stderr.write(f"error: {place}{error.message}\n" + (f"mend: {error.mend}\n" if error.mend else ""))
        sys.stderr.flush()
        permanent = isinstance(error, Invalid | NotFound | Conflict | Forbidden) or error.code == "database_newer"
        return EXIT_CONFIG if supervised and permanent else EXIT_FAILED
    except KeyboardInterrupt:
        return 130
    return 0


def _nearest() -> Settings:
    return load_settings(find_workspace(Path.cwd()), os.environ)
