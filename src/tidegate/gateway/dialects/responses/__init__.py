"""OpenAI's Responses for upstreams that do not speak them."""
