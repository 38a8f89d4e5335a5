"""The local model as a process: weights found, port checked, llama.cpp's chatter sent to a file."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tidegate.adapters.xllamacpp.server import ModelServer, ServerOptions
from tidegate.adapters.xllamacpp.weights import engine_is_here, find_weights, model_id
from tidegate.app.sockets import bind
from tidegate.kernel.errors import TidegateError

__all__ = ["Serving", "missing_parts", "serve_model"]

HOST = "127.0.0.1"
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """A model that answers."""

    url: str
    model: str
    weights: str
    loaded_in_s: float


def missing_parts() -> str | None:
    """Why the local model cannot run here (with the mend), without loading anything; None when it can."""
    try:
        find_weights()
    except TidegateError as error:
        return str(error)
    return None if engine_is_here() else "The engine xllamacpp is not installed: pip install xllamacpp."


def serve_model(gguf: Path | None, port: int, log: Path | None, ready: Callable[[Serving], None]) -> None:
    """Serve until SIGTERM or SIGINT. `log`: where llama.cpp's own output goes; None leaves it on stderr. Raises
    NotFound (wheels or file), Invalid (no GGUF, the model does not load) or Conflict (the port is taken).
    """
    weights = find_weights(gguf)
    bind(HOST, port, setting="server.model_port").close()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # before llama.cpp's threads: they inherit it
    with _chatter_in(log):
        begun = time.perf_counter()
        server = ModelServer(ServerOptions(weights=weights, model_id=model_id(weights), port=port))
        loaded_in_s = time.perf_counter() - begun
        ready(Serving(url=server.url, model=model_id(weights), weights=str(weights), loaded_in_s=loaded_in_s))
        signal.sigwait(STOP_SIGNALS)
        server.close()


@contextlib.contextmanager
def _chatter_in(log: Path | None) -> Iterator[None]:
    """Point the descriptors 1 and 2, to which llama.cpp writes, at the file; Python's own streams keep their place."""
    if log is None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    own = [(stream, os.dup(stream.fileno())) for stream in (sys.stdout, sys.stderr)]
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for stream, _ in own:
            stream.flush()
            os.dup2(target, stream.fileno())
        with contextlib.ExitStack() as stack:
            sys_out, sys_err = (stack.enter_context(os.fdopen(os.dup(copy), "w")) for _, copy in own)
            stack.enter_context(contextlib.redirect_stdout(sys_out))
            stack.enter_context(contextlib.redirect_stderr(sys_err))
            yield
    finally:
        for stream, copy in own:
            os.dup2(copy, stream.fileno())
            os.close(copy)
        os.close(target)
