"""Evaluations: a version is asked every case of a dataset, its answers are scored, and a verdict is given."""
