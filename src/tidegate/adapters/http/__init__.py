"""Servers that are asked over HTTP, outside of the path of a request."""
