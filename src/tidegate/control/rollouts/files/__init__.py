"""The rollout's file: a plan in YAML, read with the place of every fault."""
