"""Mirrors src/tidegate/kernel."""
