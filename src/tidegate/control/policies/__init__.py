"""What `tidegate.yaml` says: models, routes, environments, limits, and where prompts come from."""
