"""Control replicas that are killed while rollouts go on: what is needed for `bench.rollout_crashes` and its test."""
