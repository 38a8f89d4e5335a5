"""The lean HTTP/1.1 client to the upstreams: kept-alive connections, deadlines, cancellation, backpressure."""
