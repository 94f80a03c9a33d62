"""Buckets: documents in, text out, as it comes."""
