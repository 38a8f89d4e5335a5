"""What the command line's evaluations are wired of."""
