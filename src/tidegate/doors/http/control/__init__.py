"""The control plane's HTTP API: `routes.py` is the table of everything it answers to."""
