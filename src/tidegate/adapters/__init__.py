"""The outer world: a folder for each thing that is adapted to a port."""
