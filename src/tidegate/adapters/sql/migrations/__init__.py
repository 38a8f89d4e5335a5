"""The schema's history, a script for each step, run by `adapters.sql.schema`."""
