"""The supervisor: starts the workspace's processes, watches them, restarts them, stops them in order; nothing else."""
