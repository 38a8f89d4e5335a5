"""What a plan would do, told to people: sentences, tables, pictures and a page."""
