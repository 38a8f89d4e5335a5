"""Rollouts: a candidate takes over step by step, judged at every look against what it replaces, with a way back."""
