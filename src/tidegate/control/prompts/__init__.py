"""Prompts as code: versions in Git files, read, checked, hashed, registered."""
