"""Mirrors src/tidegate/live."""
