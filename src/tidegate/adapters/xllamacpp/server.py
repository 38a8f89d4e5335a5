"""llama.cpp's own HTTP server in this process: chat, completions and embeddings in OpenAI's shape, on loopback."""

import os
from pathlib import Path
from typing import Any

import msgspec

from tidegate.adapters.xllamacpp.weights import WHEELS, engine_is_here
from tidegate.kernel.errors import Invalid, NotFound

__all__ = ["ModelServer", "ServerOptions"]

MAX_THREADS = 8
BATCH_TOKENS = 512
"""A text to embed must fit into one batch; larger ones cost hundreds of megabytes."""

CACHE_MIB = 64


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`slots` answers are made at once, each with `context_tokens` of its own. `port` 0: one that is free."""

    weights: Path
    model_id: str
    port: int = 0
    slots: int = 2
    context_tokens: int = 2048


class ModelServer:
    """A model, loaded and listening from the moment that the constructor returns, until `close`.

    One instance serves text and vectors: the vectors are the mean of the last hidden states of a language model. They
    are real, but say little about meaning; for search, use an embedding model.
    """

    def __init__(self, options: ServerOptions) -> None:
        """Load; raises NotFound without the engine's wheel, Invalid when it cannot serve."""
        if not engine_is_here():
            raise NotFound(
                "local engine", "xllamacpp", mend=f"Install it: {WHEELS}; or use a server of yours: --model URL.",
                code="model_not_installed",
            )  # fmt: skip
        self._server = _start(options)
        self.url = str(self._server.listening_address) + "/v1"

    def close(self) -> None:
        """Stop listening and free the model."""
        self._server = None


def _start(options: ServerOptions) -> Any:
    import xllamacpp  # noqa: PLC0415  # optional extra

    try:
        return xllamacpp.Server(_parameters(xllamacpp, options))
    except RuntimeError as error:
        raise Invalid(
            f"llama.cpp cannot serve {options.weights.name}: {error}.",
            mend="Its log tells why; another GGUF file: --gguf FILE; another port: --port N.",
            code="model_failed",
        ) from error


def _parameters(engine: Any, options: ServerOptions) -> Any:
    given = engine.CommonParams()
    given.model.path = str(options.weights)
    given.model_alias = {options.model_id}
    given.n_parallel = options.slots
    given.n_ctx = options.context_tokens * options.slots
    given.n_batch = given.n_ubatch = BATCH_TOKENS
    for cpu in (given.cpuparams, given.cpuparams_batch):
        cpu.n_threads = _threads()
        cpu.poll = 0  # wait for work asleep, not spinning
    given.port = options.port
    given.embedding = True
    given.pooling_type = engine.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    given.fit_params = False  # measuring the memory first costs a third of the start
    given.cache_ram_mib = CACHE_MIB
    given.ui = False
    given.cors_origins = f"http://127.0.0.1:{options.port}"  # no page of another origin may use the model
    return given


def _threads() -> int:
    """Half of the cores: llama.cpp's threads wait for one another at every step, and one that must share its core holds
    all of them up. With a thread on each of two cores and one other busy process, an answer took 50 times as long.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MAX_THREADS, max(1, cores // 2))
