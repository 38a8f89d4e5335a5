"""A p-value that must be there."""

from tidegate.stats.drift.distances import Distance

__all__ = ["chance"]


def chance(found: Distance) -> float:
    """Its p-value as one number."""
    assert found.p_value is not None
    return float(found.p_value)
