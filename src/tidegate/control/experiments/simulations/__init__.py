"""What a definition would do, tried on worlds that might be true. Pure."""
