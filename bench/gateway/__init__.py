"""The gateway beside its peers (`python -m bench.gateway`), and its profile (`... .profile`)."""
