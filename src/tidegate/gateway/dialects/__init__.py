"""Dialects: endpoints that an upstream does not speak, said in chat.completions and back."""
