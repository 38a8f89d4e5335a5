"""Redis: the counters that all gateways share, at the speed of memory."""
