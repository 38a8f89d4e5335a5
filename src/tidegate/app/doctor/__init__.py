"""`tidegate doctor`: looks for what commonly goes wrong, without a server and in seconds, and says how to mend it."""
