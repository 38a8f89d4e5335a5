"""The steps of the schema. A step that was released never changes."""
