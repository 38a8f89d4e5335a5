"""Notifiers: ways to tell the world outside of an event."""
