"""What becomes of kept content when somebody's is erased, or the master key is changed."""

import msgspec

__all__ = ["Erased", "Resealed"]


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a subject's content went. The subject is known by a keyed hash alone.

    `unchecked` rows belong to somebody, but were sealed under a master key that is not here: whose they are cannot be
    told. Without that key nobody can read them; they go when they expire.
    """

    subject_hash: str
    erased: int
    unchecked: int


class Resealed(msgspec.Struct, frozen=True, kw_only=True):
    """How far content was sealed anew under the current master key. `unopened` rows are under a key that is not here,
    or damaged, and stay as they are. `next`: go on after this call; None when all were seen.
    """

    resealed: int = 0
    unopened: int = 0
    next: str | None = None
