"""Passages of texts: how a text is cut into them, and which bear on a question."""
