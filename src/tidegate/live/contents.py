"""What becomes of kept content when somebody's is erased."""

import msgspec

__all__ = ["Erased"]


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a subject's content went. The subject is known by a keyed hash alone.

    `unchecked` rows belong to somebody, but were sealed under a master key that is not here: whose they are cannot be
    told. Without that key nobody can read them; they go when they expire.
    """

    subject_hash: str
    erased: int
    unchecked: int
