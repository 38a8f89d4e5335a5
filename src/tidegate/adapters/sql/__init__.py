"""What the two SQL dialects share: the writers' queue and the schema's migrations."""
