"""Mirrors src/tidegate/stats/sequential."""
