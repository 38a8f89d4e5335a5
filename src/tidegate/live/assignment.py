"""Assignment of units to arms: the same unit always gets the same arm, and a growing arm only ever gains units."""

import hashlib
import math
from collections.abc import Sequence

import msgspec

__all__ = ["BUCKETS", "Arm", "arm_of", "assign", "bucket", "draw"]

BUCKETS = 10_000


class Arm(msgspec.Struct, frozen=True):
    """A version and its share of the units, in basis points of 10,000; of a rollout also its name (stable, candidate)
    and the model that is asked instead of the version's own.
    """

    version: str
    weight_bp: int
    name: str = ""
    model: str | None = None


def bucket(salt: str, unit: str) -> int:
    """Return a number in [0, 10000): the first 8 bytes, big-endian, of SHA-256 over `salt 0x1f unit`, modulo 10,000."""
    digest = hashlib.sha256(f"{salt}\x1f{unit}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def assign(arms: Sequence[Arm], salt: str, unit: str) -> str:
    """Return the version of the arm that holds the unit's bucket: see `arm_of`."""
    return arm_of(arms, salt, unit).version


def arm_of(arms: Sequence[Arm], salt: str, unit: str) -> Arm:
    """Return the arm that holds the unit's bucket. Weights sum to 10,000 and the arms' order is part of the decision.

    The last arm grows from the top of the range downwards, so raising the weight of the last arm at the cost of the
    others moves units only towards it.
    """
    if len(arms) == 1:
        return arms[0]
    position = bucket(salt, unit)
    edge = 0
    for arm in arms:
        edge += arm.weight_bp
        if position < edge:
            return arm
    return arms[-1]


def draw(names: Sequence[str], weights: Sequence[int], salt: str, unit: str) -> int:
    """Return the number of the name that the unit falls to, by weighted rendezvous: name i scores -ln(u_i) / weight_i
    with u_i in (0, 1] from the first 8 bytes of SHA-256 over `salt 0x1f name 0x1f unit`, and the lowest score wins.

    P(i) = weight_i / sum of weights, exactly as good as the hash. However many arms there are: when one weight grows,
    units move only to that arm, and when one shrinks, only from it; the order of names does not matter. At least one
    weight is above 0; a weight of 0 is never drawn. Thaler & Ravishankar 1998, doi:10.1109/90.663936.
    """
    best, lowest = 0, math.inf
    for at, (name, weight) in enumerate(zip(names, weights, strict=True)):
        if weight > 0:
            digest = hashlib.sha256(f"{salt}\x1f{name}\x1f{unit}".encode()).digest()
            score = -math.log((int.from_bytes(digest[:8], "big") + 1) / 2**64) / weight
            if score < lowest:
                best, lowest = at, score
    return best
