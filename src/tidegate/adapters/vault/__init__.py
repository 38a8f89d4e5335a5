"""Seals secrets and content under the workspace's master key."""
