"""Experiments: what is compared, who sees what, what was found, and the decision that holds."""
