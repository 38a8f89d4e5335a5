"""A run against a run: pairs of the same cases, rules with their answers, and the verdict."""
