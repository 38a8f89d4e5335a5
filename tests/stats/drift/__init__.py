"""Mirrors src/tidegate/stats/drift."""
