"""The experiment file: its shape, what it must hold beyond it, and the Definition that comes of it."""
