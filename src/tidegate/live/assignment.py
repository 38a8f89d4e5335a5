"""Assignment of units to arms: the same unit always gets the same arm, and a growing arm only ever gains units."""

import hashlib
from collections.abc import Sequence

from tidegate.live.snapshot import Arm

__all__ = ["BUCKETS", "assign", "bucket"]

BUCKETS = 10_000


def bucket(salt: str, unit: str) -> int:
    """Return a number in [0, 10000): the first 8 bytes, big-endian, of SHA-256 over `salt 0x1f unit`, modulo 10,000."""
    digest = hashlib.sha256(f"{salt}\x1f{unit}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def assign(arms: Sequence[Arm], salt: str, unit: str) -> str:
    """Return the version of the arm that holds the unit's bucket. Weights sum to 10,000 and the arms' order is part
    of the decision.

    The last arm grows from the top of the range downwards, so raising the weight of the last arm at the cost of the
    others moves units only towards it.
    """
    if len(arms) == 1:
        return arms[0].version
    position = bucket(salt, unit)
    edge = 0
    for arm in arms:
        edge += arm.weight_bp
        if position < edge:
            return arm.version
    return arms[-1].version
