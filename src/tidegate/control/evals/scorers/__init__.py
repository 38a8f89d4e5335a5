"""Scorers: a file each. What each is worth against human labels is measured, and told with its scores."""
