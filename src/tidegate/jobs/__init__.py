"""Durable work: the Database port, the leader lease, the outbox."""
