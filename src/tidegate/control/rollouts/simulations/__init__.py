"""What a plan would do, tried on candidates that might be true. Pure."""
