"""What is spent: the standing of every budget and limit, and who is told when one runs out."""
