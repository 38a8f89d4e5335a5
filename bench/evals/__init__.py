"""The evaluation engine under measurement."""
