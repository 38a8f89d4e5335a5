"""Scores for calls of users, while they are served: what was said is read from the content store, and judged."""
