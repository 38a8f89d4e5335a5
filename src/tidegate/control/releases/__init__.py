"""Release pointers: which version of a prompt is live in an environment, how it came there, and the way back."""
