"""Anthropic: Messages, in their own words and for chat.completions."""
