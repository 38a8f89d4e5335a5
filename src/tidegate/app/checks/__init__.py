"""The gate of a pull request: changed prompts through lint, semver, tests, evaluation and gate, to one verdict."""
