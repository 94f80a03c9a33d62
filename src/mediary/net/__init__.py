"""Outbound HTTP: the client, the guard before it, and the bounded download."""
