"""Anthropic's Messages for upstreams that do not speak them."""
