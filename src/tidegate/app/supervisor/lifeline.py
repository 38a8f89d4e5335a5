"""How a process notices that its supervisor is gone, even by kill -9: a pipe whose other end only the supervisor holds.

Chosen over PR_SET_PDEATHSIG: it works on every POSIX system, needs no code between fork and exec, has no race at the
start, and lets the process finish its streams and flush its records.
"""

import os
import signal
import threading
import time

__all__ = ["hold_lifeline"]

PATIENCE_S = 120.0
"""How long an orderly stop may take once the supervisor is gone. Longer than a drain; then the process ends at once."""


def hold_lifeline(descriptor: int) -> None:
    """From now on this process gets SIGTERM when the pipe's other end is closed."""
    os.set_inheritable(descriptor, False)
    threading.Thread(target=_watch, args=(descriptor,), name="lifeline", daemon=True).start()


def _watch(descriptor: int) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for the main thread
    while os.read(descriptor, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE_S)
    os._exit(os.EX_SOFTWARE)
