"""Memory: what people asked to keep, found again by words and by meaning."""
