"""The upstreams' dialects, a folder each: encode a request, read an answer, follow a stream."""
