"""Decision rules: small sentences, read into a tree and judged on arrays."""
