"""The page of a shared chat: HTML that needs no script."""
