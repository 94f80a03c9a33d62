"""Cookies that a person hands in, for providers that know people by them: sealed, and for their own domain alone."""
