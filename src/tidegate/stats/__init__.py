"""Statistics for decisions about models and prompts: tests, intervals, sizes, posteriors, tests that may be looked at
at any time, bandits, drift. Pure: no clock, no file, no random source of its own. Needs NumPy and SciPy alone.
"""
