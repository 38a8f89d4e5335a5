"""Datasets that grow from traffic: what was said in calls, redacted, as cases."""
