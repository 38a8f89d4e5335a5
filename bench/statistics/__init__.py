"""Whether decisions hold: error rates, delays, coverage, regret and speed of `tidegate.stats`, simulated."""
