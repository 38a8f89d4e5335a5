"""Who may do what: users and their tokens, virtual keys, and the record of every change."""
