"""SQLite: the embedded store of one machine."""
