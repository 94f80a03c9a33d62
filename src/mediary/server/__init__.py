"""The HTTP server: an ASGI app, its hot paths beside the router."""
