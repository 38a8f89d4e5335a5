"""Semver by evidence: what changed between two versions of a prompt, how large that is, and why."""
