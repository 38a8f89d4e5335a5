"""Git, through pygit2."""
