"""The ledger: this process's slices of all limits and budgets, so that a call is held and settled in memory."""
