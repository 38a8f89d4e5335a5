"""Metrics: how the gateways' meters reach Prometheus."""
