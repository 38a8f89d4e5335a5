"""Mirrors src/tidegate/client."""
