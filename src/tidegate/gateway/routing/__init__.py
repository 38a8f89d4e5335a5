"""Routing: which deployment next, who is left alone for a while, and how often a call is tried again."""
