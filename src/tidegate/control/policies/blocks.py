"""What every block of `tidegate.yaml` is made from."""

import msgspec

__all__ = ["Block"]


class Block(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A block of the file: an unknown field in it is a fault."""
