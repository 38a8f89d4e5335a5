"""Prompt templates: sandboxed, compiled once, with typed parameters. Values in, text out; no I/O."""
