"""Ids: a prefix that says the kind, 48 bits of time, 80 random bits. They sort by time and cannot be guessed."""

import os
import time

__all__ = ["new_id", "new_secret"]


def new_id(prefix: str) -> str:
    """Return `prefix_` and 32 hex digits: 12 of Unix time in ms, 20 random. Example: `call_019a5c0e7b21…`."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def new_secret(prefix: str) -> str:
    """Return `prefix-` and 40 hex digits: 160 random bits, for keys and tokens that are shown once."""
    return f"{prefix}-{os.urandom(20).hex()}"
