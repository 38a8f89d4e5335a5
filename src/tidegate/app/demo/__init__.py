"""The demo: the product's story on real inference, told through the same commands and requests that a user has."""
