"""Ids: a prefix that says the kind, 48 bits of time, 80 random bits. They sort by time and cannot be guessed."""

import os
import time

__all__ = ["IdSource", "made_at_ms", "new_id", "new_secret"]

RANDOM_BYTES = 10
POOL_BYTES = RANDOM_BYTES * 512
_HEX = frozenset("0123456789abcdef")


def new_id(prefix: str) -> str:
    """Return `prefix_` and 32 hex digits: 12 of Unix time in ms, 20 random. Example: `call_019a5c0e7b21…`."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{os.urandom(RANDOM_BYTES).hex()}"


def made_at_ms(text: str) -> int | None:
    """When an id was made (Unix ms); None for what is no id."""
    digits = text.rpartition("_")[2]
    if len(digits) != 12 + 2 * RANDOM_BYTES or set(digits) - _HEX:
        return None
    return int(digits[:12], 16)


def new_secret(prefix: str) -> str:
    """Return `prefix-` and 40 hex digits: 160 random bits, for keys and tokens that are shown once."""
    return f"{prefix}-{os.urandom(20).hex()}"


class IdSource:
    """Makes ids of one kind for whoever needs very many: asks the system for random bytes once in 512 ids.

    Not for sharing between threads, nor across a fork.
    """

    __slots__ = ("_pool", "_prefix", "_used")

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{prefix}_%012x%s"
        self._pool = ""
        self._used = 0

    def next(self, now_ms: int) -> str:
        """Return an id as `new_id` does, with the time given."""
        start = self._used
        if start >= len(self._pool):
            self._pool = os.urandom(POOL_BYTES).hex()
            start = 0
        self._used = start + 2 * RANDOM_BYTES
        return self._prefix % (now_ms, self._pool[start : self._used])
