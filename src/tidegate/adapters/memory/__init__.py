"""Stores in memory: for one process alone, and for tests."""
