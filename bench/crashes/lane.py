"""One database, three replicas of which one leads and dies again and again, and rollouts that go on all the same."""

import asyncio
import contextlib
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from bench.crashes.replica import Orders, Word, run

__all__ = ["Lane", "Lives"]

REPLICAS = 3
LOOK_S = 0.005
UNKNOWN = 255
"""What multiprocessing says when its fork server could not tell how a process ended; a Python error would be 1."""


class Lives(NamedTuple):
    """What became of the replicas: how often one was killed at which point, and how long it took until another led."""

    kills: Counter[str]
    takeovers_s: list[float]


class Lane:
    """Keeps three replicas alive; each of them dies at a random one of its next `points`."""

    def __init__(self, url: str, rng: random.Random, *, ttl_ms: int, points: int) -> None:
        self._url = url
        self._rng = rng
        self._ttl_ms = ttl_ms
        self._points = points
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["bench.crashes.replica"])
        self._living: list[tuple[BaseProcess, Connection]] = []
        self._made = 0
        self._dead_at_s: float | None = None
        self.lives = Lives(Counter(), [])
        self.unexpected: list[str] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Replicas live and die meanwhile."""
        task = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for process, pipe in self._living:
                process.kill()
                process.join()
                pipe.close()

    async def _keep(self) -> None:
        while True:
            self._hear()
            for one in [each for each in self._living if not each[0].is_alive()]:
                self._living.remove(one)
                one[1].close()
                one[0].join()
                if one[0].exitcode not in (-9, UNKNOWN):
                    self.unexpected.append(f"{one[0].name} ended with {one[0].exitcode}")
            while len(self._living) < REPLICAS:
                self._living.append(await asyncio.to_thread(self._born))
            await asyncio.sleep(LOOK_S)

    def _born(self) -> tuple[BaseProcess, Connection]:
        self._made += 1
        ours, theirs = self._context.Pipe(duplex=False)
        name = f"replica-{self._made}-{time.time_ns()}"
        orders = Orders(name, self._url, self._ttl_ms, self._rng.randint(1, self._points))
        process = self._context.Process(target=run, args=(orders, theirs), name=name, daemon=True)
        process.start()
        theirs.close()
        return process, ours

    def _hear(self) -> None:
        """What the replicas told since, in the order of time."""
        words: list[Word] = []
        for _, pipe in self._living:
            with contextlib.suppress(EOFError):
                while pipe.poll():
                    words.append(pipe.recv())
        for word in sorted(words, key=lambda one: one.at_s):
            if word.what == "dying":
                self.lives.kills[word.detail] += 1
                self._dead_at_s = word.at_s
            elif self._dead_at_s is not None:
                self.lives.takeovers_s.append(word.at_s - self._dead_at_s)
                self._dead_at_s = None
