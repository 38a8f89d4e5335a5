"""Mirrors src/tidegate/stats."""
