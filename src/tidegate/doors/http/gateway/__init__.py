"""The gateway's doors: the raw one (httptools on uvloop) and the portable one (ASGI). Both hand Requests to one
Gateway.
"""
