"""Measurements of Tidegate. Each command prints figures; none is part of the product or of its tests."""
