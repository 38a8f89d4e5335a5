"""`tidegate init`: a workspace that works at once, and that its owner can read from top to bottom."""
