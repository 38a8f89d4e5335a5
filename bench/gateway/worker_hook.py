"""Loaded in a worker that is profiled by cProfile: SIGUSR1 begins, SIGUSR2 ends and writes what was seen.

The benchmark puts a `sitecustomize.py` that calls `install` on the worker's path; the product knows
nothing of it.
"""

import cProfile
import os
import signal
from pathlib import Path
from types import FrameType

VARIABLE = "BENCH_PROFILE_TO"  # a path; the worker adds its process id and a suffix
READY, SEEN = ".ready", ".seen"


def install() -> None:
    """Listens for the two signals, when the environment asks for it."""
    target = os.environ.get(VARIABLE)
    if target is None:
        return
    profile = cProfile.Profile()

    def begin(_signal: int, _frame: FrameType | None) -> None:
        profile.enable()

    def end(_signal: int, _frame: FrameType | None) -> None:
        profile.disable()
        unfinished = f"{target}.{os.getpid()}.part"
        profile.dump_stats(unfinished)
        os.replace(unfinished, f"{target}.{os.getpid()}{SEEN}")

    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, end)
    Path(f"{target}.{os.getpid()}{READY}").touch()
