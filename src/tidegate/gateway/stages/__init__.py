"""The stages of a request, a file each. A stage is `async (call, next) -> Reply` and never imports another stage."""
