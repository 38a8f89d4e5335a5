"""Calls of a rollout by stretches of time, so that each look reads only what came since the last one."""
